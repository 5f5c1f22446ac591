/** Smaller language models: what is taken out, what makes up for it, and that learning from the whole beats starting anew. */
import { describe, expect, it } from 'vitest';
import { randomWindows } from '../../data/windows.ts';
import { calibrateParameters } from '../../export/calibration.ts';
import { Decoder } from '../../generate/decoder.ts';
import { Engine } from '../../generate/engine.ts';
import { modelFromConfig } from '../../models/index.ts';
import type { CausalModel } from '../../models/model.ts';
import { ParameterStore } from '../../nn/parameters.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { distillTraining } from '../../train/distill.ts';
import { languageModelTraining } from '../../train/language-model.ts';
import { scoreText } from '../../train/perplexity.ts';
import { Scorer } from '../../train/scorer.ts';
import { Random } from '../../util/random.ts';
import { pruneLayers, pruneWidth, type SizedModel } from './decoder.ts';

const VOCABULARY = 24;
const CONFIG = {
  model_type: 'qwen3',
  vocab_size: VOCABULARY,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  max_position_embeddings: 64,
  tie_word_embeddings: true,
};

const runtime = await nativeRuntime();

/** A text with structure over three tokens: the next one follows from the last two, but for one in eight. */
function chain(length: number, seed: number): Int32Array {
  const random = new Random(seed);
  const ids = new Int32Array(length);
  for (let i = 0; i < length; i++) {
    const [a, b] = [ids[i - 1] ?? 1, ids[i - 2] ?? 2];
    ids[i] = random.uniform() < 0.125 ? random.int(VOCABULARY) : (5 * a + 3 * b + ((a * b) % 7)) % VOCABULARY;
  }
  return ids;
}

const [TRAIN, HELD_OUT] = [chain(20_000, 1), chain(2000, 2)];
const SEQUENCES = Array.from({ length: 16 }, (_, i) => [...TRAIN.subarray(i * 100, i * 100 + 32)]);

function fresh(config: object, seed: number): SizedModel {
  const model = modelFromConfig(config, 'config');
  return { model, store: new ParameterStore(model.parameters).initialize(new Random(seed)) };
}

/** A model with weights large enough to be far from linear, biases too. */
function noisy(config: object): SizedModel {
  const made = fresh(config, 3);
  const random = new Random(4);
  made.store.flat.forEach((v, i, all) => void (all[i] = v + 0.15 * random.normal()));
  return made;
}

const nats = async ({ model, store }: SizedModel): Promise<number> =>
  (await scoreText(runtime, model, store, HELD_OUT, { bytes: 1, length: 32 })).natsPerToken;

/** Texts of 32 tokens that the model writes. */
async function own({ model, store }: SizedModel): Promise<Int32Array> {
  using decoder = await Decoder.create(runtime, model, store);
  using engine = new Engine(decoder, { slots: 16, capacity: 40 });
  const requests = Array.from({ length: 96 }, (_, seed) => ({ prompt: [1], maxTokens: 31, seed }));
  const answers = await engine.generate(requests);
  return Int32Array.from(answers.flatMap(({ ids }) => [1, ...ids]));
}

async function logProbs({ model, store }: SizedModel): Promise<number[]> {
  using scorer = await Scorer.create(runtime, model, store);
  return (await scorer.logProbs([{ prompt: [1, 2], response: [3, 4, 5, 6, 7, 8] }])).flat();
}

const calibrated = async ({ model, store }: SizedModel) => ({
  store,
  statistics: await calibrateParameters(runtime, model, store, SEQUENCES),
});

const set = (store: ParameterStore, name: string, value: (i: number, old: number) => number) => {
  const data = store.tensor(name).data as Float32Array;
  data.forEach((v, i) => void (data[i] = value(i, v)));
};

describe('depth', () => {
  it('takes the layers that write nothing, and the model stays the same', async () => {
    const whole = noisy({ ...CONFIG, layer_types: undefined });
    for (const layer of [0, 2])
      for (const name of ['self_attn.o_proj', 'mlp.down_proj'])
        set(whole.store, `model.layers.${layer}.${name}.weight`, () => 0);
    const left = await pruneLayers(runtime, whole.model, whole.store, {
      layers: 2,
      ids: await own(whole), // what the model says itself, no other predicts as well

      length: 32,
    });
    expect(left.kept).toEqual([1, 3]);
    expect(left.model.toHuggingFace()).toMatchObject({ num_hidden_layers: 2 });
    const [a, b] = [await logProbs(whole), await logProbs(left)];
    a.forEach((v, i) => void expect(b[i]).toBeCloseTo(v, 4));
  });

  it('refuses what cannot be', async () => {
    const { model, store } = fresh(CONFIG, 1);
    await expect(pruneLayers(runtime, model, store, { layers: 5, ids: HELD_OUT })).rejects.toThrow(
      '5 layers cannot be kept of 4; give a whole number from 1 to 4',
    );
    const gemma = modelFromConfig(
      { ...CONFIG, model_type: 'gemma3_text', query_pre_attn_scalar: 16 },
      'config',
    );
    const weights = new ParameterStore(gemma.parameters);
    await expect(pruneLayers(runtime, gemma, weights, { layers: 1, ids: HELD_OUT })).rejects.toThrow(
      /gemma3.* is not pruned by layers and heads; known are llama, qwen2, qwen3/,
    );
  });
});

