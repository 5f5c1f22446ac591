/** Costs in closed form, a network that learns from nothing, and that every family of devices takes. */
import { describe, expect, it, test } from 'vitest';
import { accuracyOf } from '../../compress/evaluate.ts';
import { macsOf as countedMacs } from '../../compress/prune/structured.ts';
import { exampleFeeds } from '../../compress/quantize/static/feeds.ts';
import { quantizeStatic } from '../../compress/quantize/static/index.ts';
import type { Examples } from '../../data/examples/examples.ts';
import { trainingBatches } from '../../data/examples/training.ts';
import { activationBytes } from '../../devices/rules/from-profile.ts';
import { toTflite } from '../../formats/tflite/from-graph.ts';
import { float32, type Model, sizeOf } from '../../graph/ir.ts';
import { importModel } from '../../import/index.ts';
import { batchOfOne, bindDims } from '../../ops/bind-dims.ts';
import { Qdq } from '../../ops/qdq.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { fineTuning } from '../../train/fine-tune.ts';
import { weightsOf } from '../../train/weights-of.ts';
import { Random } from '../../util/random.ts';
import { type ConvNetConfig, macsOf, networkFor, parametersOf } from './config.ts';
import { convNet } from './model.ts';

const DIGITS = networkFor([1, 28, 28], 10, 16);

const SMALL: ConvNetConfig = {
  input: [1, 12, 12],
  classes: 2,
  layers: [{ channels: 8 }, { channels: 16, stride: 2, separable: true }],
};

describe('costs', () => {
  it('of the digits network: 9 Σ in·out, 2 a channel, 65 a class', () => {
    const weights = 9 * (16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64);
    expect(parametersOf(DIGITS)).toBe(weights + 2 * (16 + 32 + 32 + 64 + 64) + 650);
    expect(macsOf(DIGITS)).toBe(9 * (16 * 784 + (512 + 1024) * 196 + (2048 + 4096) * 49) + 640);
  });

  test.each([DIGITS, SMALL])('are those of the graph', config => {
    const { graph } = importModel(convNet(config, new Random(1)), { foldNorms: false }).model;
    const trained = weightsOf(graph).reduce(
      (sum, w) => sum + sizeOf(graph.initializers.get(w)?.dims ?? []),
      0,
    );
    expect(parametersOf(config)).toBe(trained);
    expect(macsOf(config)).toBe(countedMacs(bindDims(graph, new Map([['batch', 1]]), 'all')));
  });

  it('names a wrong number', () => {
    expect(() => convNet({ ...SMALL, classes: 1.5 }, new Random(1))).toThrow(/1.5 is no number of channels/);
    expect(() => convNet({ ...SMALL, layers: [] }, new Random(1))).toThrow(/layers is empty/);
  });
});

/** Noise with a bright row (class 0) or column (class 1) somewhere. */
function bars(count: number, seed: number): Examples {
  const random = new Random(seed);
  const images = Array.from({ length: count }, (_, i) => {
    const at = random.int(12);
    const bright = (p: number) => (i % 2 === 0 ? Math.floor(p / 12) : p % 12) === at;
    return Float32Array.from({ length: 144 }, (_, p) => 0.5 * random.normal() + (bright(p) ? 1 : 0));
  });
  return {
    name: 'bars',
    count,
    labels: Int32Array.from({ length: count }, (_, i) => i % 2),
    batch: indices => ({
      image: float32(
        [indices.length, 1, 12, 12],
        indices.flatMap(i => [...images[i]]),
      ),
    }),
  };
}

describe('memory', () => {
  const model = importModel(convNet(DIGITS, new Random(1))).model;
  const bytesOf = ({ graph }: Model) => {
    const one = batchOfOne(graph);
    return activationBytes({ graph: one, qdq: new Qdq(one) });
  };
  // what goes into the largest convolution, what comes out, and the image
  const elements = 16 * 784 + 32 * 196 + 784;

  it('of floats: four bytes each', () => expect(bytesOf(model)).toBe(4 * elements));

  test.each([
    ['int8', 1],
    ['int16', 2],
  ] as const)('of %s: %i', async (activations, width) => {
    const image = float32([1, 1, 28, 28], new Float32Array(784).fill(0.5));
    const int = await quantizeStatic(await nativeRuntime(), model, [{ image }], { activations });
    expect(bytesOf(int.model)).toBe(width * elements);
  });
});

describe('a network with random weights', async () => {
  const runtime = await nativeRuntime();
  const model = convNet(SMALL, new Random(1));
  const [train, unseen] = [bars(256, 1), bars(200, 2)];
  using training = await fineTuning(runtime, model.graph, {
    data: trainingBatches(train, { batchSize: 32, seed: 1 }),
    batchSize: 32,
    schedule: { kind: 'cosine', rate: 0.01, finalRate: 0, steps: 80 },
    optimizer: { kind: 'adamw', weightDecay: 0 },
    seed: 1,
  });
  for (let i = 0; i < 80; i++) await training.step(i);
  const trained = { ...model, graph: training.trained() };
  const { accuracy } = await accuracyOf(runtime, trained, unseen);

  it('learns to tell rows from columns on images that it never saw', () => {
    expect(accuracy).toBeGreaterThan(0.95);
  });

  it('keeps it in 8 bits, in an int8 TFLite file', async () => {
    const one = importModel(trained).model;
    const { model: int8 } = await quantizeStatic(runtime, one, exampleFeeds(one, train));
    expect((await accuracyOf(runtime, int8, unseen)).accuracy).toBeGreaterThan(accuracy - 0.02);
    const bytes = toTflite({ ...int8, graph: bindDims(int8.graph, new Map([['batch', 1]]), 'all') });
    expect(bytes.byteLength).toBeLessThan(10_000);
  });
});
