import { expect, test } from 'vitest';
import { Builder } from '../../ops/builder.ts';
import { eliminateCommonSubexpressions } from './cse.ts';

const opTypes = (b: Builder): string[] => b.graph.nodes.map(n => n.opType);

test('equal nodes merge, and what reads them', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [3]);
  b.output(x.exp().neg().add(x.exp().neg()));
  eliminateCommonSubexpressions(b.graph);
  expect(opTypes(b)).toEqual(['Exp', 'Neg', 'Add']);
});

test('attributes and order of inputs tell nodes apart', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [3, 3]);
  const y = b.input('y', 'float32', [3, 3]);
  b.output(x.softmax(0).add(x.softmax(1)).add(x.sub(y)).add(y.sub(x)));
  eliminateCommonSubexpressions(b.graph);
  expect(opTypes(b).filter(o => o === 'Softmax' || o === 'Sub')).toHaveLength(4);
});

test('graph outputs keep their names and their makers', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [3]);
  b.output(x.exp(), 'a');
  b.output(x.exp(), 'b');
  eliminateCommonSubexpressions(b.graph);
  expect(b.graph.nodes.flatMap(n => n.outputs)).toEqual(['a', 'b']);
});

test('identities are read through', () => {
  const b = new Builder();
  const x = b.input('x', 'float32', [3]);
  b.output(b.op('Identity', [b.op('Identity', [x], {})], {}).neg());
  eliminateCommonSubexpressions(b.graph);
  expect(b.graph.nodes.map(n => [n.opType, n.inputs])).toEqual([['Neg', ['x']]]);
});

test('random draws stay apart', () => {
  const b = new Builder();
  const draw = (name: string) => ({
    name,
    domain: '',
    opType: 'RandomNormal',
    inputs: [],
    outputs: [name],
    attributes: {},
  });
  b.graph.nodes.push(draw('r0'), draw('r1'));
  eliminateCommonSubexpressions(b.graph);
  expect(b.graph.nodes).toHaveLength(2);
});
