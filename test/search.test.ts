/** `gaslaw search` on a real model, run as users run it. */
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { float32 } from '../src/graph/ir.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { gaslaw, jsonOf } from './gaslaw.ts';
import { HAS_DATA, NEEDS_DATA, shared } from './shared-data.ts';

interface Point {
  readonly output: string;
  readonly accuracy: number;
  readonly bytes: number;
  readonly macs: number;
  readonly estimatedMs: number;
}

describe.runIf(HAS_DATA)(`gaslaw search ${NEEDS_DATA}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'gaslaw-search-'));
  if (HAS_DATA)
    for (const name of ['mlperftiny_kws_dscnn.onnx', 'kws01_1000.bin'])
      copyFileSync(shared(name), join(folder, name));
  const spec = {
    path: 'kws01_1000.bin',
    records: { shape: [49, 10], dtype: 'int8' },
    preprocess: { scale: 0.5847029, zeroPoint: 83 },
  };
  writeFileSync(join(folder, 'kws.json'), JSON.stringify(spec));
  const search = (...more: string[]) =>
    gaslaw(folder, ['search', 'mlperftiny_kws_dscnn.onnx', '--data', 'kws.json', '--out', 'found', ...more]);
  const quick = ['--epochs', '0.2', '--population', '4', '--generations', '1', '--widths', '0.5'];

  it('writes a front of networks that ONNX Runtime runs', async () => {
    const args = ['--device', 'arm-cortex-m4', '--eval', 'kws.json', ...quick, '--json'];
    const result = jsonOf(search(...args)) as { met: boolean; baseline: Point; front: readonly Point[] };
    expect(result.met).toBe(true);
    expect(result.baseline.accuracy).toBe(0.901);
    expect(JSON.parse(readFileSync(join(folder, 'found/front.json'), 'utf8'))).toEqual(result);
    const [best, ...others] = result.front as [Point, ...Point[]];
    for (const other of others) expect(other.estimatedMs).toBeLessThan(best.estimatedMs);
    const runtime = await nativeRuntime();
    for (const { output } of result.front) {
      using program = await runtime.compile(decodeModel(readFileSync(join(folder, output))));
      const [input] = program.inputs;
      const out = await program.call({ [input?.name ?? '']: float32([2, 49, 10, 1], new Float32Array(980)) });
      expect(Object.values(out)[0]?.dims).toEqual([2, 12]);
    }
  }, 120_000);

  it('by blocks: scored parts, an exact choice, and how much of the box the front covers', () => {
    const args = [
      '--device',
      'arm-cortex-m4',
      '--method',
      'blocks',
      '--points',
      '3',
      '--epochs',
      '0',
      '--json',
    ];
    const result = jsonOf(search(...args)) as {
      front: readonly Point[];
      baseline: Point;
      hypervolume: number;
    };
    expect(result.front.length).toBeGreaterThan(0);
    for (const { macs } of result.front) expect(macs).toBeLessThanOrEqual(result.baseline.macs);
    expect(result.hypervolume).toBeGreaterThan(0);
    expect(result.hypervolume).toBeLessThan(1);
  }, 120_000);

  it('says how near it came to a budget that nothing meets, and ends well', () => {
    const ended = search('--device', 'arm-cortex-m4', ...quick, '--max-memory', '1000');
    expect(ended.status).toBe(0);
    expect(ended.stdout).toMatch(/none of \d+ is within the limits; the nearest takes .* and .*B at/);
  }, 120_000);

  it.each([
    [['--device', 'toaster'], /toaster/],
    [['--device', 'arm-cortex-m4', '--bits', '7'], /--bits 7: give 8, 32 or both/],
    [
      ['--device', 'arm-cortex-m4', '--max-energy', '1'],
      /--max-energy: nothing published says what a layer costs arm-cortex-m4 in energy/,
    ],
    [['--device', 'arm-cortex-m4', '--widths', '0.5,0.5'], /an item is there twice/],
  ])('%j is refused in one sentence', (args, message) => {
    const { status, stderr } = search(...args);
    expect(status).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});
