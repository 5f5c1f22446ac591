/** What is imported computes what it did, with fewer nodes; what must stay stays. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../test/shared-data.ts';
import { emptyGraph, float32, type Graph, int64, type Model, modelOf, type Tensor } from '../graph/ir.ts';
import { eliminateCommonSubexpressions, mergeEqualIntegers } from '../graph/passes/cse.ts';
import { decodeModel } from '../graph/protobuf.ts';
import { randomGraph } from '../graph/random-graph.ts';
import { verify } from '../graph/verify.ts';
import { bindDims } from '../ops/bind-dims.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { doubles } from '../runtime/reference/tensor.ts';
import { Random } from '../util/random.ts';
import { foldConstants } from './fold.ts';
import { importModel } from './index.ts';
import { upgrade } from './upgrade.ts';

const opTypes = (graph: Graph): string[] => graph.nodes.map(n => n.opType);

function traced(shape: readonly (number | string)[], body: (b: Builder, x: Value) => Value): Graph {
  const b = new Builder('test');
  b.output(body(b, b.input('x', 'float32', shape)), 'y');
  return b.graph;
}

const imported = (graph: Graph): Graph => {
  const { model } = importModel(modelOf(graph));
  verify(model);
  return model.graph;
};

const noise = (dims: readonly number[], seed = 1): Tensor => {
  const random = new Random(seed);
  const size = dims.reduce((a, b) => a * b, 1);
  return float32(
    dims,
    Float32Array.from({ length: size }, () => random.normal()),
  );
};

describe('folding', () => {
  it('what follows from constants alone is computed, Constant nodes included', () => {
    const graph = traced([2], (b, x) => {
      const half = b.op('Constant', [], { value_float: 0.5 });
      return x.mul(half.exp().add(b.op('Constant', [], { value_floats: [1, 2] })));
    });
    const folded = imported(graph);
    expect(opTypes(folded)).toEqual(['Mul']);
    const y = evaluate(folded, { x: float32([2], [1, 1]) }).y as Tensor;
    expect([...doubles(y)].map(v => v.toFixed(5))).toEqual([1, 2].map(v => (v + Math.exp(0.5)).toFixed(5)));
  });

  it('a Reshape to [batch, -1] built from Shape, Gather and Concat becomes one with a constant target', () => {
    const graph = traced(['N', 3, 4], (b, x) => {
      const batch = b.op('Gather', [b.op('Shape', [x], {}), b.constant(int64([1], [0]))], { axis: 0 });
      return b.op('Reshape', [x, b.concat([batch, b.ints([12])], 0)], {});
    });
    const folded = imported(graph);
    expect(opTypes(folded)).toEqual(['Reshape']);
    expect(folded.initializers.get(folded.nodes[0]?.inputs[1] ?? '')).toEqual(int64([2], [-1, 12]));
    expect(folded.types.get('y')?.shape).toEqual(['N', 12]);
  });

  it('two unknown dims leave the target as it is', () => {
    const graph = traced(['N', 3, 'T'], (b, x) => {
      const dims = [0, 2].map(i => b.op('Gather', [b.op('Shape', [x], {}), b.ints([i])], { axis: 0 }));
      return b.op('Reshape', [x, b.concat([...dims, b.ints([3])], 0)], {});
    });
    expect(opTypes(imported(graph))).toContain('Concat');
  });

  it('the largest int64 stays exact', () => {
    const graph = traced([4], (b, x) => {
      const end = b.op(
        'Identity',
        [b.constant({ dtype: 'int64', dims: [1], data: BigInt64Array.of(2n ** 63n - 1n) })],
        {},
      );
      return b.op('Slice', [x, b.ints([1]), end, b.ints([0])], {});
    });
    const folded = imported(graph);
    expect(opTypes(folded)).toEqual(['Slice']);
    expect(folded.initializers.get(folded.nodes[0]?.inputs[2] ?? '')?.data).toEqual(
      BigInt64Array.of(2n ** 63n - 1n),
    );
  });

  it('what grows beyond a mebibyte, what dequantizes and what makes an output stays', () => {
    const large = traced([1024, 512], (b, x) => x.add(b.op('ConstantOfShape', [b.ints([1024, 512])], {})));
    expect(opTypes(imported(large))).toEqual(['ConstantOfShape', 'Add']);
    const tied = traced([1024, 512], (b, x) => {
      const table = b.initializer('table', noise([1024, 512]));
      return x.matmul(table.transpose([1, 0])).matmul(table);
    });
    expect(opTypes(imported(tied))).toEqual(['Transpose', 'MatMul', 'MatMul']);
    const alone = traced([1024, 512], (b, x) =>
      x.matmul(b.initializer('w', noise([1024, 512])).transpose([1, 0])),
    );
    expect(opTypes(imported(alone))).toEqual(['MatMul']);
    const quantized = traced([2], (b, x) => {
      const w = b.initializer('w', { dtype: 'int8', dims: [2], data: Int8Array.of(1, 2) });
      return x.mul(b.op('DequantizeLinear', [w, b.constant(float32([], [0.5]))], {}));
    });
    expect(opTypes(imported(quantized))).toEqual(['DequantizeLinear', 'Mul']);
    const output = traced([2], b => b.op('Exp', [b.constant(float32([1], [1]))], {}));
    expect(opTypes(imported(output))).toEqual(['Exp']);
  });

  it('what a default of an input gives is folded by importing, not by folding alone', () => {
    const graph = traced([2], (b, x) => x.mul(b.input('w', 'float32', [1]).exp()));
    graph.initializers.set('w', float32([1], [0]));
    expect(foldConstants(graph)).toEqual([]);
    const { model, report } = importModel(modelOf(graph));
    expect(report.defaults).toEqual(['w']);
    expect(model.graph.inputs.map(i => i.name)).toEqual(['x']);
    expect(opTypes(model.graph)).toEqual(['Mul']);
  });

  it('constants inside bodies are folded, those of the graph around them too', () => {
    const graph = emptyGraph('g');
    graph.inputs = [{ name: 'c', dtype: 'bool', shape: [] }];
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: [1] }];
    graph.initializers.set('k', float32([1], [2]));
    const body = (opType: string) => {
      const inner = emptyGraph(opType);
      inner.outputs = [{ name: `${opType}/z`, dtype: 'float32', shape: [1] }];
      const at = (name: string, op: string, input: string) => ({
        name,
        domain: '',
        opType: op,
        inputs: [input],
        outputs: [name],
        attributes: {},
      });
      inner.nodes = [at(`${opType}/e`, 'Exp', 'k'), at(`${opType}/z`, opType, `${opType}/e`)];
      return { type: 'graph', value: inner } as const;
    };
    const attributes = { then_branch: body('Neg'), else_branch: body('Abs') };
    graph.nodes = [{ name: 'if', domain: '', opType: 'If', inputs: ['c'], outputs: ['y'], attributes }];
    const { model, report } = importModel(modelOf(graph));
    expect(report.folded).toEqual(['Neg/e', 'Abs/e']);
    const y = evaluate(model.graph, { c: { dtype: 'bool', dims: [], data: Uint8Array.of(1) } }).y as Tensor;
    expect(doubles(y)[0]).toBeCloseTo(-Math.exp(2), 5);
  });
});

const one = (opType: string, attributes = {}, ...more: Tensor[]) =>
  traced([1, 2, 4, 4], (b, x) => {
    const inputs = [x.abs(), ...more.map(t => b.constant(t))];
    // The table below pairs ops with attributes that they have.
    return b.op(opType as 'Pad', inputs, attributes).neg();
  });

describe('an identity goes', () => {
  test.each<[string, Graph]>([
    ['Identity', one('Identity')],
    ['Dropout', one('Dropout', {}, float32([], [0.5]))],
    ['Cast to its own type', one('Cast', { to: 1 })],
    ['Transpose', one('Transpose', { perm: [0, 1, 2, 3] })],
    ['Reshape', one('Reshape', {}, int64([4], [1, 2, -1, 4]))],
    ['Pad of nothing', one('Pad', {}, int64([8], [0, 0, 0, 0, 0, 0, 0, 0]))],
    ['Slice of all', one('Slice', {}, int64([1], [0]), int64([1], [99]), int64([1], [2]))],
    ['Resize', one('Resize', {}, float32([0], []), float32([4], [1, 1, 1, 1]))],
    ['Expand', one('Expand', {}, int64([1], [1]))],
    ['Concat of one', one('Concat', { axis: 1 })],
    ['Clip without bounds', one('Clip')],
    ['times 1', one('Mul', {}, float32([], [1]))],
    ['plus 0', one('Add', {}, float32([1], [0]))],
    ['a pool of one element', one('MaxPool', { kernel_shape: [1, 1] })],
  ])('%s', (_, graph) => {
    const plain = imported(graph);
    expect(opTypes(plain)).toEqual(['Abs', 'Neg']);
    const x = noise([1, 2, 4, 4]);
    expect(evaluate(plain, { x }).y).toEqual(evaluate(graph, { x }).y);
  });
});

describe('what looks like one stays', () => {
  test.each<[string, Graph]>([
    [
      'a Slice backwards',
      one('Slice', {}, int64([1], [-1]), int64([1], [-99]), int64([1], [2]), int64([1], [-1])),
    ],
    [
      'a Resize whose scale rounds to the same size',
      one('Resize', {}, float32([0], []), float32([4], [1, 1, 1.2, 1.2])),
    ],
    ['a vector of ones, which may be trained', one('Mul', {}, float32([4], [1, 1, 1, 1]))],
    [
      '1 that stretches',
      traced([1], (b, x) =>
        x
          .abs()
          .mul(b.constant(float32([1, 1], [1])))
          .neg(),
      ),
    ],
    ['a Pad that cuts and adds', one('Pad', {}, int64([8], [0, 0, 0, 1, 0, 0, 0, -1]))],
    [
      'a Dropout that trains',
      one('Dropout', {}, float32([], [0]), { dtype: 'bool', dims: [], data: Uint8Array.of(1) }),
    ],
  ])('%s', (_, graph) => {
    expect(opTypes(imported(graph))).toHaveLength(3);
  });
});

it('a graph output keeps its name when the identity that made it goes', () => {
  const b = new Builder('test');
  const x = b.input('x', 'float32', [2]);
  const e = x.exp();
  b.output(b.op('Identity', [e], {}), 'y');
  b.output(b.op('Identity', [x], {}), 'same');
  b.output(e.neg(), 'z');
  const graph = imported(b.graph);
  expect(opTypes(graph).sort()).toEqual(['Exp', 'Identity', 'Neg']);
  expect(graph.outputs.map(o => o.name)).toEqual(['y', 'same', 'z']);
});

it('nodes that read equal constants under two names are one', () => {
  const graph = traced([4], (b, x) => {
    const at = (name: string) => b.initializer(name, int64([2], [2, 2]));
    return b.op('Reshape', [x, at('a')], {}).add(b.op('Reshape', [x, at('b')], {}));
  });
  mergeEqualIntegers(graph);
  eliminateCommonSubexpressions(graph);
  expect(opTypes(graph)).toEqual(['Reshape', 'Add']);
});

describe('the report', () => {
  it('names what is not known and what has no gradient', () => {
    const graph = traced([2, 3], (_, x) => x.exp().neg());
    (graph.nodes[1] as { domain: string }).domain = 'acme';
    const { report } = importModel(modelOf(graph));
    expect(report.unknown).toEqual([
      { node: graph.nodes[1]?.name, op: 'acme.Neg', why: 'the op is not known' },
    ]);
    const hard = traced([2, 3], (b, x) => b.op('Hardmax', [x], {}));
    expect(importModel(modelOf(hard)).report.notDifferentiable.map(o => o.op)).toEqual(['Hardmax']);
  });

  it('integers and what is made of constants are no obstacles', () => {
    const graph = traced([2, 3], (b, x) =>
      b.op('Gather', [x, b.op('ArgMax', [x], { axis: 0, keepdims: 0 })], { axis: 1 }),
    );
    expect(importModel(modelOf(graph)).report.notDifferentiable).toEqual([]);
  });
});

it('random graphs compute the same', () => {
  fc.assert(
    fc.property(fc.integer(), fc.boolean(), (seed, choice) => {
      const graph = randomGraph(new Random(seed));
      const inputs = {
        x: noise([3], seed),
        choice: { dtype: 'bool', dims: [], data: Uint8Array.of(choice ? 1 : 0) },
      } as const;
      const [got, want] = [imported(graph), graph].map(g => Object.entries(evaluate(g, inputs)));
      // −0 + 0 is 0, so adding 0 is an identity but for the sign
      const plain = (entries: typeof got) =>
        entries?.map(([name, t]) => [name, [...doubles(t)].map(v => v + 0)]);
      expect(plain(got)).toEqual(plain(want));
    }),
    { numRuns: 200 },
  );
});

describe('branches that are known', () => {
  const branch = (...nodes: readonly [string, string, ...string[]][]) => {
    const body = emptyGraph('branch');
    body.nodes = nodes.map(([output, opType, ...inputs]) => ({
      name: output,
      domain: '',
      opType,
      inputs,
      outputs: [output],
      attributes: {},
    }));
    body.outputs = [{ name: nodes.at(-1)?.[0] as string, dtype: 'float32' }];
    return { type: 'graph', value: body } as const;
  };

  it('stand in place of the If, a branch inside a branch too, under names of their own', () => {
    const graph = emptyGraph('g');
    graph.inputs = [
      { name: 'x', dtype: 'float32', shape: [2] },
      { name: 'rate', dtype: 'int64', shape: [] },
    ];
    graph.outputs = [{ name: 'y', dtype: 'float32', shape: [2] }];
    graph.initializers.set('16k', int64([], [16000]));
    const node = (output: string, opType: string, inputs: string[], attributes = {}) => ({
      name: output,
      domain: '',
      opType,
      inputs,
      outputs: [output],
      attributes,
    });
    const inner = { then_branch: branch(['h', 'Exp', 'x']), else_branch: branch(['h', 'Neg', 'x']) };
    const outer = branch(['unused', 'Abs', 'x'], ['z', 'Identity', 'x']);
    outer.value.nodes[1] = node('z', 'If', ['is'], inner);
    const other = { then_branch: branch(['h', 'Neg', 'first']), else_branch: branch(['h', 'Abs', 'first']) };
    graph.nodes = [
      node('is', 'Equal', ['rate', '16k']),
      node('first', 'If', ['is'], { then_branch: outer, else_branch: branch(['z', 'Abs', 'x']) }),
      node('y', 'If', ['is'], other),
    ];
    const { model, report } = importModel(modelOf(graph), {
      constants: new Map([['rate', int64([], [16000])]]),
    });
    verify(model);
    expect(report.branches).toHaveLength(3);
    expect(opTypes(model.graph)).toEqual(['Exp', 'Neg']);
    expect(model.graph.inputs.map(i => i.name)).toEqual(['x']);
    expect(evaluate(model.graph, { x: float32([2], [0, 1]) }).y?.data).toEqual(
      Float32Array.from([-1, -Math.E]),
    );
    expect(opTypes(importModel(modelOf(graph)).model.graph)).toEqual(['Equal', 'If', 'If']);
  });

  it('an input that is not there is named', () => {
    const graph = traced([2], (_, x) => x.exp());
    const fix = (name: string, t: Tensor) => () =>
      importModel(modelOf(graph), { constants: new Map([[name, t]]) });
    expect(fix('sr', int64([], [1]))).toThrow('the model has no input "sr"; it has x');
    expect(fix('x', int64([], [1]))).toThrow('input "x" is float32, the constant for it int64');
  });
});

describe.runIf(HAS_DATA)(`models of others ${NEEDS_DATA}`, () => {
  const load = (name: string): Model => decodeModel(readFileSync(shared(name)));
  test.each([
    ['cifar_resnet20_bn.onnx', 55],
    ['mlperftiny_kws_dscnn.onnx', 24],
    ['mnist-12.onnx', 9],
  ])('%s: fewer nodes, no norms, the same outputs', (name, nodes) => {
    const model = load(name);
    const after = importModel(model).model;
    verify(after);
    expect(opTypes(after.graph)).toHaveLength(nodes);
    const gone = ['BatchNormalization', 'Dropout', 'Identity', 'Constant', 'Shape'];
    expect(opTypes(after.graph).filter(op => gone.includes(op))).toEqual([]);
    const [input] = after.graph.inputs;
    const x = noise(input?.shape?.map(d => (typeof d === 'number' ? d : 1)) as number[]);
    const [want, got] = [upgrade(model), after].map(({ graph }) => {
      const results = evaluate(graph, { [input?.name as string]: x });
      return doubles(results[graph.outputs[0]?.name as string] as Tensor);
    });
    want?.forEach((v, i) => void expect(got?.[i]).toBeCloseTo(v, 4));
  });

  it('a graph bound to one size folds all its shapes', () => {
    const { graph } = load('gpt_nano_sort.onnx');
    const { model } = importModel({
      ...load('gpt_nano_sort.onnx'),
      graph: bindDims(graph, new Map(), 'all'),
    });
    expect(opTypes(model.graph)).not.toContain('Shape');
  });
});
