/**
 * What importances need to know from data: mean |x| by channel (forward only), gradients of the weights.
 *
 * 1. Means are taken inside the graph, so that what leaves a run is one number a channel.
 * 2. Gradients are those of the model as it is deployed: running statistics, no dropout.
 */

import { batchesOf, type Examples, labelsOf } from '../../data/examples/examples.ts';
import { type Graph, int32, type Model, modelOf, type Tensor, typeOf } from '../../graph/ir.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { bindDims } from '../../ops/bind-dims.ts';
import { Builder } from '../../ops/builder.ts';
import type { CompileOptions, Runtime } from '../../runtime/runtime.ts';
import { dimsOf } from '../../train/fine-tune.ts';
import { type Feeds, graphGradients } from '../../train/graph-learner.ts';
import { classification } from '../../train/graph-losses.ts';
import { trainable } from '../../train/graph-training.ts';
import { assert } from '../../util/errors.ts';
import { type ChannelRun, pruningDimensions } from './groups.ts';
import type { ChannelSums } from './importance.ts';

/** E|x| of every channel that pruning could remove, over examples and positions, by value and axis. */
export async function activationMeans(
  runtime: Runtime,
  model: Model,
  batches: Iterable<Feeds>,
  options: CompileOptions = {},
): Promise<ChannelSums> {
  const b = new Builder(cloneGraph(model.graph));
  const runs = activationRuns(model.graph);
  b.graph.outputs = [];
  runs.forEach(({ value, axis }, i) => {
    const x = b.value(value);
    const others = Array.from({ length: x.rank }, (_, k) => k).filter(k => k !== axis);
    const means = x.cast('float32').abs().mean(others, false);
    b.output(means, `mean:${i}`);
  });
  using program = await runtime.compile({ ...model, graph: b.graph }, options);
  const sums = runs.map(({ length }) => new Float64Array(length));
  let count = 0;
  for (const feeds of batches) {
    const found = await program.call(feeds);
    sums.forEach((sum, i) => {
      const means = (found[`mean:${i}`] as Tensor).data as Float32Array;
      for (let c = 0; c < sum.length; c++) sum[c] = (sum[c] as number) + (means[c] as number);
    });
    count++;
  }
  assert(count > 0, 'importance activation needs data to run the model on; give data, or use magnitude');
  for (const sum of sums) for (let c = 0; c < sum.length; c++) sum[c] = (sum[c] as number) / count;
  const known = new Map(runs.map(({ value, axis }, i) => [`${value}\0${axis}`, sums[i] as Float64Array]));
  return ({ value, axis }) => known.get(`${value}\0${axis}`);
}

/** The axes of float activations that groups run through. */
function activationRuns(graph: Graph): (Pick<ChannelRun, 'value' | 'axis'> & { length: number })[] {
  const runs = pruningDimensions(graph).flatMap(d => d.groups[0]?.activations ?? []);
  const distinct = new Map(runs.map(run => [`${run.value}\0${run.axis}`, run]));
  return [...distinct.values()].flatMap(({ value, axis }) => {
    const type = typeOf(graph, value);
    const length = type?.shape?.[axis];
    return type?.dtype.startsWith('float') && typeof length === 'number' ? [{ value, axis, length }] : [];
  });
}

/** Gradients of the mean cross-entropy of `batches` batches of examples (default 10 of 100), by weight name. */
export async function lossGradients(
  runtime: Runtime,
  graph: Graph,
  examples: Examples,
  { batches = 10, batchSize = 100, threads }: { batches?: number; batchSize?: number; threads?: number } = {},
): Promise<ReadonlyMap<string, Float32Array>[]> {
  const size = Math.min(batchSize, examples.count);
  const labels = labelsOf(examples);
  const bound = bindDims(
    graph,
    dimsOf(graph, { batchSize: size, dims: dimsOfExamples(graph, examples) }),
    'all',
  );
  const form = trainable(bound, { trainNorms: false, dropout: 0 });
  const traced = graphGradients(form, classification());
  using program = await runtime.compile(modelOf(traced.graph), { threads });
  const weights = Object.fromEntries(
    form.parameters.map(p => [p.name, graph.initializers.get(p.name) as Tensor]),
  );
  const names = form.parameters.map(p => p.name);
  const found: Map<string, Float32Array>[] = [];
  for (const chosen of batchesOf(examples.count, size)) {
    if (found.length === batches || chosen.length < size) break;
    const own = {
      labels: int32(
        [size],
        chosen.map(i => labels[i] as number),
      ),
    };
    const feeds: Feeds = { ...examples.batch(chosen), ...own, ...weights };
    const read = Object.fromEntries(program.inputs.map(i => [i.name, feeds[i.name] as Tensor]));
    const grads = await program.call(
      read,
      names.map(name => `grad:${name}`),
    );
    found.push(new Map(names.map(name => [name, grads[`grad:${name}`]?.data as Float32Array])));
  }
  return found;
}

/** Numbers that the examples have for symbolic dims of inputs, other than the first of each. */
export function dimsOfExamples(graph: Graph, examples: Examples): Record<string, number> {
  const one = examples.batch([0]);
  const pairs = graph.inputs.flatMap(({ name, shape }) =>
    (shape ?? []).slice(1).map((dim, i) => [dim, one[name]?.dims[i + 1]] as const),
  );
  return Object.fromEntries(pairs.filter(([dim, n]) => typeof dim === 'string' && n !== undefined));
}
