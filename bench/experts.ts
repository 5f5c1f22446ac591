/**
 * Routed experts: computing them only where tokens go beside computing all of them for all tokens, in milliseconds.
 * Usage: npm run bench -- experts [--rounds N]
 *
 * 1. `all` is the strongest form of the dense way: every expert's matrices as one product, outputs weighted by gates that
 *    are 0 for experts not chosen. The same numbers as the sorted form, from E/K times the multiplications.
 * 2. Training is forward and backward over x, gates and weights; decoding one step of few tokens with fixed weights,
 *    where ONNX Runtime's own kernel takes part. Forms take turns; medians of rounds.
 */
import { gradients } from '../src/autodiff/gradients.ts';
import { lower } from '../src/autodiff/lower.ts';
import { float32, int64, modelOf, sizeOf, type Tensor } from '../src/graph/ir.ts';
import { type Experts, expertMatrices, sortedExperts } from '../src/nn/experts.ts';
import { silu } from '../src/nn/layers.ts';
import { normal, ParameterStore, ParameterTrace, type Scope } from '../src/nn/parameters.ts';
import { oneHot, type Routing } from '../src/nn/routing.ts';
import { Builder, type Value } from '../src/ops/builder.ts';
import { modelFor } from '../src/ops/opset.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Binding, Runtime } from '../src/runtime/runtime.ts';
import { Random } from '../src/util/random.ts';
import { median } from '../src/util/statistics.ts';

type Form = (scope: Scope, e: Experts, x: Value, routing: Routing) => Value;

/** All experts' matrices as [E, rows, columns]. */
const stack = (matrices: readonly Value[]): Value => {
  const first = matrices[0] as Value;
  const [rows, columns] = first.shape as [number, number];
  return first.builder.concat(matrices, 0).reshape([matrices.length, rows, columns]);
};

/** ONNX Runtime's kernel; it wants gate and up interleaved. Its softmax of log g gives back g where gates add up to 1. */
const kernel: Form = (scope, e, x, { chosen, gates }) => {
  const { up, down } = expertMatrices(scope, e);
  const woven = stack(up)
    .reshape([e.count, 2, e.width, e.hiddenSize])
    .transpose([0, 2, 1, 3])
    .reshape([e.count, 2 * e.width, e.hiddenSize]);
  const weights = oneHot(chosen, e.count)
    .mul(gates.unsqueeze([2]))
    .sum([1], false);
  return x.builder.op('com.microsoft.MoE', [x, weights.add(1e-30).log(), woven, undefined, stack(down)], {
    k: e.topK,
    activation_type: 'swiglu',
    activation_alpha: 1,
    activation_beta: 0,
    swiglu_fusion: 1,
    normalize_routing_weights: 1,
  });
};

/** Σ over all experts, gates 0 where one is not chosen. */
const allExperts: Form = (scope, e, x, { chosen, gates }) => {
  const { up, down } = expertMatrices(scope, e);
  const stacked = { up: stack(up), down: stack(down) };
  const { count, width, hiddenSize } = e;
  const product = (a: Value, w: Value) => a.builder.op('com.microsoft.FusedMatMul', [a, w], { transB: 1 });
  const hidden = product(x, stacked.up.reshape([count * 2 * width, hiddenSize])).reshape([
    -1,
    count,
    2 * width,
  ]);
  const [gate, linear] = hidden.split([width, width]) as [Value, Value];
  const weights = oneHot(chosen, count)
    .mul(gates.unsqueeze([2]))
    .sum([1], false)
    .unsqueeze([2]);
  const weighted = silu(gate)
    .mul(linear)
    .mul(weights)
    .reshape([-1, count * width]);
  return weighted.matmul(stacked.down.transpose([0, 2, 1]).reshape([count * width, hiddenSize]));
};

const init = { in: normal(0.1), out: normal(0.1) };
const SHAPES: readonly { name: string; tokens: number; decoded: number; experts: Experts }[] = [
  {
    name: '16 experts of 88, 3 chosen',
    tokens: 4096,
    decoded: 32,
    experts: { count: 16, topK: 3, hiddenSize: 128, width: 88, init },
  },
  {
    name: '64 experts of 176, 6 chosen',
    tokens: 1024,
    decoded: 32,
    experts: { count: 64, topK: 6, hiddenSize: 256, width: 176, init },
  },
];

