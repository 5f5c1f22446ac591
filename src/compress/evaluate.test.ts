import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../test/shared-data.ts';
import { nodeFiles } from '../cli/node-files.ts';
import { fitExamples } from '../data/examples/fit.ts';
import { openExamples } from '../data/examples/open.ts';
import { readRecords } from '../data/examples/records.ts';
import { type Dim, float32, type Model, modelOf } from '../graph/ir.ts';
import { decodeModel } from '../graph/protobuf.ts';
import { Builder } from '../ops/builder.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import { referenceRuntime } from '../runtime/reference/index.ts';
import { accuracyOf, compareModels } from './evaluate.ts';

const root = new URL('../../', import.meta.url);

describe.runIf(HAS_DATA)(`published models ${NEEDS_DATA}`, () => {
  it.each([
    ['cifar_resnet20.onnx', 'cifar10-test.json', 0.811],
    ['mlperftiny_kws_dscnn.onnx', 'keywords.json', 0.901],
  ])('%s is right on its published share', async (file, data, accuracy) => {
    const model = decodeModel(readFileSync(shared(file)));
    const examples = await openExamples(
      nodeFiles(),
      new URL(`bench/data/${data}`, root).pathname,
      model.graph.inputs,
    );
    const got = await accuracyOf(await nativeRuntime(), model, examples);
    expect(got.accuracy).toBeCloseTo(accuracy, 3);
    expect(got.interval[0]).toBeLessThan(got.accuracy);
    expect(got.interval[1]).toBeGreaterThan(got.accuracy);
  });
});

/** y = x · diagonal: the class of a row is where its largest weighted value stands. */
function scaled(batch: Dim, diagonal: readonly number[]): Model {
  const b = new Builder();
  const n = diagonal.length;
  const weight = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? diagonal[i % n] : 0));
  b.output(
    b.op('MatMul', [b.input('x', 'float32', [batch, n]), b.constant(float32([n, n], weight))], {}),
    'y',
  );
  return modelOf(b.graph);
}

/** Rows (1, 0), (0, 1), (1, 0), of which the last is labelled wrongly. */
const rows = readRecords(
  Uint8Array.of(0, 1, 0, 1, 0, 1, 1, 1, 0),
  { shape: [2], dtype: 'uint8', label: 'uint8' },
  'rows',
);

describe('of graphs with known answers', () => {
  const runtime = referenceRuntime();

  it.each(['N', 1, 2, 5])('accuracy is 2 of 3 at batch %s', async batch => {
    const model = scaled(batch, [1, 1]);
    const got = await accuracyOf(runtime, model, fitExamples(rows, model.graph.inputs), { batch: 2 });
    expect([got.correct, got.count, ...got.predictions]).toEqual([2, 3, 0, 1, 0]);
  });

  it('equal models agree without noise, scaled ones by 20 dB for a tenth', async () => {
    const [a, b] = [scaled('N', [1, 1]), scaled('N', [0.9, 0.9])];
    const examples = fitExamples(rows, a.graph.inputs);
    expect((await compareModels(runtime, a, a, examples)).sqnr.y).toBe(Number.POSITIVE_INFINITY);
    const { sqnr, agreement } = await compareModels(runtime, a, b, examples, { batch: 2 });
    expect(sqnr.y).toBeCloseTo(20, 4);
    expect(agreement?.accuracy).toBe(1);
  });

  it('labels that are missing and outputs without classes are said', async () => {
    const model = scaled('N', [1, 1]);
    const { labels: _, ...unlabelled } = fitExamples(rows, model.graph.inputs);
    await expect(accuracyOf(runtime, model, unlabelled)).rejects.toThrow('rows: there are no labels');
    await expect(
      accuracyOf(runtime, model, { ...unlabelled, labels: new Int32Array(3) }, { output: 'z' }),
    ).rejects.toThrow('the model has no output "z"');
  });
});
