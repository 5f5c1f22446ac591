/**
 * Running one elementwise graph over long arrays, a cache-sized piece at a time.
 *
 * 1. An optimizer step is a chain of some fifteen elementwise ops. Over whole arrays each op would stream all of
 *    memory; over 256 Ki elements the pieces stay in the cache. ONNX Runtime computes shorter ones on one thread.
 * 2. The bindings are made once; a step is a loop of native runs without allocation.
 */

import type { Graph, Tensor } from '../../graph/ir.ts';
import { float32, modelOf } from '../../graph/ir.ts';
import type { Binding, Program, Runtime } from '../../runtime/runtime.ts';

export const CHUNK = 262144;

/** Half-open [start, end) pieces of at most `CHUNK` elements that do not cross any of `cuts`. */
export function chunkRanges(length: number, cuts: readonly number[] = []): [number, number][] {
  const edges = [...new Set([0, ...cuts, length])].filter(e => e >= 0 && e <= length).sort((a, b) => a - b);
  return edges.slice(1).flatMap((end, i) => {
    const start = edges[i] as number;
    const pieces = Math.ceil((end - start) / CHUNK);
    return Array.from({ length: pieces }, (_, k): [number, number] => [
      start + k * CHUNK,
      Math.min(end, start + (k + 1) * CHUNK),
    ]);
  });
}

export interface ChunkBuffers {
  /** Arrays cut into pieces, by the graph's input or output name (an array under both is updated in place). */
  readonly arrays: Readonly<Record<string, Float32Array>>;
  /** Scalars and whole tensors bound to every piece. */
  readonly shared?: (range: readonly [number, number], index: number) => Readonly<Record<string, Tensor>>;
  /** Output name to the array (by input name) that it overwrites. */
  readonly inPlace?: Readonly<Record<string, string>>;
}

/** One graph with a symbolic length, bound to every piece of some arrays. */
export class ChunkedGraph implements Disposable {
  readonly #program: Program;
  readonly #bindings: readonly Binding[];

  private constructor(program: Program, bindings: readonly Binding[]) {
    this.#program = program;
    this.#bindings = bindings;
  }

  static async create(
    runtime: Runtime,
    graph: Graph,
    ranges: readonly [number, number][],
    buffers: ChunkBuffers,
  ): Promise<ChunkedGraph> {
    const program = await runtime.compile(modelOf(graph));
    const bindings = ranges.map((range, index) => program.bind(pieceBuffers(buffers, range, index)));
    return new ChunkedGraph(program, bindings);
  }

  async run(): Promise<void> {
    for (const binding of this.#bindings) await binding.run();
  }

  [Symbol.dispose](): void {
    for (const binding of this.#bindings) binding[Symbol.dispose]();
    this.#program[Symbol.dispose]();
  }
}

function pieceBuffers(buffers: ChunkBuffers, range: [number, number], index: number): Record<string, Tensor> {
  const [start, end] = range;
  const pieces: Record<string, Tensor> = {};
  for (const [name, array] of Object.entries(buffers.arrays)) {
    pieces[name] = float32([end - start], array.subarray(start, end));
  }
  for (const [output, input] of Object.entries(buffers.inPlace ?? {}))
    pieces[output] = pieces[input] as Tensor;
  return { ...pieces, ...buffers.shared?.(range, index) };
}
