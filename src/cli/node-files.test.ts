import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'vite';
import { afterAll, describe, expect, test } from 'vitest';
import { type FileStore, memoryFiles } from '../util/files.ts';
import { nodeFiles } from './node-files.ts';

const root = mkdtempSync(join(tmpdir(), 'gaslaw-files-'));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;
const folder = (): string => {
  const path = join(root, String(folders++));
  mkdirSync(path);
  return path;
};

const stores: readonly [string, () => FileStore][] = [
  ['memory', () => memoryFiles()],
  ['node', () => nodeFiles()],
];
const text = async (files: FileStore, path: string) => new TextDecoder().decode(await files.read(path));
const bytes = (...values: number[]) => Uint8Array.from(values);

describe.each(stores)('%s files', (_, make) => {
  test('what is written is read, in whole and in ranges', async () => {
    const files = make();
    const path = `${folder()}/a/b.bin`;
    await files.write(path, [bytes(1, 2), bytes(), bytes(3, 4, 5)]);
    expect([...(await files.read(path))]).toEqual([1, 2, 3, 4, 5]);
    expect([...(await files.readRange!(path, 1, 3))]).toEqual([2, 3, 4]);
    expect([...(await files.readRange!(path, 3, 99))]).toEqual([4, 5]);
    expect([...(await files.readRange!(path, 9, 9))]).toEqual([]);
    expect(await files.size(path)).toBe(5);
  });

  test('a write replaces, an append adds, a cut shortens', async () => {
    const files = make();
    const path = `${folder()}/log.txt`;
    await files.append(path, 'eins\n');
    await files.append(path, bytes(0xc3, 0xa4));
    expect(await text(files, path)).toBe('eins\nä');
    await files.truncate(path, 5);
    expect(await text(files, path)).toBe('eins\n');
    await expect(files.truncate(path, 6)).rejects.toThrow('has 5 bytes where at least 6 are needed');
    await files.write(path, 'neu');
    expect(await text(files, path)).toBe('neu');
  });

  test('pieces may come from a generator', async () => {
    const files = make();
    const path = `${folder()}/a`;
    await files.write(
      path,
      (async function* () {
        yield bytes(1);
        yield bytes(2);
      })(),
    );
    expect([...(await files.read(path))]).toEqual([1, 2]);
  });

  test('folders list sorted names, move and go with all that is in them', async () => {
    const files = make();
    const at = folder();
    await files.write(`${at}/run/z`, 'z');
    await files.write(`${at}/run/a/deep`, 'd');
    await files.makeDir(`${at}/run/empty`);
    expect(await files.list(`${at}/run`)).toEqual(['a', 'empty', 'z']);
    await files.rename(`${at}/run`, `${at}/moved`);
    expect(await files.exists(`${at}/run`)).toBe(false);
    expect(await text(files, `${at}/moved/a/deep`)).toBe('d');
    await files.rename(`${at}/moved/z`, `${at}/moved/a/deep`);
    expect(await text(files, `${at}/moved/a/deep`)).toBe('z');
    await files.remove(`${at}/moved`);
    await files.remove(`${at}/moved`);
    expect(await files.list(`${at}/moved`)).toEqual([]);
    expect(await files.exists(`${at}/moved/a`)).toBe(false);
  });

  test('what cannot be done is one sentence with the path', async () => {
    const files = make();
    const at = folder();
    await files.write(`${at}/file`, 'x');
    await files.makeDir(`${at}/dir`);
    for (const action of [
      () => files.read(`${at}/missing`),
      () => files.size(`${at}/missing`),
      () => files.truncate(`${at}/missing`, 0),
      () => files.rename(`${at}/missing`, `${at}/b`),
      () => files.write(`${at}/dir`, 'x'),
      () => files.write(`${at}/file/below`, 'x'),
      () => files.makeDir(`${at}/file`),
      () => files.list(`${at}/file`),
      () => files.read(`${at}/dir`),
    ]) {
      await expect(action()).rejects.toMatchObject({
        name: 'GaslawError',
        message: expect.stringContaining(at),
      });
    }
  });

  test('a failing source leaves the old content and no trace', async () => {
    const files = make();
    const at = folder();
    await files.write(`${at}/f`, 'old');
    const source = (async function* () {
      yield bytes(1);
      throw new Error('source failed');
    })();
    await expect(files.write(`${at}/f`, source)).rejects.toThrow('source failed');
    expect(await text(files, `${at}/f`)).toBe('old');
    expect(await files.list(at)).toEqual(['f']);
  });
});

