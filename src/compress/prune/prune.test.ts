/** Removing a group is the same as setting its weights to 0, where no op takes statistics over it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../../test/shared-data.ts';
import { float32, type Graph, int64, type Tensor } from '../../graph/ir.ts';
import { decodeModel } from '../../graph/protobuf.ts';
import { verify } from '../../graph/verify.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { upgrade } from '../../import/upgrade.ts';
import { batchOfOne } from '../../ops/bind-dims.ts';
import { Builder } from '../../ops/builder.ts';
import { graphCost } from '../../ops/cost.ts';
import { inferShapes } from '../../ops/infer.ts';
import { evaluate } from '../../runtime/reference/index.ts';
import { Random } from '../../util/random.ts';
import { type ChannelGroup, pruningDimensions } from './groups.ts';
import { removeGroups } from './remove.ts';

function load(name: string): Graph {
  const { graph } = upgrade(decodeModel(readFileSync(shared(name))));
  inferShapes(graph);
  return graph;
}

const random = new Random(1);
const noise = (...dims: number[]): Tensor =>
  float32(
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal()),
  );

/** The graph with every weight element of the groups set to 0. */
function zeroed(graph: Graph, groups: readonly ChannelGroup[]): Graph {
  const copy = cloneGraph(graph);
  for (const { value, axis, channels } of groups.flatMap(g => g.weights)) {
    const tensor = copy.initializers.get(value) as Tensor;
    const values = Float32Array.from(tensor.data as Float32Array);
    const inner = tensor.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
    const length = tensor.dims[axis] as number;
    for (let i = 0; i < values.length; i++)
      if (channels.includes(Math.floor(i / inner) % length)) values[i] = 0;
    copy.initializers.set(value, { ...tensor, data: values });
  }
  return copy;
}

const without = (graph: Graph, groups: readonly ChannelGroup[]): Graph => {
  const copy = cloneGraph(graph);
  removeGroups(copy, groups);
  verify(copy);
  return copy;
};

const weightsOf = (graph: Graph): number =>
  [...graph.initializers.values()].reduce((sum, t) => sum + t.data.length, 0);

/** Every third group of every dimension without statistics. */
const someGroups = (graph: Graph): ChannelGroup[] =>
  pruningDimensions(graph)
    .filter(d => !d.mixing)
    .flatMap(d => d.groups.filter((_, i) => i % 3 === 1));

const valuesOf = (t: Tensor | undefined) => (t as Tensor).data as Float32Array;

const largestDifference = (a: Tensor | undefined, b: Tensor | undefined): number =>
  Math.max(...Array.from(valuesOf(a), (v, i) => Math.abs(v - (valuesOf(b)[i] as number))));

describe('removing equals zeroing', () => {
  it.runIf(HAS_DATA).each([
    ['cifar_resnet20.onnx', { image: noise(1, 3, 32, 32) }, 9],
    ['cifar_resnet20_bn.onnx', { image: noise(1, 3, 32, 32) }, 9],
    ['mlperftiny_kws_dscnn.onnx', { mfcc: noise(1, 49, 10, 1) }, 5],
    ['mnist-12.onnx', { Input3: noise(1, 1, 28, 28) }, 2],
    [
      'gpt_nano_sort.onnx',
      { idx: { dtype: 'int64', dims: [1, 6], data: BigInt64Array.of(0n, 1n, 2n, 2n, 1n, 0n) } as Tensor },
      6,
    ],
  ])(`%s ${NEEDS_DATA}`, (name, feeds, dimensions) => {
    const graph = load(name);
    expect(pruningDimensions(graph).filter(d => !d.mixing)).toHaveLength(dimensions);
    const groups = someGroups(graph);
    const small = without(graph, groups);
    expect(weightsOf(small)).toBeLessThan(0.8 * weightsOf(graph));
    const output = graph.outputs[0]?.name as string;
    const [want, got] = [zeroed(graph, groups), small].map(g => evaluate(g, feeds)[output]);
    expect(got?.dims).toEqual(want?.dims);
    expect(largestDifference(want, got)).toBeLessThan(1e-4);
    expect(largestDifference(evaluate(graph, feeds)[output], got)).toBeGreaterThan(1e-3);
  });

  it('of grouped-query attention: a key head goes with its query heads', () => {
    const b = new Builder('attention');
    const [B, T, H, G, D] = [1, 5, 6, 3, 4];
    const x = b.input('x', 'float32', [B, T, 8]);
    const names: string[] = [];
    const weight = (...dims: number[]) => {
      const made = b.constant(noise(...dims));
      names.push(made.name);
      return made;
    };
    const heads = (count: number) =>
      x
        .matmul(weight(8, count * D))
        .reshape([0, 0, count, D])
        .transpose([0, 2, 1, 3]);
    const [q, k, v] = [heads(H), heads(G), heads(G)];
    const y = b.op('Attention', [q, k, v], { scale: 0.5, is_causal: 1 });
    b.output(
      y
        .transpose([0, 2, 1, 3])
        .reshape([0, 0, H * D])
        .matmul(weight(H * D, 8)),
      'y',
    );
    inferShapes(b.graph);
    const dimensions = pruningDimensions(b.graph);
    expect(dimensions.map(d => d.groups.length)).toEqual([G]);
    const group = dimensions[0]?.groups[1] as ChannelGroup;
    expect(group.weights.map(w => [w.value, w.channels.length])).toEqual([
      [names[0], 2 * D],
      [names[1], D],
      [names[2], D],
      [names[3], 2 * D],
    ]);
    const feeds = { x: noise(B, T, 8) };
    const [want, got] = [zeroed(b.graph, [group]), without(b.graph, [group])].map(g => evaluate(g, feeds).y);
    expect(largestDifference(want, got)).toBeLessThan(1e-5);
  });
});

