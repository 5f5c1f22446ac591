/** Folded graphs compute what the unfolded ones do, and what cannot be folded stays. */
import { describe, expect, test } from 'vitest';
import { emptyGraph, float32, type Graph, type Node, type Tensor } from '../graph/ir.ts';
import { cloneGraph } from '../graph/walk.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { doubles } from '../runtime/reference/tensor.ts';
import { foldBatchNorm } from './fold-norm.ts';
import { attributesOf } from './writer.ts';

/** Distinct values of both signs. */
const wave = (dims: readonly number[], phase: number): Tensor => {
  const size = dims.reduce((n, d) => n * d, 1);
  return float32(
    dims,
    Array.from({ length: size }, (_, i) => Math.sin(1.7 * i + phase)),
  );
};

/** op(x, w[, b]) and a norm of `channels` channels after it. */
function normed(product: Partial<Node>, x: readonly number[], w: readonly number[], channels: number): Graph {
  const graph = emptyGraph('g');
  graph.inputs = [{ name: 'x', dtype: 'float32', shape: x }];
  graph.outputs = [{ name: 'y', dtype: 'float32' }];
  graph.initializers
    .set('w', wave(w, 0.3))
    .set('b', wave([channels], 1.1))
    .set('scale', wave([channels], 2))
    .set('beta', wave([channels], 3))
    .set('mean', wave([channels], 4))
    .set(
      'var',
      float32(
        [channels],
        Array.from({ length: channels }, (_, c) => 0.1 + c),
      ),
    );
  const norm = ['z', 'scale', 'beta', 'mean', 'var'];
  const epsilon = attributesOf({ epsilon: { float: 0.01 } });
  const made = { name: 'product', domain: '', opType: 'Conv', attributes: {} };
  graph.nodes = [
    { ...made, inputs: ['x', 'w', 'b'], outputs: ['z'], ...product },
    {
      ...made,
      name: 'norm',
      opType: 'BatchNormalization',
      inputs: norm,
      outputs: ['y'],
      attributes: epsilon,
    },
  ];
  return graph;
}

const conv = () => normed({}, [2, 4, 5, 5], [3, 4, 3, 3], 3);

describe('a norm goes into', () => {
  test.each<[string, Graph]>([
    ['a Conv with bias', conv()],
    ['a Conv without bias', normed({ inputs: ['x', 'w'] }, [2, 4, 5, 5], [3, 4, 3, 3], 3)],
    ['a Conv in groups', normed({ attributes: attributesOf({ group: 4 }) }, [1, 4, 5, 5], [8, 1, 3, 3], 8)],
    ['a ConvTranspose', normed({ opType: 'ConvTranspose' }, [2, 4, 5, 5], [4, 3, 3, 3], 3)],
    [
      'a ConvTranspose in groups',
      normed(
        { opType: 'ConvTranspose', attributes: attributesOf({ group: 2 }) },
        [2, 4, 5, 5],
        [4, 3, 3, 3],
        6,
      ),
    ],
    ['a Gemm', normed({ opType: 'Gemm' }, [3, 4], [4, 5], 5)],
    [
      'a Gemm of transposed B',
      normed({ opType: 'Gemm', attributes: attributesOf({ transB: 1 }) }, [3, 4], [5, 4], 5),
    ],
  ])('%s', (_, graph) => {
    const folded = cloneGraph(graph);
    expect(foldBatchNorm(folded)).toEqual(['norm']);
    expect(folded.nodes.map(n => n.name)).toEqual(['product']);
    const x = wave(graph.inputs[0]?.shape as number[], 5);
    const [got, want] = [folded, graph].map(g => doubles(evaluate(g, { x }).y as Tensor));
    expect(got?.length).toBeGreaterThan(0);
    got?.forEach((v, i) => {
      expect(v).toBeCloseTo(want?.[i] as number, 4);
    });
  });
});

describe('a norm stays', () => {
  const changedBy = (change: (graph: Graph) => void): Graph => {
    const graph = conv();
    change(graph);
    return graph;
  };
  const second = (graph: Graph) => graph.nodes[1] as Node;
  test.each<[string, Graph]>([
    [
      'where the result before it is an output',
      changedBy(g => g.outputs.push({ name: 'z', dtype: 'float32' })),
    ],
    [
      'where another node reads the result before it',
      changedBy(g =>
        g.nodes.push({
          name: 'r',
          domain: '',
          opType: 'Relu',
          inputs: ['z'],
          outputs: ['r'],
          attributes: {},
        }),
      ),
    ],
    [
      'where it trains',
      changedBy(g => Object.assign(second(g).attributes, attributesOf({ training_mode: 1 }))),
    ],
    [
      'where the weights are fed',
      changedBy(g => {
        g.initializers.delete('w');
        g.inputs.push({ name: 'w', dtype: 'float32', shape: [3, 4, 3, 3] });
      }),
    ],
    [
      'behind a Gemm that scales',
      normed({ opType: 'Gemm', attributes: attributesOf({ alpha: { float: 2 } }) }, [3, 4], [4, 5], 5),
    ],
  ])('%s', (_, graph) => {
    const before = graph.nodes.map(n => n.name);
    expect(foldBatchNorm(graph)).toEqual([]);
    expect(graph.nodes.map(n => n.name)).toEqual(before);
  });
});

/** A Conv of 3 channels and an op with a constant after it. */
function withConstant(opType: string, dims: readonly number[], first = true): Graph {
  const graph = conv();
  graph.initializers.set('c', wave(dims, 0.7));
  graph.types
    .set('z', { dtype: 'float32', shape: [2, 3, 3, 3] })
    .set('y', { dtype: 'float32', shape: [2, 3, 3, 3] });
  graph.nodes[1] = {
    name: 'norm',
    domain: '',
    opType,
    inputs: first ? ['z', 'c'] : ['c', 'z'],
    outputs: ['y'],
    attributes: {},
  };
  return graph;
}

describe('constants by channel go into a Conv', () => {
  test.each<[string, Graph]>([
    ['Add', withConstant('Add', [1, 3, 1, 1])],
    ['Add of a vector over the channels alone', withConstant('Add', [3, 1, 1])],
    ['Sub', withConstant('Sub', [1, 3, 1, 1])],
    ['Sub from a constant', withConstant('Sub', [3, 1, 1], false)],
    ['Mul by one number', withConstant('Mul', [])],
    ['Mul', withConstant('Mul', [1, 3, 1, 1])],
    ['Div', withConstant('Div', [3, 1, 1])],
  ])('%s', (_, graph) => {
    const folded = cloneGraph(graph);
    expect(foldBatchNorm(folded)).toEqual(['norm']);
    const x = wave([2, 4, 5, 5], 5);
    const [got, want] = [folded, graph].map(g => doubles(evaluate(g, { x }).y as Tensor));
    got?.forEach((v, i) => void expect(v).toBeCloseTo(want?.[i] as number, 4));
  });

  test.each<[string, Graph]>([
    ['along the width', withConstant('Add', [3])],
    ['one a position', withConstant('Mul', [3, 3, 3])],
    ['divided by the result', withConstant('Div', [3, 1, 1], false)],
  ])('and stay: %s', (_, graph) => {
    expect(foldBatchNorm(graph)).toEqual([]);
  });
});
