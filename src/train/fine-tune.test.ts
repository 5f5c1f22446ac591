/** Imported graphs train as PyTorch trains them, learn, and resume exactly. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../test/shared-data.ts';
import { float32, type Graph, int32, modelOf, type Tensor } from '../graph/ir.ts';
import { decodeModel } from '../graph/protobuf.ts';
import { verify } from '../graph/verify.ts';
import { importModel } from '../import/index.ts';
import { bindDims } from '../ops/bind-dims.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { doubles } from '../runtime/reference/tensor.ts';
import { memoryFiles } from '../util/files.ts';
import { Random } from '../util/random.ts';
import { type FineTuneOptions, fineTune, fineTuning } from './fine-tune.ts';
import { type Feeds, GraphLearner } from './graph-learner.ts';
import { classification } from './graph-losses.ts';
import { trainable } from './graph-training.ts';
import { makeOptimizer } from './language-model.ts';
import { restoreSnapshot, snapshot } from './tiny.ts';
import { weightsOf } from './weights-of.ts';

const runtime = await nativeRuntime();
const load = (name: string): Graph =>
  importModel(decodeModel(readFileSync(shared(name))), { foldNorms: false }).model.graph;

describe.runIf(HAS_DATA)(`weights of models of others ${NEEDS_DATA}`, () => {
  test.each([
    // 19 kernels, 19 norms of two vectors, a matrix and its bias
    ['cifar_resnet20_bn.onnx', 59, 269_722],
    // 9 kernels and a matrix with biases
    ['mlperftiny_kws_dscnn.onnx', 20, 22_604],
    ['mnist-12.onnx', 6, 5_994],
    ['gpt_nano_sort.onnx', 41, 85_728],
  ])('%s', (name, tensors, elements) => {
    const graph = load(name);
    const names = weightsOf(graph);
    const count = names.reduce((n, w) => n + (graph.initializers.get(w)?.data.length ?? 0), 0);
    expect([names.length, count]).toEqual([tensors, elements]);
  });
});

it('numbers that arithmetic needs are no weights', () => {
  const b = new Builder('test');
  const x = b.input('x', 'float32', ['N', 4]);
  const at = (name: string, dims: number[], values: number[]) => b.initializer(name, float32(dims, values));
  const standard = x.sub(at('mean', [4], [1, 2, 3, 4])).div(at('deviation', [4], [1, 2, 3, 4]));
  const y = b.op(
    'MatMul',
    [standard, b.op('Transpose', [at('w', [4, 4], [...Array(16).keys()])], { perm: [1, 0] })],
    {},
  );
  const shifted = y.add(at('bias', [4], [0, 0, 0, 0])).mul(at('half', [1], [0.5]));
  b.output(shifted.add(at('mask', [1, 4], [0, 0, 0, -1e9])).mul(at('gain', [4], [1, 1, 1, 1])), 'y');
  expect(weightsOf(b.graph)).toEqual(['w', 'bias', 'gain']);
});

interface Fixture {
  readonly batch: number;
  readonly rate: number;
  readonly momentum: number;
  readonly decay: number;
  readonly loss: number;
  readonly tensors: Readonly<Record<string, { readonly first: readonly number[]; readonly change: number }>>;
}
const PATH = new URL('../../bench/peers/fixtures/fine-tune.json', import.meta.url);
const FIXTURE = JSON.parse(readFileSync(PATH, 'utf8')) as Fixture;

describe.runIf(HAS_DATA)(`one step of ResNet-20 with norms ${NEEDS_DATA}`, async () => {
  if (!HAS_DATA) return;
  const before = load('cifar_resnet20_bn.onnx');
  const { batch, rate, momentum, decay, loss, tensors } = FIXTURE;
  const feeds: Feeds = {
    input: float32(
      [batch, 3, 32, 32],
      Float32Array.from({ length: batch * 3072 }, (_, i) => Math.sin(1.7 * i)),
    ),
    labels: int32([batch], [0, 1, 2, 3]),
  };
  using training = await fineTuning(runtime, before, {
    data: () => [
      { labels: feeds.labels as Tensor, [before.inputs[0]?.name as string]: feeds.input as Tensor },
    ],
    batchSize: batch,
    schedule: { kind: 'constant', rate },
    optimizer: { kind: 'sgd', momentum, weightDecay: decay },
    seed: 1,
  });
  const metrics = await training.step(0);
  const after = training.trained();
  const change = (name: string): number => {
    const [a, b] = [before, after].map(g => g.initializers.get(name)?.data as Float32Array) as [
      Float32Array,
      Float32Array,
    ];
    return Math.hypot(...a.map((v, i) => v - (b[i] as number)));
  };

  it('has PyTorch’s loss', () => expect(metrics.loss).toBeCloseTo(loss, 4));

  test.each(Object.entries(tensors))('%s moves as in PyTorch', (name, { first, change: moved }) => {
    // PyTorch keeps the sample's variance, ONNX the population's: n/(n − 1) with n ≥ 256
    const tolerance = /running_var/.test(name) ? 1e-2 : 1e-3;
    expect(Math.abs(change(name) / moved - 1)).toBeLessThan(tolerance);
    const values = after.initializers.get(name)?.data as Float32Array;
    first.forEach(
      (v, i) => void expect(Math.abs((values[i] as number) - v)).toBeLessThan(tolerance * Math.max(1, moved)),
    );
  });
});

/** Conv, norm, Dropout and a matrix on images [N, 1, 6, 6]; classes are the quadrant that is bright. */
function network(): Graph {
  const random = new Random(3);
  const b = new Builder('quadrants');
  const noise = (name: string, dims: number[], scale: number) =>
    b.initializer(
      name,
      float32(
        dims,
        Float32Array.from({ length: dims.reduce((p, d) => p * d, 1) }, () => scale * random.normal()),
      ),
    );
  const same = (name: string, value: number) => b.initializer(name, float32([4], Array(4).fill(value)));
  const x = b.input('x', 'float32', ['N', 1, 6, 6]);
  const conv = b.op('Conv', [x, noise('conv.weight', [4, 1, 3, 3], 0.3)], { strides: [3, 3] });
  const norm = [same('gain', 1), same('shift', 0), same('mean', 0), same('var', 1)];
  const h = b.op('Relu', [b.op('BatchNormalization', [conv, ...norm], {})], {});
  const flat = b.op('Flatten', [b.op('Dropout', [h, b.constant(float32([], [0.25]))], {})], {});
  const logits = b.op('Gemm', [flat, noise('fc.weight', [16, 4], 0.1), same('fc.bias', 0)], {});
  b.output(logits.softmax(-1), 'y');
  return importModel(modelOf(b.graph), { foldNorms: false }).model.graph;
}

