/**
 * The embedding table left where its file is: rows are read as tokens ask for them. A step needs one row a token, and the
 * table is up to a third of a small model, which a tied one would lie in memory for a second time.
 * Shapes: B rows, S new positions, d width.
 */
import type { FloatSource } from '../compress/quantize/pack-inputs.ts';
import { float32, type Graph, sizeOf, type Tensor, type ValueInfo } from '../graph/ir.ts';
import { removeNodes, usesOf } from '../graph/walk.ts';
import { outputNames } from '../runtime/checks.ts';
import type { Binding, Program } from '../runtime/runtime.ts';

const IDS = 'ids';

/** A table that is looked up by the graph's `ids`. */
export interface Lookup {
  /** The parameter's name. */
  readonly table: string;
  /** The input that its rows [B, S, d] are. */
  readonly rows: ValueInfo;
  readonly width: number;
}

/** Takes the look-up of `ids` out of a graph whose weights are inputs; what it found is an input then. */
export function takeOutLookup(graph: Graph): Lookup | undefined {
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const node = graph.nodes.find(
    ({ opType, inputs: [table = '', ids] }) => opType === 'Gather' && ids === IDS && inputs.has(table),
  );
  if (!node) return undefined;
  const [table, name] = [node.inputs[0] as string, node.outputs[0] as string];
  const type = graph.types.get(name);
  const width = type?.shape?.at(-1);
  if (!type || typeof width !== 'number') return undefined;
  removeNodes(graph, new Set([node]));
  const rows = { name, ...type };
  const read = graph.nodes.some(other => usesOf(other).includes(table));
  graph.inputs = [...graph.inputs.filter(input => read || input.name !== table), rows];
  return { table, rows, width };
}

/** The program that reads what its inner one looks up. */
export class LookedUpProgram implements Program {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly #inner: Program;
  readonly #lookup: Lookup;
  readonly #source: FloatSource;

  constructor(inner: Program, lookup: Lookup, source: FloatSource) {
    this.#inner = inner;
    this.#lookup = lookup;
    this.#source = source;
    this.inputs = inner.inputs.filter(({ name }) => name !== lookup.rows.name);
    this.outputs = inner.outputs;
  }

  bind(buffers: Readonly<Record<string, Tensor>>): Binding {
    const rows = this.#rowsFor(buffers);
    const binding = this.#inner.bind({ ...buffers, [this.#lookup.rows.name]: rows });
    return {
      run: async () => {
        await this.#read(buffers, rows);
        await binding.run();
      },
      [Symbol.dispose]: () => binding[Symbol.dispose](),
    };
  }

  async call(
    inputs: Readonly<Record<string, Tensor>>,
    outputs: readonly string[] = outputNames(this),
  ): Promise<Record<string, Tensor>> {
    const rows = this.#rowsFor(inputs);
    await this.#read(inputs, rows);
    return this.#inner.call({ ...inputs, [this.#lookup.rows.name]: rows }, outputs);
  }

  #rowsFor({ [IDS]: ids }: Readonly<Record<string, Tensor>>): Tensor {
    const dims = [...(ids?.dims ?? []), this.#lookup.width];
    return float32(dims, new Float32Array(sizeOf(dims)));
  }

  async #read({ [IDS]: ids }: Readonly<Record<string, Tensor>>, rows: Tensor): Promise<void> {
    const { table, width } = this.#lookup;
    const values = rows.data as Float32Array;
    for (const [i, id] of ((ids?.data ?? []) as Int32Array).entries())
      await this.#source.readFloats(table, values.subarray(i * width, (i + 1) * width), id * width);
  }

  [Symbol.dispose](): void {
    this.#inner[Symbol.dispose]();
  }
}
