/** `gaslaw prune` on real models, run as users run it. */
import { copyFileSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { float32 } from '../src/graph/ir.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { gaslaw, jsonOf } from './gaslaw.ts';
import { HAS_DATA, NEEDS_DATA, shared } from './shared-data.ts';

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-prune-'));
if (HAS_DATA) {
  copyFileSync(shared('mlperftiny_kws_dscnn.onnx'), join(folder, 'kws.onnx'));
  copyFileSync(shared('gpt_nano_sort.onnx'), join(folder, 'sort.onnx'));
}

const KEYWORDS = join(import.meta.dirname, '../bench/data/keywords.json');

interface Result {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly macsBefore: number;
  readonly macsAfter: number;
  readonly quality: string;
  readonly qualityBefore: number;
  readonly qualityAfter: number;
  readonly qualityInterval: readonly [number, number];
}

describe.runIf(HAS_DATA)(`gaslaw prune ${NEEDS_DATA}`, () => {
  it('halves the multiply-adds of a model that ONNX Runtime then runs', async () => {
    const args = ['prune', 'kws.onnx', '--keep', '0.5', '--align', '8', '--out', 'small.onnx', '--json'];
    const result = jsonOf(gaslaw(folder, args)) as Result;
    expect(result.macsAfter / result.macsBefore).toBeLessThanOrEqual(0.5);
    expect(result.bytesAfter).toBeLessThan(0.7 * result.bytesBefore);
    const runtime = await nativeRuntime();
    using program = await runtime.compile(decodeModel(readFileSync(join(folder, 'small.onnx'))));
    const out = await program.call({ mfcc: float32([1, 49, 10, 1], new Float32Array(490).fill(0.5)) });
    const scores = Object.values(out)[0]?.data as Float32Array;
    expect(scores).toHaveLength(12);
    expect(scores.every(Number.isFinite)).toBe(true);
  });

  it('sets two weights of four to 0', () => {
    const ended = gaslaw(folder, ['prune', 'sort.onnx', '--sparsity', '2:4', '--out', 'sparse.onnx']);
    expect(ended.status).toBe(0);
    expect(ended.stdout.match(/50\.0 % zeros/g)?.length).toBeGreaterThan(5);
  });

  const withData = (...args: string[]) =>
    jsonOf(
      gaslaw(folder, ['prune', 'kws.onnx', '--data', KEYWORDS, '--out', 'kws2.onnx', '--json', ...args]),
    );

  it('by data, measured on examples that it has not seen', () => {
    const result = withData('--keep', '0.9', '--importance', 'taylor', '--samples', '300') as Result;
    expect(result.quality).toBe('accuracy');
    // 900 of 1,000 keywords are right before
    expect(result.qualityBefore).toBeGreaterThan(0.85);
    expect(result.qualityAfter).toBeGreaterThan(0.5);
    expect(result.qualityInterval[0]).toBeLessThan(result.qualityAfter);
  });

  it('recovers, with channels as the device computes them', () => {
    const args = ['--keep', '0.6', '--eval', KEYWORDS, '--device', 'arm-ethos-u55-128'];
    const bare = withData(...args) as Result;
    const recovered = withData(...args, '--recover', '4') as Result;
    expect(recovered.macsAfter).toBe(bare.macsAfter);
    expect(recovered.qualityAfter).toBeGreaterThan(bare.qualityAfter + 0.1);
    const { initializers } = decodeModel(readFileSync(join(folder, 'kws2.onnx'))).graph;
    for (const { dims } of initializers.values())
      if (dims.length === 4) expect((dims[0] as number) % 16).toBe(0);
  });

  it.each([
    [['--out', 'x.onnx'], /give either --keep SHARE \(channels\), --layers N/],
    [['--keep', '0.5', '--importance', 'taylor', '--out', 'x.onnx'], /taylor needs examples .*: give data/],
    [['--keep', '0.5', '--recover', '2', '--out', 'x.onnx'], /recovery learns from examples: give data/],
    [['--keep', '2', '--out', 'x.onnx'], /--keep is "2"; give a number between/],
    [['--keep', '0.5', '--importance', 'scale', '--out', 'x.onnx'], /needs batch normalizations/],
    [['--keep', '0.01', '--out', 'x.onnx'], /leaves 0\.\d\d of the macs, more than 0\.01/],
    [['--sparsity', '3:7', '--out', 'x.onnx'], /a multiple of 7|can become sparse/],
  ])('%j is refused in one sentence', (args, message) => {
    const { status, stderr } = gaslaw(folder, ['prune', 'kws.onnx', ...args]);
    expect(status).toBeGreaterThan(0);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});
