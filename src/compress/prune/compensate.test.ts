/** What goes is made up for as far as the rest foretells it. */
import { describe, expect, it } from 'vitest';
import { float32, type Graph, type Tensor } from '../../graph/ir.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { Builder } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import { modelFor } from '../../ops/opset.ts';
import { referenceRuntime } from '../../runtime/reference/index.ts';
import { doubles } from '../../runtime/reference/tensor.ts';
import { Random } from '../../util/random.ts';
import { compensation } from './compensate.ts';
import { type ChannelGroup, pruningDimensions } from './groups.ts';
import { removeGroups } from './remove.ts';

const runtime = referenceRuntime();
const random = new Random(5);
const drawn = (dims: readonly number[]): Tensor =>
  float32(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal()),
  );

/** Column `to` of a [rows, columns] matrix as a multiple of column `from`. */
function copied({ dims, data }: Tensor, from: number, to: number, factor: number): Tensor {
  const columns = dims[1];
  return float32(
    dims,
    Float32Array.from(data as Float32Array, (w, i) =>
      i % columns === to ? factor * Number(data[i - to + from]) : w,
    ),
  );
}

/** relu(x A) B, where hidden unit 3 is twice unit 1. */
function products(): Graph {
  const b = new Builder('products');
  const hidden = b.input('x', 'float32', ['N', 4]).matmul(b.initializer('a', copied(drawn([4, 5]), 1, 3, 2)));
  b.output(b.op('Relu', [hidden], {}).matmul(b.initializer('b', drawn([5, 3]))), 'y');
  inferShapes(b.graph);
  return b.graph;
}

/** Two convolutions; kernel 2 of the first is 0.5 times kernel 0. */
function convolutions(): Graph {
  const b = new Builder('convolutions');
  const first = drawn([4, 2, 3, 3]);
  const data = first.data as Float32Array;
  data.copyWithin(2 * 18, 0, 18);
  for (let i = 36; i < 54; i++) data[i] *= 0.5;
  const pads = { pads: [1, 1, 1, 1] };
  const hidden = b.op('Conv', [b.input('x', 'float32', ['N', 2, 5, 5]), b.initializer('a', first)], pads);
  b.output(b.op('Conv', [b.op('Relu', [hidden], {}), b.initializer('b', drawn([3, 4, 3, 3]))], pads), 'y');
  inferShapes(b.graph);
  return b.graph;
}

async function withoutChannel(graph: Graph, channel: number, x: Tensor, compensated: boolean) {
  const run = async (g: Graph) => {
    using program = await runtime.compile(modelFor(g));
    return doubles((await program.call({ x })).y as Tensor);
  };
  const group = pruningDimensions(graph)[0].groups[channel] as ChannelGroup;
  const left = cloneGraph(graph);
  if (compensated) (await compensation(runtime, modelFor(graph), [{ x }]))(left, [group]);
  removeGroups(left, [group]);
  const [before, after] = [await run(graph), await run(left)];
  const power = (values: Float64Array) => values.reduce((s, v) => s + v * v, 0);
  return Math.sqrt(power(before.map((v, i) => v - after[i])) / power(before));
}

describe('a channel that another one foretells', () => {
  it.each([
    ['of products', products, 3, [64, 4]],
    ['of convolutions', convolutions, 2, [6, 2, 5, 5]],
  ] as const)('%s is not missed', async (_, network, channel, dims) => {
    const [graph, x] = [network(), drawn(dims)];
    expect(await withoutChannel(graph, channel, x, false)).toBeGreaterThan(0.1);
    expect(await withoutChannel(graph, channel, x, true)).toBeLessThan(0.01);
  });

  it('one that nothing foretells is missed less than without', async () => {
    const [graph, x] = [products(), drawn([64, 4])];
    const [bare, made] = [await withoutChannel(graph, 0, x, false), await withoutChannel(graph, 0, x, true)];
    expect(made).toBeLessThan(bare);
    expect(made).toBeGreaterThan(0.01);
  });
});
