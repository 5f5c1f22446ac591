import { describe, expect, it } from 'vitest';
import { float32, type Graph } from '../graph/ir.ts';
import { cutStages } from '../graph/stages.ts';
import { verify } from '../graph/verify.ts';
import { cloneGraph } from '../graph/walk.ts';
import { Builder } from '../ops/builder.ts';
import { evaluate, referenceRuntime } from './reference/index.ts';
import { compileStages, type StagePlan } from './staged.ts';

const WIDTH = 4;
const weightOf = (i: number): Float32Array =>
  Float32Array.from({ length: WIDTH * WIDTH }, (_, j) => Math.sin(i * 31 + j));

/** x + Σ of a chain of products, the first one's result read again at the end; weights w0 … are inputs. */
function chain(products: number): Graph {
  const b = new Builder('chain');
  const x = b.input('x', 'float32', ['rows', WIDTH]);
  let y = x;
  let first = x;
  for (let i = 0; i < products; i++) {
    y = y.matmul(b.input(`w${i}`, 'float32', [WIDTH, WIDTH]));
    if (i === 0) first = y;
  }
  b.output(y.add(first), 'y');
  b.output(y.mul(2), 'twice');
  return b.graph;
}

const bytesOf = (graph: Graph) =>
  new Map(graph.inputs.filter(({ name }) => name.startsWith('w')).map(({ name }) => [name, 100]));
const x = float32(
  [3, WIDTH],
  Float32Array.from({ length: 12 }, (_, i) => i - 5),
);
const weights = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`w${i}`, float32([WIDTH, WIDTH], weightOf(i))] as const),
  );

function planOf(graph: Graph, stages: Graph[], turns: number[] = []): StagePlan {
  return {
    stages,
    inputs: graph.inputs.filter(({ name }) => name === 'x'),
    outputs: graph.outputs,
    order: [...stages.keys()].reverse(),
    async prepare(stage, turn) {
      turns.push(turn);
      for (const { name } of stage.inputs.filter(i => /^w\d/.test(i.name)))
        stage.initializers.set(name, float32([WIDTH, WIDTH], weightOf(Number(name.slice(1)))));
      stage.inputs = stage.inputs.filter(i => !/^w\d/.test(i.name));
      return new Set<string>();
    },
  };
}

describe('a graph in stages', () => {
  const graph = chain(7);
  const whole = evaluate(cloneGraph(graph), { x, ...weights(7) });

  it.each([
    [100, 7],
    [250, 4],
    [700, 1],
  ])('of at most %d bytes is %d graphs', (limit, count) => {
    const stages = cutStages(cloneGraph(graph), bytesOf(graph), limit);
    expect(stages).toHaveLength(count);
    for (const stage of stages) verify(stage);
    expect(stages.flatMap(s => s.nodes.map(n => n.name))).toEqual(graph.nodes.map(n => n.name));
  });

  it('computes what the whole does, bound or called', async () => {
    const stages = cutStages(cloneGraph(graph), bytesOf(graph), 250);
    const turns: number[] = [];
    using program = await compileStages(referenceRuntime(), planOf(graph, stages, turns));
    expect(turns).toEqual([0, 1, 2, 3]);
    expect(program.inputs.map(i => i.name)).toEqual(['x']);
    const called = await program.call({ x });
    expect(called.y?.data).toEqual(whole.y?.data);
    const y = float32([3, WIDTH], new Float32Array(12));
    const twice = float32([3, WIDTH], new Float32Array(12));
    using binding = program.bind({ x, y, twice });
    for (let run = 0; run < 2; run++) await binding.run();
    expect(y.data).toEqual(whole.y?.data);
    expect(twice.data).toEqual(whole.twice?.data);
  });

  it('that fails to compile leaves no program behind', async () => {
    const stages = cutStages(cloneGraph(graph), bytesOf(graph), 250);
    const plan = { ...planOf(graph, stages), prepare: () => Promise.reject(new Error('no weights')) };
    await expect(compileStages(referenceRuntime(), plan)).rejects.toThrow('no weights');
  });
});
