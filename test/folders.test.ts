/** Each folder says what it is. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');

function foldersBelow(folder: string): string[] {
  const inside = readdirSync(folder, { withFileTypes: true }).filter(
    e => e.isDirectory() && e.name !== 'fixtures',
  );
  return inside.flatMap(e => [join(folder, e.name), ...foldersBelow(join(folder, e.name))]);
}

const folders = [
  ...foldersBelow(join(root, 'src')),
  join(root, 'recipes'),
  ...foldersBelow(join(root, 'recipes')),
];

describe('every folder has a README of 4 to 15 lines with a title', () => {
  it.each(folders.map(folder => relative(root, folder)))('%s', folder => {
    const path = join(root, folder, 'README.md');
    expect(existsSync(path)).toBe(true);
    const lines = readFileSync(path, 'utf8')
      .split('\n')
      .filter(line => line.trim() !== '');
    expect(lines[0]).toMatch(/^# /);
    expect(lines.length).toBeGreaterThanOrEqual(4);
    expect(lines.length).toBeLessThanOrEqual(15);
  });
});

it('no file has more than 500 lines', () => {
  const files = [join(root, 'src'), ...folders].flatMap(folder =>
    readdirSync(folder)
      .filter(name => name.endsWith('.ts'))
      .map(name => join(folder, name)),
  );
  const long = files.filter(file => readFileSync(file, 'utf8').split('\n').length > 501);
  expect(long.map(file => relative(root, file))).toEqual([]);
});
