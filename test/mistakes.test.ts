/** What goes wrong is one sentence, an exit code of 1 or 2, nothing on stdout, and nothing lost. */
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gaslaw, MAIN, writeTinyModel } from './gaslaw.ts';

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-mistakes-'));
const write = (name: string, content: string | Uint8Array): void => {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), content);
};

beforeAll(async () => {
  await writeTinyModel(join(folder, 'model'), 'abcdefgh ');
  write('text.txt', 'the quick brown fox jumps over the lazy dog. '.repeat(60));
  write('empty.txt', '');
  write('latin1.txt', Uint8Array.from([0x61, 0xe4, 0x62]));
  cpSync(join(folder, 'model'), join(folder, 'cut'), { recursive: true });
  const weights = readFileSync(join(folder, 'model/model.safetensors'));
  write('cut/model.safetensors', weights.subarray(0, weights.length - 100));
  cpSync(join(folder, 'model'), join(folder, 'wide'), { recursive: true });
  const config = JSON.parse(readFileSync(join(folder, 'model/config.json'), 'utf8')) as object;
  write('wide/config.json', JSON.stringify({ ...config, hidden_size: 32 }));
  write('odd/config.json', JSON.stringify({ ...config, model_type: 'mamba' }));
  write('notjson/config.json', '{');
  write('fresh/config.json', JSON.stringify({ recipe: 'r1', size: 'small', seed: 1, version: '0' }));
  write('broken.onnx', 'not protobuf at all');
  write('damaged/config.json', JSON.stringify({ recipe: 'text', size: 'debug', seed: 1, version: '0' }));
  write('damaged/checkpoints/text.safetensors', 'junk');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('one sentence and an exit code', () => {
  it.each<[string, number, string]>([
    ['nope', 2, "unknown command 'nope'"],
    ['run', 2, "missing required argument 'recipe'"],
    ['generate model --promt hi', 2, "unknown option '--promt' (Did you mean --prompt?)"],
    ['generate model', 2, "required option '--prompt <text>' not specified; --help"],
    ['run nope', 2, 'there are r1, images, text'],
    ['run r1 --size huge', 2, 'debug, small, full'],
    ['run r1 --seed x', 2, '--seed is "x"'],
    ['run r1 --seed -1', 2, '--seed is "-1"'],
    ['run r1 --steps 3', 2, "unknown option '--steps'"],
    ['run text --set nope=1', 2, 'no option "nope"'],
    ['run text --size debug --set text=missing.txt --out lost', 2, 'missing.txt'],
    ['run text --size debug --set text=empty.txt --out lost2', 1, 'one window'],
    ['run text --size debug --out text.txt', 1, 'text.txt'],
    ['run text --size debug --out model', 1, "config.json is not a run's"],
    ['run text --size debug --out damaged --resume --set text=text.txt', 2, 'options'],
    ['eval missing --task countdown', 1, 'missing: no such file or folder'],
    ['eval model --task chess', 2, 'tasks are countdown'],
    ['eval model --task countdown', 2, 'no token for'],
    ['eval model --task countdown --level 9x9', 2, '2x12, 3x12'],
    ['eval model', 2, '--task'],
    ['eval model --task countdown --samples 0', 2, '--samples is "0"'],
    ['eval model --task gsm8k', 2, '--data'],
    ['generate model', 2, '--prompt'],
    ['generate model --prompt abc --max-tokens -3', 2, '--max-tokens is "-3"'],
    ['generate model --prompt abc --temperature hot', 2, '--temperature is "hot"'],
    ['generate model --prompt aXc', 1, '"X" (U+0058) at position 1'],
    [`generate model --prompt ${'a'.repeat(40)}`, 1, 'the prompt has 40 tokens but the context holds 32'],
    ['generate cut --prompt abc', 1, 'cut/model.safetensors'],
    ['generate wide --prompt abc', 1, 'wide/model.safetensors'],
    ['generate odd --prompt abc', 2, 'model_type "mamba" is not supported'],
    ['generate notjson --prompt abc', 1, 'notjson/config.json: not JSON'],
    ['generate fresh --prompt abc', 1, 'no stage of this run is finished yet'],
    ['generate text.txt --prompt abc', 2, 'text.txt: not a model'],
    ['generate broken.onnx --prompt abc', 2, 'broken.onnx'],
    ['generate model --prompt abc --dtype q3', 2, '--dtype is "q3"; it must be one of f32, q8, q4, q4g128'],
    ['chat model --level 3x12', 2, '--task'],
    ['perplexity model --text missing.txt', 1, 'missing.txt'],
    ['perplexity model --text empty.txt', 1, 'empty.txt'],
    ['perplexity model --text latin1.txt', 1, 'latin1.txt: not UTF-8'],
    ['perplexity model --text text.txt', 1, 'not in the vocabulary'],
    ['inspect broken.onnx', 1, 'broken.onnx'],
    ['inspect .', 1, 'broken.onnx: not a valid ModelProto'],
    ['bench model --prompt-tokens 30 --new-tokens 30', 2, 'do not fit the context of 32'],
    ['bench model --dim rows', 2, 'name=value'],
  ])('gaslaw %s', (line, code, text) => {
    const { status, stdout, stderr } = gaslaw(folder, line.split(' '));
    expect(stderr).toMatch(/^gaslaw: [^\n]+\n$/);
    expect(stderr).toContain(text);
    expect(status).toBe(code);
    expect(stdout).toBe('');
  });

  it('an empty prompt', () => {
    const { status, stderr } = gaslaw(folder, ['generate', 'model', '--prompt', '']);
    expect(stderr).toMatch(/^gaslaw: the prompt is empty[^\n]*\n$/);
    expect(status).toBe(1);
  });

  it('a damaged checkpoint is named', () => {
    const config = JSON.parse(readFileSync(join(folder, 'damaged/config.json'), 'utf8')) as object;
    write('damaged/config.json', JSON.stringify({ ...config, options: { text: 'text.txt' } }));
    const args = ['run', 'text', '--size', 'debug', '--set', 'text=text.txt', '--out', 'damaged', '--resume'];
    const { status, stderr } = gaslaw(folder, args);
    expect(stderr).toMatch(/^gaslaw: damaged\/checkpoints\/text\.safetensors: [^\n]+\n$/);
    expect(status).toBe(1);
  });
});

const TEXT_RUN = ['run', 'text', '--size', 'debug', '--set', 'text=text.txt'];

// a limit on the size of files is to a program what a full disk is
it.skipIf(process.platform === 'win32')(
  'a full disk loses nothing: the run goes on when there is room',
  () => {
    const limited = `trap '' XFSZ; ulimit -f 40; exec "$0" "$@"`;
    const args = ['-c', limited, process.execPath, MAIN, ...TEXT_RUN, '--out', 'full'];
    const { status, stdout, stderr } = spawnSync('bash', args, { cwd: folder, encoding: 'utf8' });
    expect(stderr).toMatch(/gaslaw: cannot write full\/[^\n]+: the disk is full [^\n]+\n$/);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(gaslaw(folder, [...TEXT_RUN, '--out', 'full', '--resume']).status).toBe(0);
    expect(existsSync(join(folder, 'full/report.html'))).toBe(true);
  },
);

it.skipIf(!existsSync('/dev/full'))('standard output on a full disk is one sentence', () => {
  for (const command of [['recipes', '--json'], ['--help'], ['generate', 'model', '--prompt', 'abc']]) {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...command], {
      cwd: folder,
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    closeSync(full);
    expect(stderr).toBe('gaslaw: cannot write to standard output: the disk is full\n');
    expect(status).toBe(1);
  }
});

it.skipIf(!existsSync('/dev/full'))('a run whose progress cannot be written goes on', () => {
  const full = openSync('/dev/full', 'w');
  const { status, stdout } = spawnSync(process.execPath, [MAIN, ...TEXT_RUN, '--out', 'unseen', '--json'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', full],
    encoding: 'utf8',
  });
  closeSync(full);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ recipe: 'text' });
});

