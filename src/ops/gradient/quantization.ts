/**
 * Gradients of quantization: straight-through inside the representable range, learned step sizes for scales.
 *
 * 1. The "gradient" of a quantized integer is the gradient of the number it stands for, (q − zero)·scale. With
 *    that convention DequantizeLinear passes g on unchanged, and QuantizeLinear masks what it saturated.
 * 2. Scale: DequantizeLinear gives g·(q − zero), QuantizeLinear −g·x/scale inside the range. Together that is
 *    LSQ's step-size gradient (Esser et al. 2020): round(x/s) − x/s inside, the clipping bound outside.
 * 3. Scales per tensor, per axis and per block are first broadcast to x's shape; sums go back the same way.
 */
import type { DType } from '../../graph/dtype.ts';
import type { Dim } from '../../graph/ir.ts';
import type { Value } from '../builder.ts';
import { type GradientContext, none } from '../rule.ts';
import {
  axisOf,
  decomposed,
  dimsVector,
  extentOf,
  first,
  type Gradients,
  input,
  range,
  reshapeLike,
  shaped,
  sumTo,
} from './common.ts';
import type { Family } from './family.ts';

const INFERENCE = none('it is an inference op; train with QuantizeLinear and DequantizeLinear');

const QOPERATOR = none('it computes on integers; import the model in its QDQ form');

const RANGES: { readonly [K in DType]?: readonly [number, number] } = {
  uint4: [0, 15],
  int4: [-8, 7],
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65535],
  int16: [-32768, 32767],
  float8e4m3fn: [-448, 448],
  float8e4m3fnuz: [-240, 240],
  float8e5m2: [-57344, 57344],
  float8e5m2fnuz: [-57344, 57344],
  float4e2m1: [-6, 6],
};

/** How a scale or zero point lies over x: made to broadcast, and a gradient of x's shape summed back. */
interface Layout {
  spread(v: Value): Value;
  collect(g: Value, v: Value): Value;
}

const PER_TENSOR: Layout = { spread: v => v, collect: (g, v) => sumTo(g, v) };

function perAxis(axis: number, rank: number): Layout {
  const spread = (v: Value) => v.reshape(range(rank).map(i => (i === axis ? -1 : 1)));
  return {
    spread: v =>
      shaped(
        spread(v),
        range(rank).map(i => (i === axis ? (v.shape[0] as Dim) : 1)),
      ),
    collect: (g, v) =>
      shaped(
        g.sum(
          range(rank).filter(i => i !== axis),
          false,
        ),
        v.shape,
      ),
  };
}

/** One scale a block of `size` along `axis`; the axis must be a whole number of blocks. */
function perBlock(c: GradientContext, x: Value, axis: number, size: number): Layout {
  if (Number(x.shape[axis]) % size)
    c.fail(`has no gradient while dim ${axis} is no multiple of block_size ${size}`);
  const blocks = (v: Value, width: number) =>
    dimsVector(v, [
      ...range(axis + 1).map(i => extentOf(v, i)),
      width,
      ...range(v.rank - axis - 1, axis + 1).map(i => extentOf(v, i)),
    ]);
  return {
    spread: v => reshapeLike(v.unsqueeze([axis + 1]).expandTo(blocks(v, size)), x),
    collect: (g, v) => shaped(g.reshapeTo(blocks(v, size)).sum([axis + 1], false), v.shape),
  };
}

function layoutOf(c: GradientContext, x: Value): Layout {
  const scale = input(c, 1);
  const axis = axisOf(c.attributes.int('axis', 1), x.rank);
  const size = c.attributes.int('block_size', 0);
  if (size > 0) return perBlock(c, x, axis, size);
  return scale.rank === 1 && scale.shape[0] !== 1 ? perAxis(axis, x.rank) : PER_TENSOR;
}

/** q − zero as a float. */
function offset(c: GradientContext, q: Value, layout: Layout, dtype: DType): Value {
  const zero = c.inputs[2];
  return zero ? q.cast(dtype).sub(layout.spread(zero.cast(dtype))) : q.cast(dtype);
}

function quantize(c: GradientContext, g: Value): Gradients {
  const [x, scale, zero] = [input(c, 0), input(c, 1), c.inputs[2]];
  const [low, high] =
    RANGES[(c.outputs[0] as Value).dtype] ?? c.fail('quantizes to a dtype without known range');
  const layout = layoutOf(c, x);
  const steps = x.div(layout.spread(scale));
  const q = zero ? steps.add(layout.spread(zero.cast(x.dtype))) : steps;
  const inside = c.b.op('And', [q.greaterOrEqual(low), q.lessOrEqual(high)], {});
  const dx = g.mul(inside.cast(g.dtype));
  return [dx, c.wants(1) ? layout.collect(dx.mul(steps).neg(), scale) : undefined];
}