/** Medians of both forms for training and decoding. */
export async function benchExperts(rounds: number) {
  const runtime = await nativeRuntime();
  const results = [];
  for (const shape of SHAPES) {
    const training = await race(rounds, {
      sorted: await trainingStep(runtime, sortedExperts, shape.experts, shape.tokens),
      all: await trainingStep(runtime, allExperts, shape.experts, shape.tokens),
    });
    const decoding = await race(rounds, {
      kernel: await decodingStep(runtime, kernel, shape.experts, shape.decoded),
      sorted: await decodingStep(runtime, sortedExperts, shape.experts, shape.decoded),
      all: await decodingStep(runtime, allExperts, shape.experts, shape.decoded),
    });
    const { name, tokens, decoded } = shape;
    results.push({
      shape: name,
      trainingTokens: tokens,
      trainingMs: training,
      decodedTokens: decoded,
      decodingMs: decoding,
    });
  }
  return results;
}

/** Milliseconds a run of each, in turns. */
async function race<K extends string>(
  rounds: number,
  runs: Readonly<Record<K, Binding>>,
): Promise<Record<K, number>> {
  const entries = Object.entries(runs) as [K, Binding][];
  const times = new Map<K, number[]>(entries.map(([name]) => [name, []]));
  for (const [, run] of entries) await run.run();
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of entries) {
      const start = performance.now();
      await run.run();
      times.get(name)?.push(performance.now() - start);
    }
  }
  for (const [, run] of entries) run[Symbol.dispose]();
  return Object.fromEntries(entries.map(([name]) => [name, median(times.get(name) ?? [])])) as Record<
    K,
    number
  >;
}

interface Traced {
  readonly b: Builder;
  readonly trace: ParameterTrace;
  readonly x: Value;
  readonly gates: Value;
  readonly y: Value;
}

function traced(form: Form, e: Experts, tokens: number, weights?: (name: string) => Tensor): Traced {
  const b = new Builder('experts');
  const trace = new ParameterTrace(b, weights ?? 'inputs');
  const x = b.input('x', 'float32', [tokens, e.hiddenSize]);
  const gates = b.input('gates', 'float32', [tokens, e.topK]);
  const chosen = b.input('chosen', 'int64', [tokens, e.topK]);
  const y = form(trace.scope(), e, x, { chosen, gates, scores: gates });
  return { b, trace, x, gates, y };
}

/** Inputs of `tokens` tokens: a random choice of experts each, gates that add up to 1. */
function feedsOf(e: Experts, tokens: number): Record<string, Tensor> {
  const random = new Random(1);
  const choices = Array.from({ length: tokens }, () => {
    const order = Array.from({ length: e.count }, (_, j) => ({ j, key: random.uniform() }));
    return order
      .sort((a, b) => a.key - b.key)
      .slice(0, e.topK)
      .map(({ j }) => j);
  });
  return {
    x: filled([tokens, e.hiddenSize], () => random.uniform() - 0.5),
    gates: filled([tokens, e.topK], () => 1 / e.topK),
    chosen: int64([tokens, e.topK], choices.flat()),
  };
}

const filled = (dims: readonly number[], value: () => number): Tensor =>
  float32(dims, Float32Array.from({ length: dims.reduce((n, d) => n * d, 1) }, value));

function storeOf(e: Experts): ParameterStore {
  const { trace } = traced(sortedExperts, e, 1);
  const store = new ParameterStore(trace.specs);
  const random = new Random(2);
  store.flat.forEach((_, i) => {
    store.flat[i] = 0.2 * (random.uniform() - 0.5);
  });
  return store;
}

async function trainingStep(runtime: Runtime, form: Form, e: Experts, tokens: number): Promise<Binding> {
  const { b, trace, x, gates, y } = traced(form, e, tokens);
  const wanted = [x, gates, ...trace.values()];
  const grads = gradients(b, y.mul(y).mean(), wanted);
  grads.forEach((g, i) => void b.output(g, `grad:${wanted[i]?.name}`));
  const program = await runtime.compile(modelOf(lower(b.graph)), { threads: 2 });
  const store = storeOf(e);
  const weights = trace.values().map(v => [v.name, store.tensor(v.name)] as const);
  const into = wanted.map(v => {
    const dims = v.shape as readonly number[]; // all dims are numbers here
    return [`grad:${v.name}`, float32(dims, new Float32Array(sizeOf(dims)))] as const;
  });
  return program.bind({ ...feedsOf(e, tokens), ...Object.fromEntries([...weights, ...into]) });
}

async function decodingStep(runtime: Runtime, form: Form, e: Experts, tokens: number): Promise<Binding> {
  const store = storeOf(e);
  const { b, y } = traced(form, e, tokens, name => store.tensor(name));
  b.output(y, 'y');
  const program = await runtime.compile(modelFor(lower(b.graph)), { threads: 2 });
  const output = float32([tokens, e.hiddenSize], new Float32Array(tokens * e.hiddenSize));
  return program.bind({ ...feedsOf(e, tokens), y: output });
}
