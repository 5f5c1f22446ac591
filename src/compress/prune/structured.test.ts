/** Plans meet their target, keep alignment, and take the least important first. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../../test/shared-data.ts';
import { float32, type Graph, type Tensor } from '../../graph/ir.ts';
import { decodeModel } from '../../graph/protobuf.ts';
import { verify } from '../../graph/verify.ts';
import { upgrade } from '../../import/upgrade.ts';
import { Builder } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import { evaluate } from '../../runtime/reference/index.ts';
import { Random } from '../../util/random.ts';
import { pruningDimensions } from './groups.ts';
import { activation, magnitude, scale, taylor } from './importance.ts';
import { macsOf, parametersOf, pruneStructured } from './structured.ts';

function load(name: string): Graph {
  const { graph } = upgrade(decodeModel(readFileSync(shared(name))));
  inferShapes(graph);
  return graph;
}

/** Read only by tests that run where the data are. */
const ds = (HAS_DATA ? load('mlperftiny_kws_dscnn.onnx') : undefined) as Graph;
const weightShapes = (graph: Graph) =>
  [...graph.initializers.values()].filter(t => t.dims.length === 4).map(t => t.dims);

describe.runIf(HAS_DATA)(`a plan ${NEEDS_DATA}`, () => {
  it.each(['global', 'uniform'] as const)('meets the multiply-adds asked for, ranking %s', ranking => {
    const { graph, report } = pruneStructured(ds, {
      target: { keep: 0.5, of: 'macs' },
      importance: magnitude(ds),
      ranking,
    });
    verify(graph);
    expect(report.macsAfter).toBe(macsOf(graph));
    expect(report.macsAfter / report.macsBefore).toBeLessThanOrEqual(0.5);
    expect(report.macsAfter / report.macsBefore).toBeGreaterThan(0.45);
    const out = evaluate(graph, { mfcc: float32([1, 49, 10, 1], new Float32Array(490)) });
    expect(out[graph.outputs[0]?.name as string]?.dims).toEqual([1, 12]);
  });

  it('meets the parameters asked for', () => {
    const { graph } = pruneStructured(ds, {
      target: { keep: 0.3, of: 'parameters' },
      importance: magnitude(ds),
    });
    expect(parametersOf(graph) / parametersOf(ds)).toBeLessThanOrEqual(0.3);
  });

  it('keeps multiples of what the device computes at once', () => {
    const { graph, report } = pruneStructured(ds, {
      target: { keep: 0.5, of: 'macs' },
      importance: magnitude(ds),
      align: 16,
    });
    expect(report.dimensions.map(d => d.after % 16)).toEqual(report.dimensions.map(() => 0));
    for (const dims of weightShapes(graph)) expect((dims[0] as number) % 16).toBe(0);
  });

  it('comes close where heads of equal importance would all go at once', () => {
    const sort = load('gpt_nano_sort.onnx');
    const own = magnitude(sort);
    // a head has several channels of each weight
    const isHead = (group: Parameters<typeof own>[0]) => (group.weights[0]?.channels.length ?? 0) > 1;
    const { report } = pruneStructured(sort, {
      target: { keep: 0.5, of: 'macs' },
      importance: group => (isHead(group) ? 1 : own(group)),
    });
    expect(report.macsAfter / report.macsBefore).toBeLessThanOrEqual(0.5);
    expect(report.macsAfter / report.macsBefore).toBeGreaterThan(0.48);
  });

  it('uniform takes the same share of all', () => {
    const { report } = pruneStructured(ds, {
      target: { keep: 0.5, of: 'macs' },
      importance: magnitude(ds),
      ranking: 'uniform',
    });
    expect(new Set(report.dimensions.map(d => d.after)).size).toBe(1);
  });

  it('says how close it comes when the target is out of reach', () => {
    expect(() =>
      pruneStructured(ds, { target: { keep: 0.01, of: 'macs' }, importance: magnitude(ds), maxShare: 0.5 }),
    ).toThrow(/pruning at most 0.5 of each dimension leaves 0\.\d\d of the macs, more than 0.01/);
  });

  it('says when nothing can go', () => {
    const b = new Builder('one');
    const x = b.input('x', 'float32', ['n', 4]);
    b.output(x.matmul(b.constant(float32([4, 3], new Float32Array(12).fill(1)))), 'y');
    inferShapes(b.graph);
    expect(() =>
      pruneStructured(b.graph, { target: { keep: 0.5, of: 'macs' }, importance: magnitude(b.graph) }),
    ).toThrow(/nothing of this model can be pruned/);
  });
});

/** x [n,4] → 6 hidden → y [n,3]; rows of the second weight make hidden units matter. */
function twoLayers(first: readonly number[], second: readonly number[]): Graph {
  const random = new Random(1);
  const b = new Builder('two');
  const scaled = (rows: number, columns: number, by: (r: number, c: number) => number): Tensor =>
    float32(
      [rows, columns],
      Float32Array.from(
        { length: rows * columns },
        (_, i) => (1 + 0.01 * random.uniform()) * by(Math.floor(i / columns), i % columns),
      ),
    );
  const h = b.input('x', 'float32', ['n', 4]).matmul(b.constant(scaled(4, 6, (_, c) => first[c] as number)));
  b.output(b.op('Relu', [h], {}).matmul(b.constant(scaled(6, 3, r => second[r] as number))), 'y');
  inferShapes(b.graph);
  return b.graph;
}

describe('importance', () => {
  const kept = (graph: Graph, score: ReturnType<typeof magnitude>): number[] => {
    const [d] = pruningDimensions(graph);
    return (d?.groups ?? [])
      .map((g, i) => ({ i, s: score(g) }))
      .sort((a, b) => b.s - a.s)
      .slice(0, 3)
      .map(x => x.i)
      .sort();
  };

  it('by magnitude counts what goes in and what comes out', () => {
    const graph = twoLayers([1, 2, 3, 1, 1, 1], [1, 1, 1, 4, 0, 0]);
    expect(kept(graph, magnitude(graph))).toEqual([1, 2, 3]);
  });

  it('by taylor follows the gradient, not the size', () => {
    const graph = twoLayers([9, 9, 9, 1, 1, 1], [1, 1, 1, 1, 1, 1]);
    const [first] = graph.initializers.keys();
    const gradient = Float32Array.from({ length: 24 }, (_, i) => (i % 6 > 2 ? 1 : 0));
    expect(kept(graph, taylor(graph, [new Map([[first as string, gradient]])]))).toEqual([3, 4, 5]);
  });

  it('by activation follows what flows', () => {
    const graph = twoLayers([1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]);
    const means = Float64Array.of(0, 5, 0, 5, 0, 5);
    expect(
      kept(
        graph,
        activation(({ axis }) => (axis === 1 ? means : undefined)),
      ),
    ).toEqual([1, 3, 5]);
  });

  it.runIf(HAS_DATA)(
    `by scale follows the batch normalizations, and says when there are none ${NEEDS_DATA}`,
    () => {
      const graph = load('cifar_resnet20_bn.onnx');
      const score = scale(graph);
      const [d] = pruningDimensions(graph);
      const gamma = graph.initializers.get('layer1.0.bn1.weight')?.data as Float32Array;
      expect(d?.groups.map(score)).toEqual([...gamma].map(Math.abs));
      expect(() => scale(ds)).toThrow(/needs batch normalizations/);
    },
  );
});
