/** Shape rules against what onnx's own shape inference says of the same nodes (fixtures/shapes.py made the cases). */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { allocate, type DType } from '../../graph/dtype.ts';
import { type Attribute, emptyGraph, type Graph, type Node, type Tensor } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { inferNode } from '../infer.ts';
import { OPS, type OpType } from '../schema.ts';

interface Operand {
  readonly dtype: DType;
  readonly shape: readonly (number | string)[];
  readonly value?: readonly number[];
}
interface Case {
  readonly op: OpType;
  readonly inputs: readonly (Operand | null)[];
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly outputs?: readonly { dtype: DType; shape: readonly (number | string | null)[] | null }[];
  readonly fails?: true;
}

const url = new URL('../fixtures/shapes.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(url, 'utf8')) as { cases: readonly Case[] };

function tensor(dtype: DType, dims: readonly number[], values: readonly number[]): Tensor {
  const data = allocate(dtype, values.length);
  if (Array.isArray(data)) throw new Error('no strings here');
  values.forEach((v, i) => {
    data[i] = dtype === 'int64' ? BigInt(v) : v;
  });
  return { dtype, dims, data };
}

function attribute(name: string, op: OpType, value: unknown): Attribute {
  const kind = (OPS[op].attributes as Record<string, Attribute['type']>)[name];
  if (kind === 'tensor') {
    const v = value as { dtype: DType; dims: number[]; values: number[] };
    return { type: 'tensor', value: tensor(v.dtype, v.dims, v.values) };
  }
  return { type: kind, value } as Attribute;
}

function build(c: Case): { graph: Graph; node: Node } {
  const graph = emptyGraph('g');
  c.inputs.forEach((x, i) => {
    if (x?.value) graph.initializers.set(`x${i}`, tensor(x.dtype, x.shape as number[], x.value));
    else if (x) graph.inputs.push({ name: `x${i}`, dtype: x.dtype, shape: x.shape });
  });
  const outputs = Array.from({ length: c.outputs?.length ?? 1 }, (_, o) => `y${o}`);
  const attributes = Object.entries(c.attributes).map(([k, v]) => [k, attribute(k, c.op, v)]);
  const inputs = c.inputs.map((x, i) => (x ? `x${i}` : ''));
  return {
    graph,
    node: {
      name: 'n',
      domain: '',
      opType: c.op,
      inputs,
      outputs,
      attributes: Object.fromEntries(attributes),
    },
  };
}

const show = (c: Case): string => {
  const inputs = c.inputs.map(x => (x ? `${x.dtype}[${x.shape}]${x.value ? `=${x.value}` : ''}` : '-'));
  return `${c.op}(${inputs.join(', ')}) ${JSON.stringify(c.attributes)}`;
};

describe('shape rules agree with onnx', () => {
  test.each(cases.filter(c => c.outputs).map(c => [show(c), c] as const))('%s', (_, c) => {
    const { graph, node } = build(c);
    const types = inferNode(graph, node);
    c.outputs?.forEach((want, o) => {
      const got = types[o];
      expect(got?.dtype).toBe(want.dtype);
      if (!want.shape) return;
      expect(got?.shape).toHaveLength(want.shape.length);
      want.shape.forEach((d, i) => {
        if (d !== null) expect(got?.shape?.[i], `dim ${i} of ${got?.shape}`).toBe(d);
      });
    });
  });
});

describe('shape rules refuse what onnx refuses', () => {
  test.each(cases.filter(c => c.fails).map(c => [show(c), c] as const))('%s', (_, c) => {
    const { graph, node } = build(c);
    expect(() => inferNode(graph, node)).toThrow(GaslawError);
  });
});

/** Bodies are in control.test.ts; onnx's inference stumbles over MeanVarianceNormalization's function body. */
const ELSEWHERE: readonly string[] = ['MeanVarianceNormalization', 'If', 'Loop', 'Scan'];

test('every op of ONNX in the op list has a case', () => {
  const covered = new Set<string>(cases.map(c => c.op));
  const own = Object.keys(OPS).filter(key => !key.includes('.') && key !== 'SimplifiedLayerNormalization');
  expect(own.filter(key => !covered.has(key))).toEqual(ELSEWHERE);
});