function quadrants(random: Random, count: number): Feeds {
  const labels = Int32Array.from({ length: count }, () => random.int(4));
  const x = Float32Array.from({ length: count * 36 }, (_, i) => {
    const [row, column] = [Math.floor((i % 36) / 6), i % 6];
    const quadrant = 2 * Math.floor(row / 3) + Math.floor(column / 3);
    return random.normal() + (quadrant === labels[Math.floor(i / 36)] ? 1 : 0);
  });
  return { x: float32([count, 1, 6, 6], x), labels: int32([count], labels) };
}

const options: FineTuneOptions = {
  data: (_, random) => [quadrants(random, 32)],
  batchSize: 32,
  schedule: { kind: 'cosine', rate: 0.02, finalRate: 0.001, steps: 150 },
  optimizer: { kind: 'adamw', weightDecay: 0.01 },
  seed: 5,
};

const accuracyOf = (graph: Graph, feeds: Feeds): number => {
  const y = doubles(evaluate(graph, { x: feeds.x as Tensor }).y as Tensor);
  const labels = feeds.labels?.data as Int32Array;
  const right = labels.filter((label, i) => {
    const row = [...y.subarray(4 * i, 4 * i + 4)];
    return row.indexOf(Math.max(...row)) === label;
  });
  return right.length / labels.length;
};

