/** Quantized graphs: where pairs stand, that they compute what they should, and that others can read them. */
import { describe, expect, it } from 'vitest';
import { toTflite } from '../../../formats/tflite/from-graph.ts';
import { float32, type Graph, int64, type Model, modelOf, type Tensor } from '../../../graph/ir.ts';
import { decodeModel, encodeModel } from '../../../graph/protobuf.ts';
import { verify } from '../../../graph/verify.ts';
import { Builder, type Value } from '../../../ops/builder.ts';
import { Qdq } from '../../../ops/qdq.ts';
import { nativeRuntime } from '../../../runtime/native/native.ts';
import { referenceRuntime } from '../../../runtime/reference/index.ts';
import { doubles } from '../../../runtime/reference/tensor.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import { Random } from '../../../util/random.ts';
import { quantizeStatic, type StaticOptions } from './index.ts';
import { dequantized, quantizeTensor } from './weights.ts';

const normal = (dims: readonly number[], seed: number, scale = 1): Tensor => {
  const random = new Random(seed);
  const count = dims.reduce((a, b) => a * b, 1);
  return float32(
    dims,
    Float32Array.from({ length: count }, () => scale * random.normal()),
  );
};

const X = [1, 3, 8, 8] as const;

function graphOf(body: (b: Builder, x: Value) => Value, dims: readonly number[] = X): Model {
  const b = new Builder('small');
  b.output(body(b, b.input('x', 'float32', dims)), 'y');
  return modelOf(b.graph);
}

const data = (dims: readonly number[] = X) => [1, 2, 3, 4].map(seed => ({ x: normal(dims, seed) }));

const conv = (b: Builder, x: Value, out: number, seed: number): Value => {
  const w = b.initializer(`w${seed}`, normal([out, x.shape[1] as number, 3, 3], seed, 0.2));
  const bias = b.initializer(`b${seed}`, normal([out], seed + 1, 0.1));
  return b.op('Conv', [x, w, bias], { pads: [1, 1, 1, 1] });
};

/** Two convolutions, one added to what went in, then movers and a product. */
const network = graphOf((b, x) => {
  const a = b.op('Relu', [conv(b, x, 8, 10)], {});
  const c = b.op('Relu', [b.op('Add', [conv(b, a, 8, 20), a], {})], {});
  const pooled = b.op('MaxPool', [c], { kernel_shape: [2, 2], strides: [2, 2] });
  const flat = b.op('Flatten', [pooled], {});
  const w = b.initializer('fc', normal([10, 128], 30, 0.1));
  return b.op(
    'Softmax',
    [b.op('Gemm', [flat, w, b.initializer('fcb', normal([10], 31, 0.1))], { transB: 1 })],
    {},
  );
});

const quantized = async (options: StaticOptions = {}, model = network): Promise<Graph> => {
  const made = await quantizeStatic(referenceRuntime(), model, data(), options);
  verify(made.model.graph);
  return made.model.graph;
};

/** op of what makes `name`'s integers, or of what they stand for. */
const makersOf = (graph: Graph) =>
  graph.nodes
    .filter(node => node.opType === 'QuantizeLinear')
    .map(node => graph.nodes.find(n => n.outputs.includes(node.inputs[0] as string))?.opType ?? 'input');

describe('places', () => {
  it('a pair after the input, each Relu, MaxPool, Flatten, Gemm and Softmax; none between Conv or Add and Relu', async () => {
    expect(makersOf(await quantized()).sort()).toEqual(
      ['Flatten', 'Gemm', 'MaxPool', 'Relu', 'Relu', 'Softmax', 'input', 'Conv'].sort(),
    );
  });

  it('products alone: Add, Softmax and what only they read stay float', async () => {
    const makers = makersOf(await quantized({ coverage: 'products' }));
    expect(makers).not.toContain('Softmax');
    expect(makers.filter(op => op === 'Relu').length).toBeLessThanOrEqual(2);
  });

  it('values that are moved keep one scale', async () => {
    const graph = await quantized();
    const qdq = new Qdq(graph);
    const scaleOf = (op: string) => {
      const node = graph.nodes.find(n => n.opType === op);
      return qdq.becoming(node?.outputs[0] as string)?.quantization.scale;
    };
    expect(scaleOf('Flatten')).toEqual(scaleOf('MaxPool'));
    const pool = graph.nodes.find(n => n.opType === 'MaxPool');
    expect(qdq.behind(pool?.inputs[0] as string)?.quantization.scale).toEqual(scaleOf('MaxPool'));
  });

  it('Concat gives its inputs one scale, which spans them all', async () => {
    const model = graphOf((b, x) => b.concat([conv(b, x, 4, 40), conv(b, x, 4, 50).mul(7)], 1));
    const graph = await quantized({ observer: { method: 'minmax' } }, model);
    const concat = graph.nodes.find(n => n.opType === 'Concat');
    const qdq = new Qdq(graph);
    const scales = [
      ...(concat?.inputs.map(n => qdq.behind(n)) ?? []),
      qdq.becoming(concat?.outputs[0] as string),
    ];
    expect(new Set(scales.map(s => s?.quantization.scale[0])).size).toBe(1);
  });

  it('ops that a device wants with one scale get it', async () => {
    const model = graphOf((b, x) => conv(b, x, 4, 60).add(conv(b, x, 4, 70).mul(9)));
    const scalesOf = async (options: StaticOptions) => {
      const graph = await quantized(options, model);
      const add = graph.nodes.find(n => n.opType === 'Add');
      return new Set(add?.inputs.map(n => new Qdq(graph).behind(n)?.quantization.scale[0])).size;
    };
    expect(await scalesOf({})).toBe(2);
    expect(await scalesOf({ unified: ['Add'] })).toBe(1);
  });

  it('a node that is named stays float', async () => {
    const name = network.graph.nodes.find(n => n.opType === 'Add')?.name as string;
    const graph = await quantized({ float: new Set([name]) });
    const add = graph.nodes.find(n => n.opType === 'Add');
    const maker = graph.nodes.find(n => n.outputs[0] === add?.outputs[0]);
    expect(maker).toBe(add);
    expect(makersOf(graph).filter(op => op === 'Relu')).toHaveLength(1);
  });

  it('biases are int32 with the scale of activation times weight', async () => {
    const graph = await quantized();
    const qdq = new Qdq(graph);
    for (const node of graph.nodes.filter(n => n.opType === 'Conv' || n.opType === 'Gemm')) {
      const [x, w, b] = node.inputs.map(name => qdq.behind(name)?.quantization);
      expect(b?.dtype).toBe('int32');
      expect(b?.scale).toEqual(w?.scale.map(s => Math.fround(s * (x?.scale[0] as number))));
    }
  });
});

