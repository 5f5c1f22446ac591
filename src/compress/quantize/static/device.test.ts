/** Each device's integers: what its makers ask for, and that a network quantized for it has none that they refuse. */
import { describe, expect, it } from 'vitest';
import { check } from '../../../devices/check.ts';
import { DEVICES, deviceOf } from '../../../devices/index.ts';
import { float32, type Model, modelOf, type Tensor } from '../../../graph/ir.ts';
import { Builder, type Value } from '../../../ops/builder.ts';
import { Qdq } from '../../../ops/qdq.ts';
import { referenceRuntime } from '../../../runtime/reference/index.ts';
import { Random } from '../../../util/random.ts';
import { optionsFor, type Widths } from './device.ts';
import { quantizeStatic } from './index.ts';

const W8 = { activations: 8, weights: 8 } as const;
const W16 = { activations: 16, weights: 8 } as const;
const W4 = { activations: 8, weights: 4 } as const;

/** dtypes of activations, weights of convolutions and of products with their scales (c: one a channel, t: one), and what else is asked. */
const ASKED: Readonly<Record<string, string>> = {
  cpu: 'uint8 int8/c int8/c kernels',
  'cpu-raspberry-pi-4': 'int8 int8/c int8/c kernels',
  gpu: 'int8 int8/c int8/c kernels symmetric',
  qualcomm: 'uint8 int8/c int8/t all',
  'texas-instruments': 'int8 int8/c int8/c all',
  'ti-tda4vm': 'int8 int8/t int8/t all symmetric power-of-two',
  arm: 'int8 int8/c int8/t all',
  intel: 'uint8 int8/c int8/c all',
  stmicroelectronics: 'int8 int8/c int8/c all',
  stm32mp25: 'int8 uint8/t uint8/t all',
};

/** What takes 16-bit activations, and which: a float16 engine (gpu) or a compiler that chooses them itself (TIDL) has none. */
const SIXTEEN: Readonly<Record<string, string>> = {
  cpu: 'uint16 int8/c int8/c kernels',
  qualcomm: 'uint16 int8/c int8/t all',
  // kernels of 16 bits ignore zero points
  arm: 'int16 int8/c int8/t all symmetric',
};
const FOUR_BITS = ['cpu', 'gpu', 'qualcomm', 'intel'];

const shown = (id: string, widths: Widths): string => {
  const o = optionsFor(deviceOf(id), widths);
  const scales = (granularity: unknown) => (granularity === 'per-channel' ? 'c' : 't');
  return [
    o.activations,
    `${o.weights}/${scales(o.granularity)}`,
    `${o.weights}/${scales(o.productGranularity)}`,
    o.coverage,
    ...(o.symmetric ? ['symmetric'] : []),
    ...(o.powerOfTwo ? ['power-of-two'] : []),
  ].join(' ');
};

const takesIntegers = DEVICES.filter(device => device.quantization);
const isPi = (id: string): boolean => id === 'cpu-raspberry-pi-4';

const tensor = (dims: readonly number[], seed: number, scale: number): Tensor => {
  const random = new Random(seed);
  const count = dims.reduce((a, b) => a * b, 1);
  return float32(
    dims,
    Float32Array.from({ length: count }, () => scale * random.normal()),
  );
};

/** Convolutions, gates, a sum, pools, a concatenation and a product. */
function network(): Model {
  const b = new Builder('network');
  const conv = (x: Value, groups: number, seed: number): Value => {
    const channels = x.shape?.[1] as number;
    const w = b.initializer(`w${seed}`, tensor([16, channels / groups, 3, 3], seed, 0.3));
    const bias = b.initializer(`b${seed}`, tensor([16], seed + 1, 0.1));
    return b.op('Relu', [b.op('Conv', [x, w, bias], { pads: [1, 1, 1, 1], group: groups })], {});
  };
  const first = conv(b.input('x', 'float32', [1, 16, 8, 8]), 1, 10);
  const sum = b.op('Add', [conv(first, 16, 20), first], {});
  const gated = conv(sum, 1, 40)
    .sigmoid()
    .mul(conv(sum, 1, 50).tanh());
  const pooled = b.op('MaxPool', [b.concat([gated, conv(sum, 1, 60)], 1)], {
    kernel_shape: [2, 2],
    strides: [2, 2],
  });
  const flat = b.op('Flatten', [b.op('GlobalAveragePool', [pooled], {})], {});
  const w = b.initializer('fc', tensor([16, 32], 30, 0.2));
  b.output(b.op('Gemm', [flat, w, b.initializer('fcb', tensor([16], 31, 0.1))], { transB: 1 }), 'y');
  return modelOf(b.graph);
}

const MODEL = network();
const DATA = [1, 2, 3].map(seed => ({ x: tensor([1, 16, 8, 8], seed, 1) }));

async function quantizedFor(id: string, widths: Widths): Promise<Model> {
  const options = { ...optionsFor(deviceOf(id), widths), observer: { method: 'minmax' } } as const;
  return (await quantizeStatic(referenceRuntime(), MODEL, DATA, options)).model;
}

const REFUSED = /taken are|scale|zero point|asymmetric|symmetric/;

describe('options', () => {
  it.each(takesIntegers.map(d => [d.id, ASKED[d.id] ?? ASKED[d.family]]))('%s: %s', (id, asked) => {
    expect(shown(id, W8)).toBe(asked);
  });

  it.each(takesIntegers.map(d => [d.id, isPi(d.id) ? undefined : SIXTEEN[d.family]]))(
    '16-bit activations of %s: %s',
    (id, asked) => {
      if (asked) expect(shown(id, W16)).toBe(asked);
      else expect(() => optionsFor(deviceOf(id), W16)).toThrow(`${id} takes activations of `);
    },
  );

  it.each(takesIntegers.map(d => [d.id, FOUR_BITS.includes(d.family)]))(
    '4-bit weights of %s: %s',
    (id, taken) => {
      if (taken) expect(optionsFor(deviceOf(id), W4).weights).toBe('int4');
      else expect(() => optionsFor(deviceOf(id), W4)).toThrow(`${id} takes weights of `);
    },
  );

  it('a device of which nothing is published about integers says so', () => {
    for (const { id } of DEVICES.filter(device => !device.quantization))
      expect(() => optionsFor(deviceOf(id), W8)).toThrow(`${id}: its profile says nothing of integers`);
  });
});

describe('graphs', () => {
  const kinds = [...new Map(takesIntegers.map(d => [`${d.kind} ${shown(d.id, W8)}`, d.id])).values()];
  const cases = kinds.flatMap(id => {
    const sixteen = !isPi(id) && SIXTEEN[deviceOf(id).family];
    return [[id, W8] as const, ...(sixteen ? [[id, W16] as const] : [])];
  });

  it.each(cases)('%s refuses none of its integers (%o)', async (id, widths) => {
    const device = deviceOf(id);
    const model = await quantizedFor(id, widths);
    const qdq = new Qdq(model.graph);
    expect(qdq.becoming('x')?.quantization.dtype).toBe(optionsFor(device, widths).activations);
    const { findings } = check(model, device);
    expect(findings.filter(f => REFUSED.test(f.why))).toEqual([]);
  });
});
