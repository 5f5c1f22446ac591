/** Optimizers against PyTorch's values (bench/peers/reference_adamw.py). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { referenceRuntime } from '../../runtime/reference/index.ts';
import { ParameterStore, zeroInit } from '../parameters.ts';
import { adamw } from './adamw.ts';
import { CHUNK, chunkRanges } from './chunked.ts';
import { GlobalNorm } from './elementwise.ts';
import { muon } from './muon.ts';
import { rateAt } from './schedule.ts';

interface Numbers {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}
interface MuonFixture {
  readonly learningRate: number;
  readonly momentum: number;
  readonly initial: Numbers;
  readonly steps: readonly { readonly gradient: readonly number[]; readonly parameter: readonly number[] }[];
}
interface AdamWFixture {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly initial: Readonly<Record<'weight' | 'bias', Numbers>>;
  readonly steps: readonly Readonly<
    Record<'gradients' | 'parameters', Readonly<Record<'weight' | 'bias', readonly number[]>>>
  >[];
}

const fixtures = JSON.parse(
  readFileSync(new URL('../../../bench/peers/fixtures/optimizers.json', import.meta.url), 'utf8'),
) as { readonly adamw: AdamWFixture; readonly muon: readonly MuonFixture[] };

/** A store that holds these tensors, and gradients for it. */
function storeOf(initial: Readonly<Record<string, Numbers>>) {
  const specs = Object.entries(initial).map(([name, { dims }]) => ({ name, dims, init: zeroInit }));
  const store = new ParameterStore(specs);
  const gradients = new Float32Array(store.flat.length);
  const view = (name: string, array = store.flat) => store.tensor(name, array).data as Float32Array;
  for (const [name, { data }] of Object.entries(initial)) view(name).set(data);
  return { store, gradients, view };
}

function expectClose(values: Float32Array, expected: readonly number[]) {
  expected.forEach((x, i) => {
    expect(values[i]).toBeCloseTo(x, 5);
  });
}

describe('Muon', () => {
  it.each(fixtures.muon)('follows its reference on a $initial.dims matrix', async fixture => {
    const { store, gradients, view } = storeOf({ w: fixture.initial });
    using optimizer = await muon(referenceRuntime(), store, gradients, { momentum: fixture.momentum });
    for (const step of fixture.steps) {
      view('w', gradients).set(step.gradient);
      await optimizer.step(fixture.learningRate, 1);
      expectClose(view('w'), step.parameter);
    }
  });

  it('treats matrices of equal shape each by itself, and others by AdamW', async () => {
    const [fixture] = fixtures.muon as readonly [MuonFixture];
    const dims = [8, 4]; // fills whole cache lines, so that the two lie side by side
    const zeros = { dims, data: Array.from({ length: 32 }, () => 0) };
    const { store, gradients, view } = storeOf({
      a: zeros,
      b: zeros,
      embed_tokens: { dims: [2, 2], data: [0, 0, 0, 0] },
    });
    using optimizer = await muon(referenceRuntime(), store, gradients, {
      adamw: { rateFactor: 0.5, weightDecay: 0 },
    });
    const gradient = (fixture.steps[0] as MuonFixture['steps'][number]).gradient;
    view('a', gradients).set(gradient);
    view('b', gradients).set(gradient.map(g => -3 * g));
    view('embed_tokens', gradients).set([1, -1, 2, 0]);
    await optimizer.step(0.02, 1);
    expectClose(
      view('b'),
      [...view('a')].map(x => -x),
    ); // the size of a gradient does not count, its direction does
    expect(Math.max(...view('a').map(Math.abs))).toBeGreaterThan(0.01);
    expectClose(view('embed_tokens'), [-0.01, 0.01, -0.01, 0]); // AdamW's first step is the rate, in the gradient's sign
  });
});

describe('AdamW', () => {
  it('follows PyTorch’s over five steps', async () => {
    const { initial, steps, learningRate, ...options } = fixtures.adamw;
    const { store, gradients, view } = storeOf(initial);
    using optimizer = await adamw(referenceRuntime(), store, gradients, options);
    for (const step of steps) {
      for (const name of ['weight', 'bias'] as const) view(name, gradients).set(step.gradients[name]);
      await optimizer.step(learningRate, 1);
      expectClose(view('weight'), step.parameters.weight);
    }
  });

  it('follows its formula on a scalar for two steps', async () => {
    const store = new ParameterStore([{ name: 'w', dims: [1, 1], init: zeroInit }]);
    store.flat[0] = 2;
    const gradients = new Float32Array(store.flat.length);
    gradients[0] = 0.5;
    using optimizer = await adamw(referenceRuntime(), store, gradients, {
      weightDecay: 0.1,
      beta1: 0.9,
      beta2: 0.95,
    });
    await optimizer.step(0.01, 1);
    // the first step's corrected moments are g and g², so the update is the sign of g
    expect(store.flat[0]).toBeCloseTo(2 * (1 - 0.001) - 0.01, 6);
    await optimizer.step(0.01, 1);
    expect(store.flat[0]).toBeCloseTo((2 * 0.999 - 0.01) * 0.999 - 0.01, 6);
  });

  it('does not decay vectors', async () => {
    const store = new ParameterStore([{ name: 'gain', dims: [2], init: zeroInit }]);
    store.flat.fill(1);
    using optimizer = await adamw(referenceRuntime(), store, new Float32Array(store.flat.length), {
      weightDecay: 0.5,
    });
    await optimizer.step(0.1, 1);
    expect(store.flat[0]).toBe(1);
  });
});

it('the global norm is the Euclidean norm', async () => {
  using norm = await GlobalNorm.create(referenceRuntime(), Float32Array.of(3, 4, 12));
  expect(await norm.value()).toBeCloseTo(13, 6);
});

it('pieces cover the array once and respect cuts', () => {
  const [length, cut] = [3 * CHUNK + 5, CHUNK + 7];
  expect(chunkRanges(length, [cut])).toEqual([
    [0, CHUNK],
    [CHUNK, cut],
    [cut, cut + CHUNK],
    [cut + CHUNK, length],
  ]);
});

describe('schedules', () => {
  it('cosine starts at the peak and ends at its floor', () => {
    const cosine = { kind: 'cosine', rate: 1, finalRate: 0.1, steps: 100 } as const;
    expect(rateAt(cosine, 0)).toBe(1);
    expect(rateAt(cosine, 50)).toBeCloseTo(0.55, 12);
    expect(rateAt(cosine, 100)).toBeCloseTo(0.1, 12);
  });
  it('DeepSeek’s steps are ×0.316 at 80 % and ×0.1 at 90 %', () => {
    const steps = { kind: 'multi-step', rate: 1, steps: 100 } as const;
    expect([79, 80, 90].map(s => rateAt(steps, s))).toEqual([1, 0.316, 0.1]);
  });
});
