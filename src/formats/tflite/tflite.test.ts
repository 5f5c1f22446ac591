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
import { lowerToTflite, toTflite } from './from-graph.ts';
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

const answers = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/answers.json'), 'utf8'),
) as Record<string, Answer>;

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
  const fixture = (name: string) => readFileSync(join(import.meta.dirname, 'fixtures', name));
  const graph = fromTflite(fixture('kws_ref_model.tflite'));
  verify(graph);
  const { dims, x, y } = JSON.parse(fixture('kws_ref_model.json').toString()) as Record<
    'dims' | 'x' | 'y',
    number[]
  >;
  const [got] = Object.values(evaluate(graph, { input_1: float32(dims, x) }));
  // LiteRT rounds each layer in fixed point: a few of 256 steps of a probability
  for (const [i, value] of y.entries()) expect(Math.abs(value - Number(got?.data[i]))).toBeLessThan(0.04);
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
    expect(() => toTflite(m)).toThrow(/"x" has no fixed shape/);
  });
});

describe('broken files give one sentence', () => {
  const bytes = toTflite(TFLITE_CASES[0]?.model as Model);
  it('anything else', () => {
    expect(() => decodeTflite(new Uint8Array(64))).toThrow(/not a TFLite file/);
  });
  it('cut or altered bytes never throw anything else', () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const broken = bytes.slice();
        broken[at] = value;
        for (const file of [broken, bytes.slice(0, at)])
          try {
            decodeTflite(file);
          } catch (error) {
            expect(error).toBeInstanceOf(GaslawError);
          }
      }),
      { numRuns: 200 },
    );
  });
});
