/** Written files are what LiteRT answered on, and its answers are those of the ONNX graph. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float32, type Model, modelOf, type Tensor, type ValueInfo } from '../../graph/ir.ts';
import { verify } from '../../graph/verify.ts';
import { importModel } from '../../import/index.ts';
import { Builder } from '../../ops/builder.ts';
import { evaluate } from '../../runtime/reference/index.ts';
import { GaslawError } from '../../util/errors.ts';
import { decodeTflite } from './decode.ts';
import { encodeTflite } from './encode.ts';
import { TFLITE_CASES } from './fixtures/cases.ts';
import { READING_CASES, type ReadingCase } from './fixtures/reading.ts';
import { lowerToTflite, toTflite } from './from-graph.ts';
import type { TfliteOperator } from './model.ts';
import { fromTflite } from './to-graph.ts';

/** x with its channels last. */
function toLast(dims: readonly number[]): Builder {
  const b = new Builder('turn');
  b.output(b.input('x', 'float32', dims).transpose([0, 2, 3, 1]), 'y');
  return b;
}

interface Answer {
  readonly sha256: string;
  readonly shape: readonly number[];
  readonly scale: number;
  readonly zero: number;
  readonly y: readonly number[];
  readonly velaLeaves: number;
}

const fixture = <T>(name: string): T =>
  JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8')) as T; // written by bench/peers

const answers = fixture<Record<string, Answer>>('answers.json');

/** The reals of a file's output in ONNX's order of axes. */
function inOnnxOrder({ shape, scale, zero, y }: Answer, dims: readonly number[]): number[] {
  const real = y.map(code => scale * (code - zero));
  if (shape.length !== 4 || shape.join() === dims.join()) return real;
  const [, h, w, c] = shape as [number, number, number, number];
  return real.map((_, i) => {
    const [channel, row, column] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
    return real[(row * w + column) * c + channel] as number;
  });
}

/** TFLite fixes the scale of these or of their inputs: what the graph wants is a second rounding. */
const TWICE_ROUNDED: readonly string[] = ['average-pool', 'concat', 'softmax', 'tanh'];

describe.each(TFLITE_CASES)('$name', ({ name, model, x }) => {
  const bytes = toTflite(model);
  const answer = answers[name] as Answer;

  it('is the file that LiteRT answered on', () => {
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(answer.sha256);
  });

  it("LiteRT's answer is that of the graph, to one step, and nearly everywhere the same", () => {
    const want = evaluate(model.graph, { x }).y;
    const got = inOnnxOrder(answer, want?.dims ?? []);
    const steps = got.map((value, i) => Math.abs(value - Number(want?.data[i])) / answer.scale);
    expect(steps).toHaveLength(want?.data.length ?? -1);
    expect(Math.max(...steps)).toBeLessThan(1.51);
    expect(steps.filter(s => s > 0.51).length / steps.length).toBeLessThan(
      TWICE_ROUNDED.includes(name) ? 0.6 : 0.15,
    );
  });

  it('reads back as a graph that answers as LiteRT does', () => {
    const graph = fromTflite(bytes);
    verify(graph);
    const given = graph.inputs[0] as ValueInfo;
    const turned = given.shape?.join() === x.dims.join() ? x : evaluate(toLast(x.dims).graph, { x }).y;
    const got = evaluate(graph, { [given.name]: turned as Tensor })[graph.outputs[0]?.name ?? ''];
    expect(got?.dims).toEqual(answer.shape);
    const steps = answer.y.map(
      (code, i) => Math.abs(answer.scale * (code - answer.zero) - Number(got?.data[i])) / answer.scale,
    );
    expect(Math.max(...steps)).toBeLessThan(TWICE_ROUNDED.includes(name) ? 2.01 : 1.51);
  });

  it('reads back as what was written', () => {
    const written = lowerToTflite(importModel(model).model.graph);
    const read = decodeTflite(bytes);
    expect(read.tensors.map(t => [t.name, t.dtype, [...t.shape]])).toEqual(
      written.tensors.map(t => [t.name, t.dtype, [...t.shape]]),
    );
    expect(read.operators.map(o => [o.op, [...o.inputs], [...o.outputs]])).toEqual(
      written.operators.map(o => [o.op, [...o.inputs], [...o.outputs]]),
    );
    expect(encodeTflite(read)).toEqual(bytes);
  });
});

it('Vela compiles the common ones for Ethos-U55 and leaves nothing to the processor', () => {
  const common = [
    'conv-valid',
    'conv-same-stride',
    'depthwise',
    'conv-relu6',
    'gemm',
    'add-relu',
    'max-pool',
    'global-average',
    'mean-axes',
    'residual',
  ];
  for (const name of common) expect(answers[name]).toMatchObject({ velaLeaves: 0 });
});