describe('the disk', () => {
  test('a full disk names path and bytes and leaves the old file untouched', async () => {
    const at = folder();
    writeFileSync(join(at, 'model.bin'), 'old');
    let room = 5;
    const full = nodeFiles({
      writePiece: async (handle, piece) => {
        await handle.write(piece.subarray(0, room));
        room -= piece.byteLength;
        if (room < 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
      },
    });
    const path = join(at, 'model.bin');
    await expect(full.write(path, [new Uint8Array(4), new Uint8Array(4)])).rejects.toThrow(
      new RegExp(`^cannot write ${path}: the disk is full \\(8 bytes needed, \\d+ are free\\)`),
    );
    room = 2;
    await expect(full.append(path, 'abc')).rejects.toThrow(
      `cannot append to ${path}: the disk is full (3 bytes`,
    );
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(at)).toEqual(['model.bin']);
  });

  test('a file keeps its permissions, a link stays a link', async () => {
    const at = folder();
    writeFileSync(join(at, 'real'), 'old');
    chmodSync(join(at, 'real'), 0o600);
    symlinkSync('real', join(at, 'link'));
    await nodeFiles().write(join(at, 'link'), 'new');
    expect(readFileSync(join(at, 'real'), 'utf8')).toBe('new');
    expect(statSync(join(at, 'real')).mode & 0o777).toBe(0o600);
    expect(
      readdirSync(at, { withFileTypes: true })
        .find(e => e.name === 'link')
        ?.isSymbolicLink(),
    ).toBe(true);
  });

  test.runIf(existsSync('/dev/full'))('the system\'s own "no space left" reads the same', async () => {
    await expect(nodeFiles().append('/dev/full', 'abc')).rejects.toThrow(
      /^cannot append to \/dev\/full: the disk is full \(3 bytes needed, \d+ are free\)$/,
    );
  });

  test.runIf(existsSync('/dev/null'))('a device is written, not replaced', async () => {
    await nodeFiles().write('/dev/null', 'x');
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  test('a writer killed at any moment leaves a whole file', { timeout: 60_000 }, async () => {
    const script = await bundledWriter();
    const at = folder();
    const file = join(at, 'state');
    for (let round = 0; round < 8; round++) {
      const child = spawn(process.execPath, [script, file], { stdio: ['ignore', 'pipe', 'inherit'] });
      await firstLine(child);
      await sleep(round * 5.3);
      child.kill('SIGKILL');
      await new Promise(done => child.once('exit', done));
      const content = readFileSync(file);
      expect(content.length).toBe(300_000);
      expect(content.every(byte => byte === content[0])).toBe(true);
    }
    await nodeFiles().tidy(at);
    expect(readdirSync(at)).toEqual(['state']);
  });
});

/** A program that writes files of one repeated byte until it is killed; says `ready` after the first. */
async function bundledWriter(): Promise<string> {
  const at = folder();
  const store = resolve(import.meta.dirname, 'node-files.ts');
  writeFileSync(
    join(at, 'writer.ts'),
    `import { nodeFiles } from ${JSON.stringify(store)};
     const files = nodeFiles();
     for (let i = 0; ; i++) {
       await files.write(process.argv[2], Array.from({ length: 3 }, () => new Uint8Array(100_000).fill(i)));
       if (i === 0) console.log('ready');
     }`,
  );
  await build({
    root: at,
    configFile: false,
    logLevel: 'silent',
    build: {
      ssr: join(at, 'writer.ts'),
      outDir: join(at, 'out'),
      target: 'node20',
      rollupOptions: { output: { entryFileNames: 'writer.mjs' } },
    },
  });
  return join(at, 'out', 'writer.mjs');
}

const firstLine = (child: ChildProcess): Promise<unknown> =>
  new Promise(done => child.stdout?.once('data', done));
