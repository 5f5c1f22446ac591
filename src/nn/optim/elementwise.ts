/** Small elementwise graphs over flat arrays: sums, norms, running averages. */
import { float32 } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { ChunkedGraph, chunkRanges } from './chunked.ts';

/** √Σ x² over a flat array, summed in double precision over the pieces. */
export class GlobalNorm implements Disposable {
  readonly #graph: ChunkedGraph;
  readonly #partial: Float32Array;

  private constructor(graph: ChunkedGraph, partial: Float32Array) {
    this.#graph = graph;
    this.#partial = partial;
  }

  static async create(runtime: Runtime, array: Float32Array): Promise<GlobalNorm> {
    const b = new Builder('global_norm');
    const x = b.input('x', 'float32', ['n']);
    b.output(b.op('ReduceSumSquare', [x], { keepdims: 0 }), 'sum');
    const ranges = chunkRanges(array.length);
    // one cache line a piece: every piece's sum is a buffer of its own
    const partial = new Float32Array(ranges.length * 16);
    const graph = await ChunkedGraph.create(runtime, b.graph, ranges, {
      arrays: { x: array },
      shared: (_, i) => ({ sum: float32([], partial.subarray(i * 16, i * 16 + 1)) }),
    });
    return new GlobalNorm(graph, partial);
  }

  async value(): Promise<number> {
    await this.#graph.run();
    let sum = 0;
    for (let i = 0; i < this.#partial.length; i += 16) sum += this.#partial[i] as number;
    return Math.sqrt(sum);
  }

  [Symbol.dispose](): void {
    this.#graph[Symbol.dispose]();
  }
}

/** sum ← sum + x: gradient accumulation. */
export async function accumulator(
  runtime: Runtime,
  sum: Float32Array,
  x: Float32Array,
): Promise<ChunkedGraph> {
  const b = new Builder('accumulate');
  const s = b.input('sum', 'float32', ['n']);
  b.output(s.add(b.input('x', 'float32', ['n'])), 'next');
  return ChunkedGraph.create(runtime, b.graph, chunkRanges(sum.length), {
    arrays: { sum, x },
    inPlace: { next: 'sum' },
  });
}

/** average ← decay · average + (1 − decay) · x: an exponential moving average of the parameters. */
export async function movingAverage(
  runtime: Runtime,
  average: Float32Array,
  x: Float32Array,
  decay: number,
): Promise<ChunkedGraph> {
  const b = new Builder('moving_average');
  const a = b.input('average', 'float32', ['n']);
  const current = b.input('x', 'float32', ['n']);
  b.output(a.add(current.sub(a).mul(1 - decay)), 'next');
  return ChunkedGraph.create(runtime, b.graph, chunkRanges(average.length), {
    arrays: { average, x },
    inPlace: { next: 'average' },
  });
}