describe('options', () => {
  const weightsOf = (graph: Graph) => {
    const qdq = new Qdq(graph);
    return graph.nodes
      .filter(n => n.opType === 'Conv')
      .map(n => qdq.behind(n.inputs[1] as string)?.quantization);
  };
  const inputOf = (graph: Graph) => new Qdq(graph).becoming('x')?.quantization;

  it.each(['int8', 'uint8', 'int16', 'uint16'] as const)('activations of %s', async activations => {
    expect(inputOf(await quantized({ activations }))?.dtype).toBe(activations);
  });

  it.each(['int8', 'uint8', 'int4'] as const)('weights of %s', async weights => {
    expect(weightsOf(await quantized({ weights })).map(w => w?.dtype)).toEqual([weights, weights]);
  });

  it('one scale a channel, or one a tensor', async () => {
    expect(weightsOf(await quantized()).map(w => w?.scale.length)).toEqual([8, 8]);
    expect(weightsOf(await quantized({ granularity: 'per-tensor' })).map(w => w?.scale.length)).toEqual([
      1, 1,
    ]);
  });

  it('products may differ from convolutions in that', async () => {
    const graph = await quantized({ productGranularity: 'per-tensor' });
    const gemm = graph.nodes.find(n => n.opType === 'Gemm');
    expect(new Qdq(graph).behind(gemm?.inputs[1] as string)?.quantization.scale).toHaveLength(1);
    expect(weightsOf(graph)[0]?.scale).toHaveLength(8);
  });

  it('zero points: none where symmetric', async () => {
    expect(inputOf(await quantized({ symmetric: true }))?.zeroPoint).toEqual([0]);
    const skewed = await quantized({ symmetricWeights: false, weights: 'uint8', weightMethod: 'minmax' });
    expect(new Set(weightsOf(skewed)[0]?.zeroPoint).size).toBeGreaterThan(1);
  });

  it('powers of two', async () => {
    const graph = await quantized({ powerOfTwo: true });
    const scales = [...weightsOf(graph).flatMap(w => w?.scale ?? []), ...(inputOf(graph)?.scale ?? [])];
    expect(scales.filter(s => !Number.isInteger(Math.log2(s)))).toEqual([]);
  });

  it.each([2, 3])('%s bits of int4: no code is outside of theirs', async weightBits => {
    const graph = await quantized({ weights: 'int4', weightBits });
    const codes = doubles(graph.initializers.get('w10_quantized') as Tensor);
    expect([Math.min(...codes), Math.max(...codes)]).toEqual([
      -(2 ** (weightBits - 1)),
      2 ** (weightBits - 1) - 1,
    ]);
  });

  it('a dtype for one weight', async () => {
    const dtypeOf = (name: string) => (name === 'w10' ? ('int4' as const) : undefined);
    expect(weightsOf(await quantized({ dtypeOf })).map(w => w?.dtype)).toEqual(['int4', 'int8']);
  });
});