describe('width', () => {
  it.each(['llama', 'qwen2', 'qwen3'])(
    '%s: channels and heads that nobody hears go unnoticed',
    async type => {
      const whole = noisy({ ...CONFIG, model_type: type, attention_bias: type !== 'qwen3' });
      for (let layer = 0; layer < 4; layer++) {
        set(whole.store, `model.layers.${layer}.mlp.down_proj.weight`, (i, v) =>
          i % 2 === layer % 2 ? v : 0,
        );
        const silent = layer % 2; // a group of two query heads of 16
        set(whole.store, `model.layers.${layer}.self_attn.o_proj.weight`, (i, v) =>
          Math.floor((i % 64) / 32) === silent ? 0 : v,
        );
      }
      const left = pruneWidth(whole.model, await calibrated(whole), {
        intermediateSize: 32,
        numKeyValueHeads: 1,
      });
      expect(left.model.toHuggingFace()).toMatchObject({
        intermediate_size: 32,
        num_attention_heads: 2,
        num_key_value_heads: 1,
      });
      const [a, b] = [await logProbs(whole), await logProbs(left)];
      a.forEach((v, i) => void expect(b[i]).toBeCloseTo(v, 3));
    },
  );

  it('columns that stay make up for those that go', async () => {
    const whole = noisy({ ...CONFIG, num_hidden_layers: 1 });
    const from = await calibrated(whole);
    const error = async (compensate: boolean) => {
      const left = pruneWidth(whole.model, from, { intermediateSize: 32, compensate });
      return productError(whole, left, from.statistics.get('model.layers.0.mlp.down_proj.weight')?.gram);
    };
    expect(await error(true)).toBeLessThan(0.8 * (await error(false)));
  });

  it('needs statistics', () => {
    const { model, store } = fresh(CONFIG, 1);
    expect(() => pruneWidth(model, { store, statistics: new Map() }, { intermediateSize: 8 })).toThrow(
      /down_proj.weight" needs statistics of what it reads; give texts/,
    );
  });
});

/** E‖W x − W′ x_K‖² of the one down projection, with K found from the rows that are left of the up projection. */
function productError(whole: SizedModel, left: SizedModel, gram: Float64Array = new Float64Array()): number {
  const of = (m: SizedModel, name: string) =>
    m.store.tensor(`model.layers.0.mlp.${name}.weight`).data as Float32Array;
  const [up, kept] = [of(whole, 'up_proj'), of(left, 'up_proj')];
  const column = Array.from({ length: 32 }, (_, i) =>
    Array.from({ length: 64 }, (__, j) => j).find(j => up[j * 32] === kept[i * 32]),
  ) as number[];
  const [w, smaller] = [of(whole, 'down_proj'), of(left, 'down_proj')];
  let error = 0;
  for (let row = 0; row < 32; row++) {
    const d = Float64Array.from({ length: 64 }, (_, j) => w[row * 64 + j] as number);
    column.forEach((j, i) => void ((d[j] as number) -= smaller[row * 32 + i] as number));
    for (let j = 0; j < 64; j++)
      for (let k = 0; k < 64; k++)
        error += (d[j] as number) * (d[k] as number) * (gram[j * 64 + k] as number);
  }
  return error;
}

const STEPS = 60;
const options = (rate: number, steps: number) =>
  ({
    schedule: { kind: 'cosine', rate, finalRate: rate / 10, steps, warmupSteps: 5 },
    optimizer: { kind: 'muon', adamw: { rateFactor: 0.4, weightDecay: 0 } },
  }) as const;

async function learn(start: SizedModel, steps: number): Promise<SizedModel> {
  const windows = randomWindows(TRAIN, { rows: 16, length: 32 }, 1);
  using stage = await languageModelTraining(runtime, start.model, start.store, {
    ...options(0.02, steps),
    data: { next: index => [windows(index)] },
    packed: false,
  });
  for (let i = 0; i < steps; i++) await stage.step(i);
  return start;
}

async function learnFrom(teacher: SizedModel, start: SizedModel): Promise<SizedModel> {
  const random = new Random(1);
  using stage = await distillTraining(runtime, start.model, start.store, {
    ...options(0.01, STEPS),
    teacher,
    divergence: 'forward',
    seed: 1,
    documents: () =>
      Array.from({ length: 16 }, () => {
        const at = random.int(TRAIN.length - 33);
        return { ids: TRAIN.subarray(at, at + 33) };
      }),
  });
  for (let i = 0; i < STEPS; i++) await stage.step(i);
  return start;
}

it('pruned and taught by the whole model, both beat the small one from scratch at equal tokens', async () => {
  const whole = await learn(fresh(CONFIG, 1), 400);
  const smaller: [string, SizedModel][] = [
    [
      'depth',
      await pruneLayers(runtime, whole.model, whole.store, {
        layers: 2,
        ids: TRAIN.subarray(0, 2000),
        length: 32,
      }),
    ],
    [
      'width',
      pruneWidth(whole.model, await calibrated(whole), { intermediateSize: 32, numKeyValueHeads: 1 }),
    ],
  ];
  for (const [name, pruned] of smaller) {
    const config = (pruned.model as CausalModel).toHuggingFace();
    const scratch = await nats(await learn(fresh(config, 1), STEPS));
    const taught = await nats(await learnFrom(whole, pruned));
    expect(taught, name).toBeLessThan(scratch - 0.1);
  }
}, 120_000);
