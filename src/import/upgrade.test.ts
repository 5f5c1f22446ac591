/**
 * Models of old opsets, upgraded, against what ONNX Runtime computes of the old form (fixtures/make_upgrade.py).
 * Values agree to 2e-5, relative above 1; dtypes and dims are equal.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { DType } from '../graph/dtype.ts';
import { emptyGraph, float32, type Model, modelOf, type Node, type Tensor } from '../graph/ir.ts';
import { decodeModel } from '../graph/protobuf.ts';
import { inferShapes } from '../ops/infer.ts';
import { isOpType } from '../ops/schema.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { doubles, store } from '../runtime/reference/tensor.ts';
import { upgrade } from './upgrade.ts';

interface Stored {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: readonly number[];
}
interface Case {
  readonly name: string;
  readonly op: string;
  readonly model: string;
  readonly inputs: readonly Stored[];
  readonly outputs: readonly Stored[];
}

const CASES = JSON.parse(
  readFileSync(new URL('./fixtures/upgrade.json', import.meta.url), 'utf8'),
) as readonly Case[];

const read = (one: Case): Model => decodeModel(Uint8Array.from(Buffer.from(one.model, 'base64')));
const load = ({ dtype, dims, data }: Stored): Tensor => {
  if (dtype === 'int64') return { dtype, dims, data: BigInt64Array.from(data, BigInt) };
  return store(dtype, dims, Float64Array.from(data));
};

function expectClose(got: Tensor, want: Stored): void {
  expect([got.dtype, ...got.dims]).toEqual([want.dtype, ...want.dims]);
  doubles(got).forEach((v, i) => {
    const should = want.data[i] as number;
    expect(Math.abs(v - should), `[${i}] is ${v}, not ${should}`).toBeLessThanOrEqual(
      2e-5 * Math.max(1, Math.abs(should)),
    );
  });
}

describe('the new form computes what the old one did', () => {
  test.each(CASES.map(c => [c.name, c] as const))('%s', (_, one) => {
    const { graph } = upgrade(read(one));
    const feeds = Object.fromEntries(one.inputs.map((input, i) => [`x${i}`, load(input)]));
    const results = evaluate(graph, feeds);
    one.outputs.forEach((want, i) => {
      expectClose(results[`y${i}`] as Tensor, want);
    });
  });
});

describe('the upgraded model', () => {
  test.each(CASES.map(c => [c.name, c] as const))('%s has inferred types that hold', (_, one) => {
    const { graph } = upgrade(read(one));
    inferShapes(graph);
    one.outputs.forEach(({ dtype, dims }, i) => {
      expect(graph.types.get(`y${i}`)).toMatchObject({ dtype, shape: dims });
    });
  });

  test('has only ops of the op list, at opset 21 or above', () => {
    for (const one of CASES) {
      const model = upgrade(read(one));
      expect(model.graph.nodes.filter(n => n.domain !== '' || !isOpType(n.opType))).toEqual([]);
      expect(model.opsets.get('')).toBeGreaterThanOrEqual(21);
    }
  });

  test('is another object: the model given stays as it was', () => {
    const model = read(CASES[0] as Case);
    const before = JSON.stringify(model.graph.nodes);
    upgrade(model);
    expect(JSON.stringify(model.graph.nodes)).toBe(before);
    expect(model.opsets.get('')).toBe(11);
  });
});

/** One node over x: float32 [2, 4, 3, 3]. */
function old(opset: number, opType: string, rest: Partial<Node> = {}): Model {
  const graph = emptyGraph('g');
  graph.inputs = [{ name: 'x', dtype: 'float32', shape: [2, 4, 3, 3] }];
  graph.outputs = [{ name: 'y', dtype: 'float32' }];
  graph.nodes = [{ name: 'old', domain: '', opType, inputs: ['x'], outputs: ['y'], attributes: {}, ...rest }];
  const model = modelOf(graph);
  model.opsets.set('', opset);
  return model;
}

describe('bodies of control flow are upgraded too', () => {
  test('a ReduceMean with an axes attribute inside an If', () => {
    const body = (opType: string) => {
      const graph = emptyGraph(opType);
      graph.outputs = [{ name: 'b', dtype: 'float32' }];
      const axes = { type: 'ints', value: [0, 1, 2] } as const;
      graph.nodes = [
        { name: opType, domain: '', opType, inputs: ['x'], outputs: ['b'], attributes: { axes } },
      ];
      return { type: 'graph', value: graph } as const;
    };
    const attributes = { then_branch: body('ReduceMean'), else_branch: body('ReduceMax') };
    const model = old(11, 'If', { inputs: ['c'], attributes });
    model.graph.inputs = [
      { name: 'x', dtype: 'float32', shape: [1, 2, 1, 2] },
      { name: 'c', dtype: 'bool', shape: [] },
    ];
    const { graph } = upgrade(model);
    const x = float32([1, 2, 1, 2], [1, 2, 5, 8]);
    const run = (c: number) =>
      evaluate(graph, { x, c: { dtype: 'bool', dims: [], data: Uint8Array.of(c) } }).y as Tensor;
    expect([...doubles(run(1))]).toEqual([3, 5]);
    expect([...doubles(run(0))]).toEqual([5, 8]);
  });
});

describe('GroupNormalization-18', () => {
  test('scales of a group are repeated for each of its channels', () => {
    const model = old(18, 'GroupNormalization', {
      inputs: ['x', 'scale', 'bias'],
      attributes: { num_groups: { type: 'int', value: 2 } },
    });
    model.graph.initializers.set('scale', float32([2], [2, 3])).set('bias', float32([2], [-1, 1]));
    const { graph } = upgrade(model);
    const [, scale, bias] = (graph.nodes[0] as Node).inputs as [string, string, string];
    expect(graph.initializers.get(scale)).toEqual(float32([4], [2, 2, 3, 3]));
    expect(graph.initializers.get(bias)).toEqual(float32([4], [-1, -1, 1, 1]));
  });
});

describe('what has no equal today is refused by name', () => {
  const one = { type: 'int', value: 1 } as const;
  test.each([
    [old(6, 'Relu'), 'the model is of opset 6'],
    [
      old(7, 'BatchNormalization', { attributes: { spatial: { type: 'int', value: 0 } } }),
      'node "old" (BatchNormalization): normalizes every activation by itself',
    ],
    [
      old(9, 'BatchNormalization', { outputs: ['y', 'm', 'v', 'saved'] }),
      'node "old" (BatchNormalization): puts out saved_mean',
    ],
    [old(8, 'Scan', { attributes: { num_scan_inputs: one } }), 'node "old" (Scan): is a Scan of opset 8'],
    [
      old(18, 'GroupNormalization', { inputs: ['x', 's', 'b'], attributes: { num_groups: one } }),
      'node "old" (GroupNormalization): has scales by group that are not constant',
    ],
    [
      old(13, 'FusedGemm', {
        domain: 'com.microsoft',
        attributes: { activation: { type: 'string', value: 'Strange' } },
      }),
      'node "old" (FusedGemm): fuses the activation "Strange"',
    ],
  ])('%#', (model, sentence) => {
    expect(() => upgrade(model)).toThrow(sentence);
  });

  test('an op that is not in the list stays, and the opset does not fall below its model’s', () => {
    const model = upgrade(old(26, 'Unheard'));
    expect(model.graph.nodes.map(n => n.opType)).toEqual(['Unheard']);
    expect(model.opsets.get('')).toBe(26);
  });
});
