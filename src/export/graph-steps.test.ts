/** A graph file quantized and pruned in one call, without a disk. */
import { describe, expect, it } from 'vitest';
import { float32, modelOf } from '../graph/ir.ts';
import { decodeModel, encodeModel } from '../graph/protobuf.ts';
import { Builder } from '../ops/builder.ts';
import { Qdq } from '../ops/qdq.ts';
import { referenceRuntime } from '../runtime/reference/index.ts';
import { type FileStore, memoryFiles } from '../util/files.ts';
import { Random } from '../util/random.ts';
import { pruneGraphFile } from './prune-graph.ts';
import { quantizeGraphFile } from './quantize-graph.ts';

/** 16 values, 64 neurons, 16 values. */
function files(): FileStore {
  const random = new Random(1);
  const normal = (rows: number, columns: number) =>
    float32(
      [rows, columns],
      Float32Array.from({ length: rows * columns }, () => random.normal()),
    );
  const b = new Builder('g');
  const x = b.input('x', 'float32', ['batch', 16]);
  const hidden = b.op('Relu', [x.matmul(b.initializer('w', normal(16, 64)))], {});
  b.output(hidden.matmul(b.initializer('v', normal(64, 16))), 'y');
  return memoryFiles({ 'g.onnx': encodeModel(modelOf(b.graph)) });
}

const MACS = 2 * 16 * 64;

describe('quantizeGraphFile', () => {
  it('writes integers, and says what it did', async () => {
    const store = files();
    const runtime = async () => referenceRuntime();
    const options = { dtype: 'int8', samples: 8, seed: 1, out: 'q.onnx' } as const;
    const report = await quantizeGraphFile(store, runtime, 'g.onnx', options);
    expect(report).toMatchObject({
      output: 'q.onnx',
      macsBefore: MACS,
      macsAfter: MACS,
      weights: 2,
      dtypes: { w: 'int8', v: 'int8' },
      kept: [],
      calibration: { data: 'random', samples: 8, method: 'mse' },
    });
    expect(report.bytesAfter).toBe(await store.size('q.onnx'));
    expect(new Qdq(decodeModel(await store.read('q.onnx')).graph).quantized).toBe(true);
  });

  it('to float16 runs nothing', async () => {
    const runtime = () => Promise.reject(new Error('no runtime is needed'));
    const report = await quantizeGraphFile(files(), runtime, 'g.onnx', {
      dtype: 'float16',
      seed: 1,
      out: 'h.onnx',
    });
    expect(report).toMatchObject({ weights: 2, kept: [] });
    expect(report.bytesAfter).toBeLessThan(0.6 * report.bytesBefore);
  });
});

it('pruneGraphFile leaves half of the multiply-adds', async () => {
  const store = files();
  const report = await pruneGraphFile(store, referenceRuntime(), 'g.onnx', {
    task: { kind: 'channels', importance: 'magnitude', target: { keep: 0.5, of: 'macs' } },
    seed: 1,
    out: 'p.onnx',
  });
  expect(report).toMatchObject({ macsBefore: MACS, macsAfter: MACS / 2 });
  expect(report.done).toEqual([expect.stringMatching(/^64 → 32 /)]);
  expect(decodeModel(await store.read('p.onnx')).graph.initializers.get('w')?.dims).toEqual([16, 32]);
});
