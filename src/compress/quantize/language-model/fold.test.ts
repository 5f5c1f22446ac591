/** Scaling channels leaves a model as it is; choosing the scales makes rounding cheaper. */
import { describe, expect, it } from 'vitest';
import { calibrateParameters } from '../../../export/calibration.ts';
import { modelFromConfig } from '../../../models/index.ts';
import type { CausalModel } from '../../../models/model.ts';
import { type ParameterSpec, ParameterStore } from '../../../nn/parameters.ts';
import { nativeRuntime } from '../../../runtime/native/native.ts';
import { Scorer } from '../../../train/scorer.ts';
import { Random } from '../../../util/random.ts';
import type { BlockFormat } from '../blocks.ts';
import { awq } from './awq.ts';
import { couplingsOf } from './couplings.ts';
import { type CalibratedStore, foldScales } from './fold.ts';
import { roundStore } from './round.ts';
import { copyOf, smoothQuant } from './smooth-quant.ts';

const SHAPE = {
  vocab_size: 40,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  max_position_embeddings: 64,
};

const CONFIGS = {
  llama: { ...SHAPE, model_type: 'llama', attention_bias: true },
  qwen2: { ...SHAPE, model_type: 'qwen2' },
  qwen3: { ...SHAPE, model_type: 'qwen3', tie_word_embeddings: true },
  gemma3: { ...SHAPE, model_type: 'gemma3_text', sliding_window: 16, query_pre_attn_scalar: 16 },
} as const;

const runtime = await nativeRuntime();
const random = new Random(5);
const SEQUENCES = Array.from({ length: 8 }, () => Array.from({ length: 24 }, () => random.int(40)));

/** Random values everywhere, biases and norms included; some channels of the stream are driven far more than others. */
function modelOf(name: keyof typeof CONFIGS): { model: CausalModel; store: ParameterStore } {
  const model = modelFromConfig(CONFIGS[name], 'config');
  const store = new ParameterStore(model.parameters).initialize(new Random(1));
  const noise = new Random(2);
  for (let i = 0; i < store.flat.length; i++)
    store.flat[i] = (store.flat[i] as number) + 0.1 * noise.normal();
  for (const { name: norm } of store.specs.filter(s => /layernorm.weight$/.test(s.name)))
    (store.tensor(norm).data as Float32Array).forEach(
      (w, c, all) => void (all[c] = c % 8 === 3 ? w * 20 : w),
    );
  return { model, store };
}

async function logProbs(model: CausalModel, store: ParameterStore): Promise<number[]> {
  using scorer = await Scorer.create(runtime, model, store);
  const pairs = SEQUENCES.map(ids => ({ prompt: ids.slice(0, 4), response: ids.slice(4) }));
  return (await scorer.logProbs(pairs)).flat();
}

const worst = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((v, i) => Math.abs(v - (b[i] as number))));

const squares = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + (v - (b[i] as number)) ** 2, 0);

async function calibrated(name: keyof typeof CONFIGS) {
  const { model, store } = modelOf(name);
  const statistics = await calibrateParameters(runtime, model, store, SEQUENCES);
  return { model, from: { store, statistics } satisfies CalibratedStore };
}

describe('couplings', () => {
  it('of a layer are four, with the readers of each', () => {
    const { model } = modelOf('qwen3');
    const of = couplingsOf(model).slice(0, 4);
    expect(of.map(c => c.readers.map(r => r.split('.')[4]))).toEqual([
      ['q_proj', 'k_proj', 'v_proj'],
      ['gate_proj', 'up_proj'],
      ['o_proj'],
      ['down_proj'],
    ]);
    // 4 query heads of 16 over 2 value heads: columns 16..31 are the second query head, of the first value head
    expect([0, 15, 16, 31, 32, 63].map(column => of[2]?.channelOf[column])).toEqual([0, 15, 0, 15, 16, 31]);
  });

  it.each(Object.keys(CONFIGS) as (keyof typeof CONFIGS)[])('%s: any scales leave the model', async name => {
    const { model, store } = modelOf(name);
    const scaled = copyOf(store);
    const draw = new Random(7);
    const couplings = couplingsOf(model);
    expect(couplings).toHaveLength(8);
    for (const coupling of couplings) {
      const scales = Float64Array.from({ length: coupling.channels }, () => 2 ** draw.normal());
      foldScales(scaled, coupling, scales);
    }
    expect(squares([...store.flat], [...scaled.flat])).toBeGreaterThan(1);
    expect(worst(await logProbs(model, store), await logProbs(model, scaled))).toBeLessThan(2e-3);
  });
});

const FORMAT: BlockFormat = { bits: 3, blockSize: 32, symmetric: false, scales: 'float16' };

describe('AWQ', () => {
  it('loses less than rounding alone where some channels are driven hard', async () => {
    const { model, from } = await calibrated('qwen2');
    const exact = await logProbs(model, from.store);
    const options = { format: FORMAT, method: 'rtn', outputBits: 'float' } as const;
    const [plain, scaled] = [from, awq(model, from, FORMAT)].map(s => roundStore(s, options).store);
    const error = async (store?: ParameterStore) =>
      squares(exact, await logProbs(model, store as ParameterStore));
    expect(await error(scaled)).toBeLessThan(0.85 * (await error(plain)));
  });

  it('keeps statistics that are those of the scaled model', async () => {
    const { model, from } = await calibrated('llama');
    const scaled = awq(model, from, FORMAT);
    const measured = await calibrateParameters(runtime, model, scaled.store, SEQUENCES);
    for (const [name, { gram }] of measured) {
      const expected = scaled.statistics.get(name)?.gram as Float64Array;
      const largest = Math.max(...gram);
      expect(worst([...gram], [...expected]) / largest, name).toBeLessThan(1e-3);
    }
  });
});

it('SmoothQuant evens out what products read', async () => {
  const { model, from } = await calibrated('gemma3');
  const smooth = smoothQuant(model, from);
  expect(worst(await logProbs(model, from.store), await logProbs(model, smooth.store))).toBeLessThan(2e-3);
  const spread = ({ statistics }: CalibratedStore) => {
    const { largest } = statistics.get('model.layers.1.self_attn.q_proj.weight') ?? {
      largest: new Float64Array(),
    };
    return Math.max(...largest) / (largest.reduce((a, b) => a + b, 0) / largest.length);
  };
  expect(spread(smooth)).toBeLessThan(0.6 * spread(from));
});

it('rounding counts its bits: 3, a float16 scale and a zero point for every 32', async () => {
  const { from } = await calibrated('qwen3');
  const { bitsPerWeight, store } = roundStore(from, { format: FORMAT, method: 'mse' });
  expect(bitsPerWeight).toBeCloseTo(3 + (16 + 3) / 32, 10);
  const specOf = (name: string) => store.specs.find(s => s.name === name) as ParameterSpec;
  const values = new Set(
    store.slice(store.flat, specOf('model.layers.0.self_attn.q_proj.weight')).subarray(0, 32),
  );
  expect(values.size).toBeLessThanOrEqual(8);
});
