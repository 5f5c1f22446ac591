/** The quantization table against the shapes of the ops that it speaks of. */
import { describe, expect, test } from 'vitest';
import { QUANTIZATION_RULES, type QuantizationPlaces } from './quantization.ts';
import { Attributes, isNone } from './rule.ts';
import { OPS, type OpType } from './schema.ts';

const PLACES = (Object.entries(QUANTIZATION_RULES) as [OpType, QuantizationPlaces][]).filter(
  ([, r]) => !isNone(r),
);
const plain = new Attributes({});

test.each(PLACES)('%s: the inputs it names exist', (op, places) => {
  const most = OPS[op].inputs[1];
  const named = [
    ...(places.activations === 'all' ? [] : places.activations),
    ...places.weights(plain).map(w => w.input),
  ];
  expect([...named, places.bias ?? 0].filter(i => i >= most)).toEqual([]);
});

test('a transparent op has one activation, whose scale the output takes', () => {
  const odd = PLACES.filter(
    ([, p]) => p.transparent && (p.activations === 'all' || p.activations.join() !== '0'),
  );
  expect(odd.map(([op]) => op)).toEqual([]);
});

test('static kernels that are named after another op are QLinear forms or QGemm', () => {
  const kernels = PLACES.flatMap(([op, p]) =>
    p.kernel.filter(k => k.form === 'static' && k.op !== op).map(k => [op, k.op]),
  );
  expect(kernels.filter(([op, name]) => name !== `QLinear${op}` && name !== 'QGemm')).toEqual([]);
});

describe('channels of a weight are its output columns', () => {
  const weightOf = (op: OpType, attributes: Attributes = plain) => {
    const places = QUANTIZATION_RULES[op];
    if (isNone(places)) throw new Error(`${op} has no places`);
    return places.weights(attributes)[0];
  };
  const transposed = new Attributes({ transB: { type: 'int', value: 1 } });

  test('[K,N] of MatMul and Gemm, [N,K] of a transposed Gemm', () => {
    expect(weightOf('MatMul')).toEqual({ input: 1, channelAxis: -1, reductionAxis: -2 });
    expect(weightOf('Gemm')).toEqual({ input: 1, channelAxis: -1, reductionAxis: -2 });
    expect(weightOf('Gemm', transposed)).toEqual({ input: 1, channelAxis: -2, reductionAxis: -1 });
  });

  test('rows of an embedding, outputs of an expert', () => {
    expect(weightOf('Gather')).toEqual({ input: 0, channelAxis: -2, reductionAxis: -1 });
    expect(weightOf('com.microsoft.MoE')).toEqual({ input: 2, channelAxis: -2, reductionAxis: -1 });
  });
});
