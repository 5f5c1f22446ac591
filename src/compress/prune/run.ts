/**
 * Pruning as it is asked for: channels, layers or single weights, with what importances need of data, and recovery.
 *
 * 1. All on a graph with a free batch where that can be; the batch that a model fixes is fixed again at the end.
 * 2. Statistics of batch normalizations are measured anew at the end, where there are data.
 * 3. In recovery, weights that were set to 0 stay so: they are trained times a mask.
 */
import type { Augment } from '../../data/augment.ts';
import { type Examples, firstOf } from '../../data/examples/examples.ts';
import { stepsOf } from '../../data/stream.ts';
import type { Graph, Model, Tensor } from '../../graph/ir.ts';
import { cloneGraph, sortTopologically } from '../../graph/walk.ts';
import { batchAgain, freeBatch } from '../../import/batch.ts';
import { Builder } from '../../ops/builder.ts';
import { inferShapes } from '../../ops/infer.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { weightsOf } from '../../train/weights-of.ts';
import { GaslawError } from '../../util/errors.ts';
import { RECOVERY_BATCH } from '../distil/recipe.ts';
import { inputStatistics } from '../quantize/calibrate.ts';
import type { InputStatistics } from '../quantize/methods/index.ts';
import { exampleFeeds } from '../quantize/static/feeds.ts';
import { compensation } from './compensate.ts';
import { branchInfluence, layerBranches, withoutBranches } from './depth.ts';
import type { ChannelGroup } from './groups.ts';
import { activation, magnitude, scale, taylor } from './importance.ts';
import { kernelMoments } from './kernel-moments.ts';
import { remeasuredNorms } from './norms.ts';
import { type IterativeOptions, pruneAndRecover, prunedTo, type RecoverOptions, recover } from './recover.ts';
import { type SparsityMethod, type SparsityPattern, sparsifiable, sparsifyWeights } from './sparsity.ts';
import { activationMeans, dimsOfExamples, lossGradients } from './statistics.ts';

export const IMPORTANCES = ['magnitude', 'scale', 'taylor', 'activation'] as const;
export type ImportanceName = (typeof IMPORTANCES)[number];

/** What goes: channels, residual branches, or single weights. */
export type PruneTask =
  | ({ readonly kind: 'channels'; readonly importance: ImportanceName } & Omit<
      IterativeOptions,
      'importance' | 'compensation'
    >)
  | { readonly kind: 'layers'; readonly count: number }
  | { readonly kind: 'weights'; readonly pattern: SparsityPattern; readonly method: SparsityMethod };

export interface PruneRecovery {
  readonly epochs: number;
  /** Default: the recipe's. */
  readonly rate?: number;
  readonly augment?: Augment;
  readonly seed: number;
  readonly onStep?: (step: number, steps: number, loss: number) => void;
}

export interface PruneOptions {
  /** How many examples importances are measured on. Default 1000. */
  readonly samples?: number;
  readonly recovery?: PruneRecovery;
  /** Weights with fewer elements keep all of them when single weights go. Default 1024. */
  readonly minElements?: number;
}

export interface Pruned {
  readonly model: Model;
  /** What was done to each dimension, layer or weight. */
  readonly lines: readonly string[];
}

/** Prunes an imported model (types inferred, norms not folded). `data` serve importances and recovery. */
export async function prune(
  runtime: Runtime,
  model: Model,
  task: PruneTask,
  data?: Examples,
  { samples = 1000, recovery, minElements }: PruneOptions = {},
): Promise<Pruned> {
  if (recovery && !data)
    throw new GaslawError('recovery learns from examples: give data, or prune without recovery');
  const free = freeBatch(model);
  inferShapes(free.graph);
  const some = data && firstOf(data, samples);
  const work = new Work(runtime, free, some, recovery && data && recoverOptions(recovery, data));
  const { graph: left, lines } = await work.run(task, minElements);
  const after = { ...free, graph: left };
  const graph = some ? await remeasuredNorms(runtime, after, exampleFeeds(after, some)) : left;
  return { model: { ...model, graph: free === model ? graph : batchAgain(graph, model.graph) }, lines };
}

function recoverOptions({ epochs, onStep, ...rest }: PruneRecovery, data: Examples): RecoverOptions {
  const steps = stepsOf(epochs, data.count, Math.min(RECOVERY_BATCH, data.count));
  return {
    ...rest,
    data,
    steps,
    onStep: (step, { loss }) => onStep?.(step + 1, steps, loss as number),
  };
}

class Work {
  readonly #runtime: Runtime;
  readonly #model: Model;
  readonly #data: Examples | undefined;
  readonly #recovery: RecoverOptions | undefined;

  constructor(
    runtime: Runtime,
    model: Model,
    data: Examples | undefined,
    recovery: RecoverOptions | undefined,
  ) {
    this.#runtime = runtime;
    this.#model = model;
    this.#data = data;
    this.#recovery = recovery;
  }

  run(task: PruneTask, minElements?: number): Promise<{ graph: Graph; lines: string[] }> {
    switch (task.kind) {
      case 'channels':
        return this.#channels(task);
      case 'layers':
        return this.#layers(task.count);
      case 'weights':
        return this.#weights(task, minElements);
    }
  }

  #examples(what: string): Examples {
    if (this.#data) return this.#data;
    throw new GaslawError(`${what} needs examples to run the model on: give data, or choose magnitude`);
  }

