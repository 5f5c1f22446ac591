import { describe, expect, it } from 'vitest';
import { emptyGraph, float32, type Graph, int64, modelOf, type Node } from '../graph/ir.ts';
import { constantInputs, openBranches } from './constants.ts';
import { importModel } from './index.ts';

const node = (name: string, opType: string, inputs: string[], attributes: Node['attributes'] = {}): Node => ({
  name,
  domain: '',
  opType,
  inputs,
  outputs: [name],
  attributes,
});

/** y = x > 0 where rate is 16000, −x elsewhere. */
function choosing(rateShape: readonly (number | string)[]): Graph {
  const graph = emptyGraph('choosing');
  graph.inputs = [
    { name: 'x', dtype: 'float32', shape: ['N', 2] },
    { name: 'rate', dtype: 'int64', shape: rateShape },
  ];
  graph.outputs = [{ name: 'y', dtype: 'float32', shape: ['N', 2] }];
  graph.initializers.set('high', int64([], [16_000]));
  const body = (opType: string): Graph => {
    const inner = emptyGraph('branch');
    inner.nodes = [node('z', opType, ['x'])];
    inner.outputs = [{ name: 'z', dtype: 'float32' }];
    return inner;
  };
  graph.nodes = [
    node('is', 'Equal', ['rate', 'high']),
    node('y', 'If', ['is'], {
      then_branch: { type: 'graph', value: body('Relu') },
      else_branch: { type: 'graph', value: body('Neg') },
    }),
  ];
  return graph;
}

describe('an input made constant', () => {
  it.each([
    [16_000, 'Relu'],
    [8000, 'Neg'],
  ])('%d decides the branch: %s', (rate, op) => {
    const graph = choosing([]);
    const constants = constantInputs(graph, new Map([['rate', rate]]));
    expect(constants.get('rate')).toEqual(int64([], [rate]));
    const { model } = importModel(modelOf(graph), { constants });
    expect(model.graph.nodes.map(n => n.opType)).toEqual([op]);
    expect(model.graph.inputs.map(i => i.name)).toEqual(['x']);
  });

  it('fills every place of its dtype', () => {
    const graph = emptyGraph('g');
    graph.inputs = [{ name: 'gain', dtype: 'float32', shape: [1, 2] }];
    expect(constantInputs(graph, new Map([['gain', 0.5]])).get('gain')).toEqual(float32([1, 2], [0.5, 0.5]));
  });

  it('has to be there and of fixed size', () => {
    expect(() => constantInputs(choosing([]), new Map([['sr', 1]]))).toThrow(
      'the model has no input "sr"; it has x, rate',
    );
    expect(() => constantInputs(choosing([]), new Map([['x', 1]]))).toThrow(
      'input "x" is [N,2]; only inputs of fixed size can be constants',
    );
  });
});

it('a branch that a single number decides is found, one that data decide is not', () => {
  expect(openBranches(choosing([1]))).toEqual([{ node: 'y', inputs: ['rate'] }]);
  expect(openBranches(choosing(['N']))).toEqual([]);
});
