/** `gaslaw compress` on a real model, run as users run it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { textOf } from '../src/report/fixtures/page.ts';
import { gaslaw, jsonOf, MAIN } from './gaslaw.ts';
import { HAS_DATA, NEEDS_DATA, shared } from './shared-data.ts';

vi.setConfig({ testTimeout: 300_000 }); // whole runs of the program, several each

const root = join(import.meta.dirname, '..');
const model = shared('mlperftiny_kws_dscnn.onnx');
const data = join(root, 'bench/data/keywords.json');
const folder = mkdtempSync(join(tmpdir(), 'gaslaw-compress-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Figures {
  readonly name: string;
  readonly accuracy: number;
  readonly accuracyInterval: readonly [number, number];
  readonly bytes: number;
  readonly peakMemoryBytes: number;
  readonly estimatedMs?: number;
}

interface Result {
  readonly device: string;
  readonly met: boolean;
  readonly baseline: Figures;
  readonly result: Figures & { readonly output: string };
  readonly front: readonly Figures[];
  readonly files: readonly string[];
}

describe.runIf(HAS_DATA)(`gaslaw compress of the keyword model ${NEEDS_DATA}`, () => {
  const base = ['compress', model, '--data', data, '--json', '--max-drop', '1'];

  it('for an STM32 loses less than a point at a quarter of the memory', () => {
    const args = [...base, '--device', 'stm32l4r5', '--epochs', '0', '--out', 'stm32'];
    const result = jsonOf(gaslaw(folder, args)) as Result;
    expect(result).toMatchObject({ device: 'stm32l4r5', met: true });
    expect(result.result.accuracy).toBeGreaterThanOrEqual(result.baseline.accuracy - 0.01);
    expect(result.result.peakMemoryBytes).toBeLessThan(result.baseline.peakMemoryBytes / 3);
    expect(result.result.bytes).toBeLessThan(result.baseline.bytes / 2);
    expect(result.result.accuracyInterval[0]).toBeLessThan(result.result.accuracy);
    expect(result.files.map(f => f.replace(/.*\//, ''))).toContain('model.tflite');
    for (const file of result.files) expect(existsSync(join(folder, file))).toBe(true);
    expect(result.front.length).toBeGreaterThan(0);
  });

  it('killed in the middle goes on from there', async () => {
    const args = [...base, '--device', 'stm32l4r5', '--epochs', '0', '--out', 'killed'];
    await killedAt(args, 'int8:');
    expect(existsSync(join(folder, 'killed/candidates/int8.json'))).toBe(true);
    expect(existsSync(join(folder, 'killed/front.json'))).toBe(false);
    const before = statSync(join(folder, 'killed/candidates/int8.json')).mtimeMs;
    const resumed = jsonOf(gaslaw(folder, args)) as Result;
    expect(resumed.met).toBe(true);
    expect(statSync(join(folder, 'killed/candidates/int8.json')).mtimeMs).toBe(before);
  });

  it.each([
    [['--device', 'nowhere'], 2, 'no device "nowhere"'],
    [
      ['--device', 'stm32l4r5', '--data', join(root, 'bench/data/cifar10-test.json')],
      1,
      'an example is [3, 32, 32], but',
    ],
    [['--device', 'stm32l4r5', '--data', 'nothing.npz'], 1, 'nothing.npz: no such file or folder'],
    [['--device', 'ambarella-cv72', '--max-latency', '3'], 2, 'nobody published measurements'],
  ])('%s is one sentence', (args, status, message) => {
    const ended = gaslaw(folder, ['compress', model, '--data', data, '--out', 'bad', ...args]);
    expect([ended.status, ended.stdout]).toEqual([status, '']);
    expect(ended.stderr).toContain(message);
    expect(ended.stderr).not.toContain('    at ');
  });
});

const stories = shared('stories260K.bin');

describe.runIf(HAS_DATA)(`gaslaw compress of a language model ${NEEDS_DATA}`, () => {
  const text = join(folder, 'text.txt');
  if (HAS_DATA)
    writeFileSync(text, readFileSync(shared('tinystories_niklas6_197k.txt'), 'utf8').slice(0, 30_000));
  const base = ['compress', stories, '--device', 'cpu-x86-vnni', '--json'];

  interface Language {
    readonly met: boolean;
    readonly missed: readonly string[];
    readonly files: readonly string[];
    readonly baseline: { readonly bytes: number; readonly perplexity: number };
    readonly result: {
      readonly name: string;
      readonly output: string;
      readonly bytes: number;
      readonly perplexity: number;
    };
    readonly candidates: readonly {
      readonly name: string;
      readonly bytes: number;
      readonly perplexity: number;
    }[];
  }

  it('takes the fewest bits within a hundredth of perplexity, and the next time reads what it knows', () => {
    const args = [...base, '--data', text, '--max-drop', '1', '--out', 'stories'];
    const ended = gaslaw(folder, args);
    const result = jsonOf(ended) as Language;
    expect(result.met).toBe(true);
    expect(result.result.perplexity).toBeLessThan(1.01 * result.baseline.perplexity);
    const sizes = result.candidates.map(c => c.bytes);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    const smaller = result.candidates.filter(c => c.bytes < result.result.bytes);
    for (const c of smaller) expect(c.perplexity).toBeGreaterThan(1.01 * result.baseline.perplexity);
    expect(result.files[0]).toBe('stories/model.gguf');
    const [top, chosen] = ['stories/model.gguf', result.result.output].map(f =>
      readFileSync(join(folder, f)),
    );
    expect(top?.equals(chosen as Buffer)).toBe(true);
    const page = readFileSync(join(folder, 'stories/report.html'), 'utf8');
    // the front, a matrix of the model before and after, the command
    for (const part of [
      'Pareto',
      'likelihood',
      'model.layers.4.mlp.down_proj.weight',
      '32 bit →',
      'gaslaw compress',
    ])
      expect(page).toContain(part);
    expect(textOf(page)).not.toMatch(/NaN|undefined/);
    const narrow = jsonOf(
      gaslaw(folder, [...base, '--data', text, '--max-memory', '1000', '--out', 'stories']),
    ) as Language;
    expect(narrow.met).toBe(false);
    expect(narrow.missed[0]).toMatch(/^memory \d+ bytes where 1000 are allowed/);
    expect(narrow.result.bytes).toBe(Math.min(...sizes));
  });

  it.each([
    [[], 'without a text nothing is known of quality; give one, or a limit on memory (--data)'],
    [['--data', text, '--max-latency', '1'], '--max-latency: this is for graphs'],
    [['--data', text, '--device', 'arm-ethos-u55-128'], 'none of which a language model is written in'],
  ])('%s is one sentence', (args, message) => {
    const ended = gaslaw(folder, [...base, ...args]);
    expect([ended.status, ended.stdout]).toEqual([2, '']);
    expect(ended.stderr).toContain(message);
  });
});

/** Kills `gaslaw …args` at once when it has said a line that begins so. */
async function killedAt(args: readonly string[], line: string): Promise<void> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.includes(`\n${line}`)) child.kill('SIGKILL');
  });
  await once(child, 'exit');
}
