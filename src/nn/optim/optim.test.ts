/** Optimizers against PyTorch's values (bench/peers/reference_adamw.py). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { referenceRuntime } from '../../runtime/reference/index.ts';
import { ParameterStore, zeroInit } from '../parameters.ts';
import { adamw } from './adamw.ts';
import { CHUNK, chunkRanges } from './chunked.ts';
import { GlobalNorm } from './elementwise.ts';
import { rateAt } from './schedule.ts';

const fixtures = JSON.parse(
  readFileSync(new URL('../../../bench/peers/fixtures/optimizers.json', import.meta.url), 'utf8'),
) as Record<string, unknown>;

it('has the fixtures it compares with', () => {
  expect(Object.keys(fixtures)).toContain('adamw');
});

describe('AdamW', () => {
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