describe('what stays', () => {
  it('inputs, outputs and what an op without couplings reads', () => {
    const b = new Builder('fixed');
    const x = b.input('x', 'float32', ['n', 4]);
    const h = b.op('Relu', [x.matmul(b.constant(noise(4, 6)))], {});
    b.output(h.matmul(b.constant(noise(6, 3))), 'y');
    b.output(b.op('NonZero', [h], {}), 'places');
    inferShapes(b.graph);
    expect(pruningDimensions(b.graph)).toEqual([]);
  });

  it('batches: a symbolic dim is no channel', () => {
    const b = new Builder('batch');
    const x = b.input('x', 'float32', ['n', 4]);
    b.output(b.op('Relu', [x.matmul(b.constant(noise(4, 6)))], {}).matmul(b.constant(noise(6, 3))), 'y');
    inferShapes(b.graph);
    expect(pruningDimensions(b.graph).map(d => d.groups.map(g => g.weights.map(w => w.channels)))).toEqual([
      Array.from({ length: 6 }, (_, c) => [[c], [c]]),
    ]);
  });
});

it.runIf(HAS_DATA)(
  `a quarter of the pointwise work is left when every channel dimension of DS-CNN is halved ${NEEDS_DATA}`,
  () => {
    const graph = load('mlperftiny_kws_dscnn.onnx');
    const groups = pruningDimensions(graph).flatMap(d => d.groups.filter((_, i) => i % 2 === 0));
    const macs = (g: Graph) => graphCost(batchOfOne(g)).macs;
    // first convolution 25 x 5 x 10 x 4, four times depthwise 3 x 3 and pointwise, a dense layer to 12 classes
    const closedForm = (c: number) => 125 * c * 40 + 4 * 125 * (9 * c + c * c) + c * 12;
    expect(macs(graph)).toBe(closedForm(64));
    expect(macs(without(graph, groups))).toBe(closedForm(32));
  },
);

it('a size that the graph computes in its own way is refused by name', () => {
  const b = new Builder('computed');
  const x = b.input('x', 'float32', ['n', 4]);
  const h = b.op('Relu', [x.matmul(b.constant(noise(4, 6)))], {});
  // as wide as the weight is: its shape is read at run time, then a constant added
  const wide = b.op(
    'Expand',
    [h, b.op('Add', [b.constant(int64([2], [0, 0])), b.constant(int64([2], [1, 6]))], {})],
    {},
  );
  b.output(wide.matmul(b.constant(noise(6, 3))), 'y');
  inferShapes(b.graph);
  const groups = pruningDimensions(b.graph).flatMap(d => d.groups.slice(0, 1));
  expect(() => without(b.graph, groups)).toThrow(
    /Expand|should be|after pruning: the graph computes this size/,
  );
});
