import { expect, test } from 'vitest';
import { folderOf, joinPath, memoryFiles, nameOf, readJson, readText } from './files.ts';

test('paths join, and split into folder and name', () => {
  expect(joinPath('runs', '', 'a/', '/b')).toBe('/b');
  expect(joinPath('runs/', 'a', 'b.json')).toBe('runs/a/b.json');
  expect(joinPath('/x', 'y')).toBe('/x/y');
  expect([folderOf('a/b.txt'), folderOf('b.txt'), folderOf('/b')]).toEqual(['a', '.', '/']);
  expect(nameOf('a/b.txt')).toBe('b.txt');
});

test('text that is not UTF-8 and JSON that is not JSON are one sentence', async () => {
  const files = memoryFiles({ bad: Uint8Array.of(0xff), 'c.json': '{"a": 1', 'd.json': '[1]' });
  await expect(readText(files, 'bad')).rejects.toThrow('bad: not UTF-8 text');
  await expect(readJson(files, 'c.json')).rejects.toThrow(/^c\.json: not JSON \(/);
  await expect(readJson(files, 'none.json')).rejects.toThrow('none.json: no such file');
  expect(await readJson(files, 'd.json')).toEqual([1]);
});

test('memory does not share bytes with its callers', async () => {
  const bytes = Uint8Array.of(1);
  const files = memoryFiles();
  await files.write('a', bytes);
  bytes[0] = 2;
  (await files.read('a'))[0] = 3;
  expect([...(await files.read('./x/../a'))]).toEqual([1]);
});