describe('what is computed', () => {
  const outputs = async (model: Model, runtime: Runtime = referenceRuntime()) => {
    using program = await runtime.compile(model);
    return (await program.call({ x: normal(X, 2) })).y?.data as Float32Array;
  };

  it('the float model’s answer, nearer with 16 bits than with 8, and with 8 than with 4', async () => {
    const exact = await outputs(network);
    const errorOf = async (options: StaticOptions) => {
      const { model } = await quantizeStatic(referenceRuntime(), network, data(), options);
      return Math.max(...(await outputs(model)).map((v, i) => Math.abs(v - (exact[i] as number))));
    };
    const errors = [
      await errorOf({ activations: 'int16' }),
      await errorOf({}),
      await errorOf({ weights: 'int4' }),
    ] as const;
    expect(errors[0]).toBeLessThan(0.01);
    expect(errors[1]).toBeLessThan(0.03);
    expect(errors[2]).toBeGreaterThan(errors[1]);
  });

  it.each([
    {},
    { weights: 'int4' },
    { activations: 'int16' },
    { activations: 'uint8', symmetric: true },
  ] as const)('ONNX Runtime gives what the interpreter gives, read back from a file: %j', async options => {
    const { model } = await quantizeStatic(referenceRuntime(), network, data(), options);
    const [ours, theirs] = [
      await outputs(model),
      await outputs(decodeModel(encodeModel(model)), await nativeRuntime()),
    ];
    const step = 2 / 256;
    const furthest = Math.max(...theirs.map((v, i) => Math.abs(v - (ours[i] as number))));
    expect(furthest).toBeLessThanOrEqual(step);
  });

  it('goes through the int8 TFLite writer', async () => {
    const { model } = await quantizeStatic(referenceRuntime(), network, data(), { coverage: 'all' });
    expect(toTflite(model).length).toBeGreaterThan(1000);
  });

  it('the model that goes in stays as it was', async () => {
    const before = network.graph.nodes.length;
    await quantized();
    expect(network.graph.nodes).toHaveLength(before);
    expect(network.graph.initializers.get('w10')?.dtype).toBe('float32');
  });
});

describe('what stays float', () => {
  it('a mask, and the sum around it, with the reason', async () => {
    const model = graphOf((b, x) => {
      const mask = b.constant(float32([8], [0, 0, 0, -Infinity, 0, 0, -Infinity, 0]));
      return b.op('Softmax', [conv(b, x, 4, 80).add(mask)], { axis: -1 });
    });
    const { model: made, report } = await quantizeStatic(referenceRuntime(), model, data());
    expect(report.kept.map(k => k.reason)).toEqual([
      'it is not finite everywhere',
      'it is not finite everywhere',
    ]);
    using program = await referenceRuntime().compile(made);
    const y = (await program.call({ x: normal(X, 9) })).y?.data as Float32Array;
    expect(y.every(Number.isFinite)).toBe(true);
    expect(y[3]).toBe(0);
  });

  it('ids and shapes', async () => {
    const b = new Builder('ids');
    const ids = b.input('ids', 'int64', [1, 4]);
    const table = b.initializer('table', normal([16, 8], 1));
    const w = b.initializer('w', normal([8, 8], 2));
    b.output(b.op('MatMul', [b.op('Gather', [table, ids], { axis: 0 }), w], {}), 'y');
    const feeds = [{ ids: int64([1, 4], [3, 1, 4, 15]) }];
    const { model } = await quantizeStatic(referenceRuntime(), modelOf(b.graph), feeds);
    expect(model.graph.initializers.get('table_quantized')?.dtype).toBe('int8');
    expect(model.graph.inputs[0]?.dtype).toBe('int64');
  });

  it('no data is one sentence', async () => {
    await expect(quantizeStatic(referenceRuntime(), network, [])).rejects.toThrow(
      /the list of batches is empty/,
    );
  });
});

describe('weights', () => {
  const w = normal([4, 6, 3], 5);

  it.each([undefined, 0, 1, 2])('axis %s: no value is further than half a step from its own', axis => {
    const scheme = { dtype: 'int8', symmetric: true, narrow: true } as const;
    const q = quantizeTensor(w, { scheme, method: 'minmax', ...(axis !== undefined && { axis }) });
    expect(q.affine).toHaveLength(axis === undefined ? 1 : (w.dims[axis] as number));
    const half = Math.max(...q.affine.map(a => a.scale)) / 2;
    dequantized(q).forEach((x, i) => {
      expect(Math.abs(x - ((w.data as Float32Array)[i] as number))).toBeLessThanOrEqual(half * 1.0001);
    });
  });

  it('mse is never worse than minmax, and better at 4 bits', () => {
    const errorOf = (method: 'mse' | 'minmax') => {
      const q = quantizeTensor(w, { scheme: { dtype: 'int4', symmetric: true }, method });
      return dequantized(q).reduce((s, x, i) => s + (x - ((w.data as Float32Array)[i] as number)) ** 2, 0);
    };
    expect(errorOf('mse')).toBeLessThan(errorOf('minmax'));
  });

  it('importance moves the range: an extreme that does not count is cut', () => {
    const values = float32([1, 9], [0.1, -0.2, 0.3, 0.15, -0.25, 0.05, 0.2, -0.1, 5]);
    const scheme = { dtype: 'int4', symmetric: true } as const;
    const importance = Float32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 0);
    const plain = quantizeTensor(values, { scheme, method: 'mse' });
    const weighed = quantizeTensor(values, { scheme, method: 'mse', importance });
    expect(weighed.affine[0]?.scale).toBeLessThan(0.5 * (plain.affine[0]?.scale ?? 0));
  });
});