describe('fine-tuning', () => {
  it('learns, and the trained graph is the one that came in with other values', async () => {
    const graph = network();
    const held = quadrants(new Random(99), 256);
    const model = await fineTune(
      runtime,
      modelOf(graph),
      { ...options, emaDecay: 0.9 },
      { files: memoryFiles(), folder: 'run' },
      { stage: 'tune', steps: 150 },
    );
    verify(model);
    expect(model.graph.nodes).toEqual(graph.nodes);
    expect(model.graph.initializers.get('mean')).not.toEqual(graph.initializers.get('mean'));
    expect(accuracyOf(graph, held)).toBeLessThan(0.5);
    expect(accuracyOf(model.graph, held)).toBeGreaterThan(0.9);
  });

  it('goes on from a snapshot to the same bits, dropout and statistics included', async () => {
    using whole = await fineTuning(runtime, network(), { ...options, emaDecay: 0.9 });
    for (let i = 0; i < 3; i++) await whole.step(i);
    const middle = snapshot(whole);
    for (let i = 3; i < 6; i++) await whole.step(i);
    using resumed = await fineTuning(runtime, network(), { ...options, emaDecay: 0.9 });
    restoreSnapshot(resumed, middle);
    for (let i = 3; i < 6; i++) await resumed.step(i);
    expect(snapshot(resumed)).toEqual(snapshot(whole));
  });

  it('two batches of a step count as one of their mean', async () => {
    const [a, b] = [quadrants(new Random(1), 32), quadrants(new Random(2), 32)];
    const form = trainable(bindDims(network(), new Map([['N', 32]]), 'all'), {
      trainNorms: false,
      dropout: 0,
    });
    const learner = () =>
      GraphLearner.create(runtime, form, network().initializers, classification(), new Random(1), {
        optimizer: makeOptimizer({ kind: 'sgd', momentum: 0 }),
      });
    using both = await learner();
    for (const feeds of [a, b]) await both.backward(feeds, new Random(1));
    await both.update(0.1);
    const moves = await Promise.all(
      [a, b].map(async feeds => {
        using one = await learner();
        await one.backward(feeds, new Random(1));
        await one.update(0.1);
        return one.store.flat.slice();
      }),
    );
    both.store.flat.forEach(
      (v, i) => void expect(v).toBeCloseTo(((moves[0]?.[i] ?? 0) + (moves[1]?.[i] ?? 0)) / 2, 5),
    );
  });

  it('a loss reads features, further inputs and parameters of its own', async () => {
    const graph = network();
    const feature = graph.nodes.find(n => n.opType === 'Relu')?.outputs[0] as string;
    using training = await fineTuning(runtime, graph, {
      ...options,
      dropout: 0,
      data: (_, random) => {
        const feeds = quadrants(random, 32);
        const { labels: _labels, ...inputs } = feeds;
        return [
          {
            ...inputs,
            teacher: float32(
              [32, 2],
              Float32Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? 1 : -1)),
            ),
          },
        ];
      },
      loss: c => {
        const student = c.value(feature).mean([2, 3], false);
        const projected = c.b.op(
          'MatMul',
          [student, c.parameter('projection', [4, 2], { kind: 'normal', std: 0.1 })],
          {},
        );
        const error: Value = projected.sub(c.input('teacher', 'float32', [32, 2]));
        return { loss: error.mul(error).mean(undefined, false) };
      },
    });
    const losses: number[] = [];
    for (let i = 0; i < 60; i++) losses.push((await training.step(i)).loss as number);
    expect(losses.at(-1)).toBeLessThan(0.2 * (losses[0] as number));
    expect(training.trained().initializers.has('projection')).toBe(false);
  });

  it.runIf(HAS_DATA)(`trains what was exported for one example ${NEEDS_DATA}`, async () => {
    const graph = load('mnist-12.onnx');
    const random = new Random(1);
    const images = float32(
      [16, 1, 28, 28],
      Float32Array.from({ length: 16 * 784 }, () => 255 * random.uniform()),
    );
    using training = await fineTuning(runtime, graph, {
      ...options,
      batchSize: 16,
      data: () => [
        {
          [graph.inputs[0]?.name as string]: images,
          labels: int32(
            [16],
            [...Array(16).keys()].map(i => i % 10),
          ),
        },
      ],
    });
    const losses: number[] = [];
    for (let i = 0; i < 40; i++) losses.push((await training.step(i)).loss as number);
    expect(losses.at(-1)).toBeLessThan(0.5 * (losses[0] as number));
    expect(training.trained().inputs).toEqual(graph.inputs);
  });

  it('says what it cannot train', async () => {
    const graph = network();
    expect(() => trainable(graph, { parameters: ['nobody'] })).toThrow('it has no initializer "nobody"');
    const b = new Builder('none');
    b.output(b.input('x', 'float32', [2]).exp(), 'y');
    expect(() => trainable(b.graph)).toThrow('it has no weights to train');
    const mixed = new Builder('mixed');
    const w = mixed.initializer('w', float32([3, 2], [1, 2, 3, 4, 5, 6]));
    mixed.output(mixed.input('x', 'float32', [1, 3]).matmul(w).sum([0]), 'y');
    await expect(fineTuning(runtime, mixed.graph, options)).rejects.toThrow(
      'it is for batches of 1 and cannot take 32',
    );
    using training = await fineTuning(runtime, graph, { ...options, data: () => [{ x: float32([1], [1]) }] });
    await expect(training.step(0)).rejects.toThrow(
      'the batch\'s "x" is float32[1], float32[32,1,6,6] is needed',
    );
  });
});