it('a machine without FFI is warned once and goes on', { timeout: 60_000 }, () => {
  const hook = `export async function resolve(s, c, next) { if (s === 'koffi') throw new Error('no koffi here'); return next(s, c); }`;
  const data = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
  const register = data(`import { register } from 'node:module'; register(${JSON.stringify(data(hook))});`);
  const env = { NODE_OPTIONS: `--import ${register}` };
  const args = ['generate', 'model', '--prompt', 'abc', '--max-tokens', '4', '--temperature', '0', '--json'];
  const slow = gaslaw(folder, args, { env });
  expect(slow.stderr).toMatch(/^warning: [^\n]*no koffi here[^\n]*\n$/);
  const ids = ({ stdout }: { stdout: string }) => (JSON.parse(stdout) as { ids: number[] }).ids;
  expect(ids(slow)).toEqual(ids(gaslaw(folder, args)));
});

it.skipIf(process.platform === 'win32')('Ctrl-C saves a run and says how to go on', async () => {
  const child = spawn(process.execPath, [MAIN, 'run', 'r1', '--size', 'debug', '--out', 'stopped'], {
    cwd: folder,
  });
  let stderr = '';
  let asked = false;
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    if (!asked && /loss/.test(stderr)) asked = child.kill('SIGINT');
  });
  const code = await new Promise(done => child.on('close', done));
  expect(stderr).toMatch(/go on with: gaslaw run r1 --size debug --out stopped --resume\n$/);
  expect(code).toBe(130);
  expect(existsSync(join(folder, 'stopped/checkpoints/base.safetensors'))).toBe(true);
});

it.skipIf(process.platform === 'win32')('a closed pipe is no failure', () => {
  const script = 'set -o pipefail; "$0" "$@" | head -c 1 > /dev/null';
  const { status, stderr } = spawnSync('bash', ['-c', script, process.execPath, MAIN, 'recipes'], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
