/** What a runtime refuses, with which words, and what it does after it has been disposed. */
import { describe, expect, test } from 'vitest';
import { emptyGraph, float32, int32, type Tensor, zeros } from '../graph/ir.ts';
import { modelFor } from '../ops/opset.ts';
import { GaslawError } from '../util/errors.ts';
import { denseGraph } from './conformance-graphs.ts';
import type { Program, Runtime } from './runtime.ts';

type Make = () => Runtime | Promise<Runtime>;
type Buffers = Record<string, Tensor>;

const good = (): Buffers => ({
  x: float32([1, 2], [1, 1]),
  b: zeros('float32', [3]),
  y: zeros('float32', [1, 3]),
});

/** Mistakes and a part of the sentence that each must give. */
const MISTAKES: readonly (readonly [what: string, buffers: Buffers, message: string])[] = [
  ['an unknown name', { ...good(), weights: zeros('float32', [1]) }, 'unknown input or output "weights"'],
  ['a missing input', { x: good().x, y: good().y }, 'missing input "b"'],
  ['no output', { x: good().x, b: good().b }, 'no output is bound'],
  ['another dtype', { ...good(), x: int32([1, 2], [1, 1]) }, '"x" must be float32, not int32'],
  ['another fixed dim', { ...good(), b: zeros('float32', [4]) }, '"b" must have shape [3], not [4]'],
  ['another rank', { ...good(), x: zeros('float32', [2]) }, '"x" must have shape [rows,2], not [2]'],
  [
    'a symbol with two sizes',
    { ...good(), y: zeros('float32', [2, 3]) },
    'dimension "rows" is 1 in "x" but 2 in "y"',
  ],
  ['too little data', { ...good(), b: { ...good().b, data: new Float32Array(2) } }, 'its data holds only 2'],
];

async function failureOf(action: () => unknown): Promise<unknown> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The failure is meant for a person: a GaslawError of one line that contains `part`. */
async function expectSentence(action: () => unknown, part: string): Promise<void> {
  const error = await failureOf(action);
  expect(error).toBeInstanceOf(GaslawError);
  expect((error as Error).message).toContain(part);
  expect((error as Error).message).not.toContain('\n');
}

function mistakeTests(make: Make): void {
  const compiled = async (): Promise<Program> => (await make()).compile(modelFor(denseGraph()));

  test.each(MISTAKES)('bind refuses %s', async (_, buffers, message) => {
    using program = await compiled();
    await expectSentence(() => program.bind(buffers), message);
  });

  test('call refuses unknown and missing names', async () => {
    using program = await compiled();
    const { x, b, y } = good();
    await expectSentence(() => program.call({ x, b, y }), 'unknown input "y"');
    await expectSentence(() => program.call({ x }), 'missing input "b"');
    await expectSentence(() => program.call({ x, b }, ['z']), 'unknown output "z"');
  });

  test('compile names the first node that it cannot run', async () => {
    const graph = { ...emptyGraph('odd'), ...denseGraph() };
    graph.nodes.push({
      name: 'strange',
      domain: '',
      opType: 'NoSuchOp',
      inputs: ['y'],
      outputs: ['z'],
      attributes: {},
    });
    graph.outputs.push({ name: 'z', dtype: 'float32', shape: ['rows', 3] });
    const runtime = await make();
    await expectSentence(() => runtime.compile(modelFor(graph)), 'NoSuchOp');
    await expectSentence(() => runtime.compile(modelFor(graph)), '"strange"');
  });
}

function disposalTests(make: Make): void {
  test('disposing twice is harmless', async () => {
    const program = await (await make()).compile(modelFor(denseGraph()));
    const binding = program.bind(good());
    await binding.run();
    for (const thing of [binding, binding, program, program]) thing[Symbol.dispose]();
  });

  test('a disposed program or binding says so', async () => {
    const program = await (await make()).compile(modelFor(denseGraph()));
    const { x, b } = good();
    const [early, late] = [program.bind(good()), program.bind(good())];
    early[Symbol.dispose]();
    await expectSentence(() => early.run(), 'disposed');
    await late.run();
    program[Symbol.dispose]();
    await expectSentence(() => late.run(), 'disposed');
    await expectSentence(() => program.bind(good()), 'disposed');
    await expectSentence(() => program.call({ x, b }), 'disposed');
    late[Symbol.dispose]();
  });

  test('one program lives on when another of the same model is disposed', async () => {
    const runtime = await make();
    const first = await runtime.compile(modelFor(denseGraph()));
    using second = await runtime.compile(modelFor(denseGraph()));
    first[Symbol.dispose]();
    const { x, b } = good();
    const { y } = await second.call({ x, b });
    expect([...(y.data as Float32Array)]).toEqual([1.5, 1, 0]);
  });
}

/** Declares the tests of refusals and lifetimes. */
export function lifetimeConformance(make: Make): void {
  describe('mistakes', () => mistakeTests(make));
  describe('disposal', () => disposalTests(make));
}
