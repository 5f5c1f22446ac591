import { expect, test } from 'vitest';
import {
  emptyGraph,
  float32,
  type Model,
  modelOf,
  type Node,
  type ValueInfo,
  zeros,
} from '../src/graph/ir.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';

const node = (opType: string, inputs: string[], outputs: string[]): Node => ({
  name: outputs[0] as string,
  domain: '',
  opType,
  inputs,
  outputs,
  attributes: {},
});
const f = (name: string, shape: (number | string)[]): ValueInfo => ({ name, dtype: 'float32', shape });
function graph(inputs: ValueInfo[], outputs: ValueInfo[], nodes: Node[]): Model {
  return modelOf({ ...emptyGraph('g'), inputs, outputs, nodes });
}

test('a bound run reads and writes the arrays of the caller', async () => {
  const model = graph([f('a', ['n']), f('b', ['n'])], [f('c', ['n'])], [node('Add', ['a', 'b'], ['c'])]);
  const runtime = await nativeRuntime();
  using program = await runtime.compile(model);
  const a = float32([3], [1, 2, 3]);
  const b = float32([3], [10, 20, 30]);
  const c = zeros('float32', [3]);
  using binding = program.bind({ a, b, c });
  await binding.run();
  expect(c.data).toEqual(Float32Array.of(11, 22, 33));
  (a.data as Float32Array)[0] = 5;
  await binding.run();
  expect(c.data).toEqual(Float32Array.of(15, 22, 33));
  expect((await program.call({ a, b })).c).toEqual(float32([3], [15, 22, 33]));
  using inPlace = program.bind({ a, b, c: a });
  await inPlace.run();
  await inPlace.run();
  expect(a.data).toEqual(Float32Array.of(25, 42, 63));
});
test('large initializers', async () => {
  const w = float32(
    [32, 32],
    Float32Array.from({ length: 1024 }, (_, i) => (i % 33 === 0 ? 2 : 0)),
  );
  const model = graph([f('x', ['n', 32])], [f('y', ['n', 32])], [node('MatMul', ['x', 'w'], ['y'])]);
  model.graph.initializers.set('w', w);
  const runtime = await nativeRuntime();
  for (const background of [false, true]) {
    using program = await runtime.compile(model, { background });
    const x = float32(
      [1, 32],
      Float32Array.from({ length: 32 }, (_, i) => i),
    );
    const { y } = await program.call({ x });
    expect(y?.data).toEqual(Float32Array.from({ length: 32 }, (_, i) => 2 * i));
  }
});
