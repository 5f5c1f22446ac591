/**
 * What calibration feeds a graph: examples without their labels, or, without data, random inputs of the right kind.
 *
 * 1. Floats are standard normal, which is what inputs are normalized to, or even within a range that is given.
 * 2. Ids are even over the rows of the table that they are looked up in; other integers are 0 or 1.
 */
import { batchesOf, type Examples, filledTo, fixedBatch } from '../../../data/examples/examples.ts';
import { type Graph, type Model, sizeOf, type Tensor, type ValueInfo } from '../../../graph/ir.ts';
import { consumersOf } from '../../../graph/walk.ts';
import { store } from '../../../runtime/reference/tensor.ts';
import { GaslawError } from '../../../util/errors.ts';
import { Random } from '../../../util/random.ts';
import type { Feeds } from '../calibrate.ts';
import type { Range } from './affine.ts';

const BATCH = 32;

/** The examples in batches, or in the one that the graph is fixed to. Labels are not looked at. */
export function exampleFeeds({ graph }: Model, examples: Examples): Feeds[] {
  const fixed = fixedBatch(graph.inputs.filter(input => !graph.initializers.has(input.name)));
  return [...batchesOf(examples.count, fixed ?? BATCH)].map(indices =>
    examples.batch(fixed === undefined ? indices : filledTo(indices, fixed)),
  );
}

export interface RandomFeedsOptions {
  readonly samples: number;
  readonly seed: number;
  /** Of float inputs; standard normal when absent. */
  readonly range?: Range;
  /** Numbers for symbolic dims; 1 for the others. */
  readonly dims?: ReadonlyMap<string, number>;
}

/** One feed a sample. */
export function randomFeeds(graph: Graph, { samples, seed, range, dims }: RandomFeedsOptions): Feeds[] {
  const inputs = graph.inputs.filter(input => !graph.initializers.has(input.name));
  const random = new Random(seed);
  return Array.from({ length: samples }, (_, i) =>
    Object.fromEntries(
      inputs.map(input => {
        const stream = random.fork(`${i}/${input.name}`);
        const draw = drawFor(graph, input, stream, range);
        return [input.name, filled(input, dims ?? new Map(), draw)];
      }),
    ),
  );
}

function drawFor(
  graph: Graph,
  { name, dtype }: ValueInfo,
  random: Random,
  range: Range | undefined,
): () => number {
  if (dtype.startsWith('float'))
    return range ? () => range.low + (range.high - range.low) * random.uniform() : () => random.normal();
  const rows = rowsOf(graph, name) ?? 2;
  return () => random.int(rows);
}

/** Rows of the constant table that the value looks up. */
function rowsOf(graph: Graph, name: string): number | undefined {
  const gather = consumersOf(graph)
    .get(name)
    ?.find(node => node.opType === 'Gather' && node.inputs[1] === name);
  return graph.initializers.get(gather?.inputs[0] ?? '')?.dims[0];
}

function filled(
  { name, dtype, shape }: ValueInfo,
  dims: ReadonlyMap<string, number>,
  draw: () => number,
): Tensor {
  if (!shape)
    throw new GaslawError(`input "${name}" has no shape, so that no random input can be made; give data`);
  const fixed = shape.map(dim => (typeof dim === 'number' ? dim : (dims.get(dim) ?? 1)));
  return store(dtype, fixed, Float64Array.from({ length: sizeOf(fixed) }, draw));
}