it("MLPerf Tiny's int8 keyword spotter answers as in LiteRT", () => {
  const graph = fromTflite(readFileSync(join(import.meta.dirname, 'fixtures/kws_ref_model.tflite')));
  verify(graph);
  const { dims, x, y } = fixture<Record<'dims' | 'x' | 'y', number[]>>('kws_ref_model.json');
  const [got] = Object.values(evaluate(graph, { input_1: float32(dims, x) }));
  // LiteRT rounds each layer in fixed point: a few of 256 steps of a probability
  for (const [i, value] of y.entries()) expect(Math.abs(value - Number(got?.data[i]))).toBeLessThan(0.04);
});

describe('operators that are read', () => {
  const wanted = fixture<Record<string, { dims: number[]; y: number[] }[]>>('read-answers.json');

  it.each(READING_CASES)('$name: the graph answers as LiteRT does', ({ name, model, x }) => {
    const graph = fromTflite(encodeTflite(model));
    verify(graph);
    const got = evaluate(graph, { x: float32(model.tensors[0]?.shape ?? [], x) });
    const answer = wanted[name] ?? [];
    expect(graph.outputs).toHaveLength(answer.length);
    for (const [i, { dims, y }] of answer.entries()) {
      const out = got[graph.outputs[i]?.name ?? ''];
      expect(out?.dims).toEqual(dims);
      for (const [j, value] of y.entries()) expect(Number(out?.data[j])).toBeCloseTo(value, 4);
    }
  });

  it('what of them is not read is named', () => {
    const refusing = (name: string, options: TfliteOperator['options']) => {
      const { model } = READING_CASES.find(c => c.name === name) as ReadingCase;
      const operators = model.operators.map(o => ({ ...o, options: { ...o.options, ...options } }));
      return () => fromTflite(encodeTflite({ ...model, operators }), 'm.tflite');
    };
    const { model } = READING_CASES[0] as ReadingCase;
    const quantization = { scale: [0.1], zeroPoint: [0] };
    const tensors = model.tensors.map(t => ({ ...t, dtype: 'int16' as const, quantization }));
    expect(() => fromTflite(encodeTflite({ ...model, tensors }))).toThrow('"x" holds 16-bit activations');
    expect(refusing('gather', { batchDims: 1 })).toThrow('m.tflite: GATHER of "y0": batch dims are not read');
    expect(refusing('strided-plain', { newAxisMask: 1 })).toThrow('an ellipsis or a new axis is not read');
  });
});

describe('what cannot be written is named', () => {
  const one = (body: (b: Builder) => void): Model => {
    const b = new Builder('m');
    body(b);
    return modelOf(b.graph);
  };
  it('a float model', () => {
    const m = one(b => b.output(b.op('Relu', [b.input('x', 'float32', [1, 2])], {}), 'y'));
    expect(() => toTflite(m)).toThrow(/the model is float.*quantize it first/);
  });
  it('an op without a rule', () => {
    const m = one(b => {
      const z = b.constant({ dtype: 'int8', dims: [], data: Int8Array.of(0) });
      const s = b.constant(float32([], [0.5]));
      const x = b.op(
        'DequantizeLinear',
        [b.op('QuantizeLinear', [b.input('x', 'float32', [1, 2]), s, z], {}), s, z],
        {},
      );
      b.output(b.op('Mish', [x], {}), 'y');
    });
    expect(() => toTflite(m)).toThrow(/Mish.*not written to TFLite/);
  });
  it('symbolic dims', () => {
    const m = one(b => {
      const z = b.constant({ dtype: 'int8', dims: [], data: Int8Array.of(0) });
      const s = b.constant(float32([], [0.5]));
      b.output(
        b.op(
          'DequantizeLinear',
          [b.op('QuantizeLinear', [b.input('x', 'float32', ['n', 2]), s, z], {}), s, z],
          {},
        ),
        'y',
      );
    });
    expect(() => toTflite(m)).toThrow(/"x" has no fixed shape.*give dimension n a number/);
  });
});

describe('broken files give one sentence', () => {
  it('anything else', () => {
    expect(() => decodeTflite(new Uint8Array(64))).toThrow(/not a TFLite file/);
  });
  const files = [
    ...TFLITE_CASES.filter((_, i) => i % 4 === 0).map(({ model }) => toTflite(model)),
    ...READING_CASES.map(({ model }) => encodeTflite(model)),
  ];

  it('cut or altered bytes never throw anything else, decoded or as a graph', { timeout: 60_000 }, () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.constantFrom(...files), changes, (whole, list) => {
        const broken = whole.slice();
        for (const [at, value] of list) broken[at % whole.length] = value;
        for (const file of [broken, whole.slice(0, (list[0]?.[0] ?? 0) % whole.length)])
          try {
            fromTflite(file);
          } catch (error) {
            expect(error).toBeInstanceOf(GaslawError);
          }
      }),
      { numRuns: 2000 },
    );
  });
});
