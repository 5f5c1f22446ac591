/**
 * Statistics of the inputs of a graph's products, from runs on calibration data.
 *
 * 1. One compiled graph gives every product's input as an output; second moments are summed in double on the way.
 * 2. Products that read the same value (gate and up, q and k and v) share one sum.
 */
import { type Graph, type Model, opKey, type Tensor, typeOf } from '../../graph/ir.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { inferShapes } from '../../ops/infer.ts';
import type { CompileOptions, Runtime } from '../../runtime/runtime.ts';
import { assert } from '../../util/errors.ts';
import type { InputStatistics } from './methods/index.ts';

export type Feeds = Readonly<Record<string, Tensor>>;

const PRODUCTS: ReadonlySet<string> = new Set(['MatMul', 'com.microsoft.FusedMatMul']);

/** What a product reads: second moments, and how large each column is. */
export interface ActivationStatistics extends InputStatistics {
  /** E|x| of each column. */
  readonly mean: Float64Array;
  /** max |x| of each column. */
  readonly largest: Float64Array;
}

/** Statistics of the input x of every product with a constant right operand, by that operand's name. */
export async function inputStatistics(
  runtime: Runtime,
  model: Model,
  batches: Iterable<Feeds>,
  options: CompileOptions = {},
): Promise<Map<string, ActivationStatistics>> {
  const graph = cloneGraph(model.graph);
  inferShapes(graph);
  const products = productsOf(graph);
  if (products.length === 0) return new Map();
  const taps = [...new Set(products.map(p => p.input))];
  graph.outputs = taps.map(name => ({ name, ...(typeOf(graph, name) ?? { dtype: 'float32' }) }));
  using program = await runtime.compile({ ...model, graph }, options);
  const sums = new Map<string, Moments>();
  for (const feeds of batches) {
    const values = await program.call(feeds, taps);
    for (const name of taps) accumulate(sums, name, values[name] as Tensor);
  }
  assert(sums.size > 0, 'calibration needs data: the list of batches is empty');
  return new Map(products.map(p => [p.weight, mean(sums.get(p.input) as Moments)]));
}

interface Product {
  readonly weight: string;
  readonly input: string;
}

const productsOf = (graph: Graph): Product[] =>
  graph.nodes
    .filter(node => PRODUCTS.has(opKey(node)) && graph.initializers.has(node.inputs[1] as string))
    .map(node => ({ weight: node.inputs[1] as string, input: node.inputs[0] as string }));

/** Σ x xᵀ (its lower triangle), Σ |x| and max |x| over `count` vectors. */
interface Moments {
  readonly columns: number;
  readonly sum: Float64Array;
  readonly magnitudes: Float64Array;
  readonly largest: Float64Array;
  count: number;
}

const noMoments = (columns: number): Moments => ({
  columns,
  sum: new Float64Array(columns * columns),
  magnitudes: new Float64Array(columns),
  largest: new Float64Array(columns),
  count: 0,
});

function accumulate(sums: Map<string, Moments>, name: string, { dims, data }: Tensor): void {
  const n = dims[dims.length - 1] as number;
  const moments = sums.get(name) ?? noMoments(n);
  sums.set(name, moments);
  const x = data as Float32Array;
  for (let row = 0; row < x.length; row += n) {
    for (let i = 0; i < n; i++) {
      const xi = x[row + i] as number;
      const size = Math.abs(xi);
      moments.magnitudes[i] = (moments.magnitudes[i] as number) + size;
      if (size > (moments.largest[i] as number)) moments.largest[i] = size;
      for (let j = 0; j <= i; j++)
        moments.sum[i * n + j] = (moments.sum[i * n + j] as number) + xi * (x[row + j] as number);
    }
  }
  moments.count += x.length / n;
}

function mean({ columns: n, sum, count, magnitudes, largest }: Moments): ActivationStatistics {
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const value = (sum[i * n + j] as number) / count;
      gram[i * n + j] = value;
      gram[j * n + i] = value;
    }
  }
  return { columns: n, gram, mean: magnitudes.map(m => m / count), largest };
}
