/** What the README shows runs. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const scripts = (
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
).scripts;

const block = (language: string): string =>
  new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(readme)?.[1] as string;

it('the TypeScript example learns y = 2 a + 3 b', { timeout: 60_000 }, () => {
  const file = join(root, 'dist', 'readme-example.mjs');
  writeFileSync(file, block('ts'));
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8', cwd: root });
  rmSync(file);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const [a, b] = [...stdout.matchAll(/-?\d+\.\d+|(?<=[[ ])\d+(?=[, ])/g)]
    .map(m => Number(m[0]))
    .slice(-2) as [number, number];
  expect(a).toBeCloseTo(2, 1);
  expect(b).toBeCloseTo(3, 1);
});

it('its two commands are the ones of package.json', () => {
  expect(block('sh')).toMatch(/npm ci && npm start/);
  expect(block('sh')).toMatch(/npm ci && npm test/);
  expect(scripts.start).toContain('run r1 --size small');
  expect(scripts.test).toBe('vitest run');
});

it('every command that it lists exists with the options it shows', () => {
  const commands = [...readme.matchAll(/^\| `gaslaw (\w+)([^`]*)`/gm)];
  expect(commands.length).toBeGreaterThanOrEqual(8);
  for (const [, name, rest] of commands) {
    const help = spawnSync(process.execPath, [join(root, 'dist/src/cli/main.js'), name as string, '--help'], {
      encoding: 'utf8',
    });
    expect(help.status).toBe(0);
    for (const [option] of (rest as string).matchAll(/--[\w-]+/g)) expect(help.stdout).toContain(option);
  }
});