  async #channels({ importance, ...options }: Extract<PruneTask, { kind: 'channels' }>) {
    const { graph: whole } = this.#model;
    const score = (graph: Graph) => this.#importance(graph, importance);
    const dims = new Map(this.#data && Object.entries(dimsOfExamples(whole, this.#data)));
    const measured = { ...options, dims, importance: score, compensation: this.#compensation() };
    const { graph, report } = this.#recovery
      ? await pruneAndRecover(this.#runtime, whole, measured, this.#recovery)
      : await prunedTo(whole, measured);
    return { graph, lines: report.dimensions.map(d => `${d.before} → ${d.after}  ${d.name}`) };
  }

  /** Where there are examples, what is left makes up for what goes. */
  #compensation(): IterativeOptions['compensation'] {
    const data = this.#data;
    if (!data) return undefined;
    return async graph => {
      const model = { ...this.#model, graph };
      return compensation(this.#runtime, model, exampleFeeds(model, data));
    };
  }

  async #importance(graph: Graph, name: ImportanceName): Promise<(group: ChannelGroup) => number> {
    const model = { ...this.#model, graph };
    switch (name) {
      case 'magnitude':
        return magnitude(graph);
      case 'scale':
        return scale(graph);
      case 'taylor':
        return taylor(graph, await lossGradients(this.#runtime, graph, this.#examples('importance taylor')));
      case 'activation': {
        const feeds = exampleFeeds(model, this.#examples('importance activation'));
        return activation(await activationMeans(this.#runtime, model, feeds));
      }
    }
  }

  async #layers(count: number) {
    const { graph } = this.#model;
    const branches = layerBranches(graph);
    if (branches.length < count)
      throw new GaslawError(
        `${branches.length} layers of this model lie beside a shortcut and can go, not ${count}; prune its channels instead`,
      );
    const feeds = exampleFeeds(this.#model, this.#examples('choosing layers'));
    const influence = await branchInfluence(this.#runtime, this.#model, branches, feeds);
    const order = branches
      .map((branch, i) => ({ branch, influence: influence[i] as number }))
      .sort((a, b) => a.influence - b.influence);
    const gone = order.slice(0, count);
    const shorter = withoutBranches(
      graph,
      gone.map(g => g.branch),
    );
    return {
      graph: await this.#recovered(shorter),
      lines: gone.map(g => `out: ${g.branch.sum} (influence ${g.influence.toFixed(4)})`),
    };
  }

  async #weights(
    { pattern, method }: Extract<PruneTask, { kind: 'weights' }>,
    minElements: number | undefined,
  ) {
    const graph = cloneGraph(this.#model.graph);
    const options = { pattern, minElements };
    const examples = method === 'magnitude' ? undefined : this.#examples(`sparsity ${method}`);
    const weights = sparsifiable(graph, options);
    if (weights.length === 0) throw new GaslawError(noneSparse(options));
    const inputs = examples && (await this.#moments(examples, weights));
    const report = sparsifyWeights(graph, { ...options, method, inputs });
    const names = report.map(w => w.name);
    return {
      graph: this.#recovery
        ? await recoverSparse(this.#runtime, this.#model.graph, graph, names, this.#recovery)
        : graph,
      lines: report.map(w => `${((100 * w.zeros) / w.elements).toFixed(1)} % zeros  ${w.name}`),
    };
  }

  /** Of what each weight sums over, one a group. */
  async #moments(examples: Examples, weights: readonly string[]) {
    const feeds = exampleFeeds(this.#model, examples);
    const products = await inputStatistics(this.#runtime, this.#model, feeds);
    const kernels = await kernelMoments(this.#runtime, this.#model, feeds, new Set(weights));
    const all: [string, readonly InputStatistics[]][] = [...products].map(([name, of]) => [name, [of]]);
    return new Map([...all, ...kernels]);
  }

  #recovered(student: Graph): Promise<Graph> | Graph {
    return this.#recovery ? recover(this.#runtime, this.#model.graph, student, this.#recovery) : student;
  }
}

const noneSparse = ({ pattern, minElements = 1024 }: { pattern: SparsityPattern; minElements?: number }) =>
  `no weight can become sparse: products and convolutions of at least ${minElements} weights can${
    'of' in pattern ? ` (kernels where their channels are a multiple of ${pattern.of})` : ''
  }, what makes an output cannot; prune channels instead`;

/** Trains what is left of `names` in `sparse` by the answers of `teacher`; zeros stay zeros. */
export async function recoverSparse(
  runtime: Runtime,
  teacher: Graph,
  sparse: Graph,
  names: readonly string[],
  options: RecoverOptions,
): Promise<Graph> {
  const b = new Builder(cloneGraph(sparse));
  const readers = [...b.graph.nodes];
  for (const name of names) {
    const { dims, data } = sparse.initializers.get(name) as Tensor;
    const mask = Float32Array.from(data as Float32Array, w => (w === 0 ? 0 : 1));
    const product = b.value(name).mul(b.constant({ dtype: 'float32', dims, data: mask }));
    for (const node of readers)
      node.inputs = node.inputs.map(input => (input === name ? product.name : input));
  }
  sortTopologically(b.graph);
  const trained = await recover(runtime, teacher, b.graph, { ...options, parameters: weightsOf(sparse) });
  const result = cloneGraph(sparse);
  for (const [name, tensor] of sparse.initializers) {
    const now = trained.initializers.get(name) as Tensor;
    result.initializers.set(name, names.includes(name) ? whereNonzero(tensor, now) : now);
  }
  return result;
}

/** `now`, with the zeros of `sparse`. */
const whereNonzero = (sparse: Tensor, now: Tensor): Tensor => ({
  ...now,
  data: Float32Array.from(now.data as Float32Array, (w, i) => (sparse.data[i] === 0 ? 0 : w)),
});