function dequantize(c: GradientContext, g: Value): Gradients {
  const [q, scale] = [input(c, 0), input(c, 1)];
  if (!c.wants(1)) return [g];
  const layout = layoutOf(c, q);
  return [g, layout.collect(g.mul(offset(c, q, layout, g.dtype)), scale)];
}

/** Packed codes [.., bytes] as floats [.., bytes · 8/bits], lowest bits first. */
function unpack(packed: Value, bits: number, dtype: DType): Value {
  const base = 2 ** bits;
  let rest = packed.cast(dtype);
  const parts: Value[] = [];
  for (let i = 0; i < 8 / bits; i++) {
    const next = packed.builder.op('Floor', [rest.mul(1 / base)], {});
    parts.push(rest.sub(next.mul(base)));
    rest = next;
  }
  const stacked = packed.builder.concat(
    parts.map(p => p.unsqueeze([p.rank])),
    packed.rank,
  );
  return stacked.reshape([...packed.shape.slice(0, -1).map(() => 0), -1]);
}

/** The zero points of MatMulNBits as [N, blocks, 1]. */
function zeroPoints(c: GradientContext, bits: number, dims: readonly [number, number], dtype: DType): Value {
  const [n, blocks] = dims;
  const given = c.inputs[3];
  if (!given) return c.b.scalar(2 ** (bits - 1), dtype);
  if (given.dtype !== 'uint8') return given.cast(dtype).reshape([n, blocks, 1]);
  return unpack(given.reshape([n, -1]), bits, dtype)
    .slice(1, 0, blocks)
    .reshape([n, blocks, 1]);
}

/** The weight [N, K] of MatMulNBits from its packed blocks. */
function unpackedWeight(c: GradientContext, dtype: DType): Value {
  const [n, k] = [c.attributes.int('N', 0), c.attributes.int('K', 0)];
  const [bits, size] = [c.attributes.int('bits', 4), c.attributes.int('block_size', 32)];
  const blocks = Math.ceil(k / size);
  const codes = unpack(input(c, 1), bits, dtype).sub(zeroPoints(c, bits, [n, blocks], dtype));
  const weight = codes.mul(input(c, 2).cast(dtype).reshape([n, blocks, 1])).reshape([n, -1]);
  return blocks * size === k ? weight : weight.slice(1, 0, k);
}

function matMulNBits(c: GradientContext): Value {
  if (c.wants(2)) c.fail('has a gradient for its activation alone; apply stopGradient to the scales');
  if (c.inputs[4]) c.fail('has no gradient with g_idx');
  const a = input(c, 0);
  const y = c.b.op('com.microsoft.FusedMatMul', [a, unpackedWeight(c, a.dtype)], { transB: 1 });
  return c.inputs[5] ? y.add(c.inputs[5]) : y;
}

export const QUANTIZATION = {
  QuantizeLinear: first(quantize),
  DequantizeLinear: first(dequantize),
  DynamicQuantizeLinear: INFERENCE,
  MatMulInteger: INFERENCE,
  ConvInteger: INFERENCE,
  QLinearConv: QOPERATOR,
  QLinearMatMul: QOPERATOR,
  'com.microsoft.QLinearAdd': QOPERATOR,
  'com.microsoft.QLinearMul': QOPERATOR,
  'com.microsoft.QLinearSigmoid': QOPERATOR,
  'com.microsoft.QLinearLeakyRelu': QOPERATOR,
  'com.microsoft.QLinearConcat': QOPERATOR,
  'com.microsoft.QLinearAveragePool': QOPERATOR,
  'com.microsoft.QLinearGlobalAveragePool': QOPERATOR,
  'com.microsoft.QGemm': QOPERATOR,
  'com.microsoft.NhwcMaxPool': QOPERATOR,
  'com.microsoft.DynamicQuantizeMatMul': INFERENCE,
  // a·wᵀ with w unpacked: the gradient of the activation, for training beside frozen quantized weights
  'com.microsoft.MatMulNBits': decomposed(matMulNBits),
  'com.microsoft.GatherBlockQuantized': none('its table is packed integers; gather a float table instead'),
} satisfies Family;
