/**
 * A learner: the gradient graph of one loss over one model, and the optimizer that applies it.
 *
 * 1. The gradient graph and the update graph are two (updating in the graph that reads the parameters races).
 * 2. Batch and length are symbolic; each shape that occurs is bound once to buffers of its own.
 * 3. A stage gives the loss as a function from symbolic logits to a scalar; all weights and normalizers arrive as
 *    per-token inputs, so one graph serves every aggregation.
 * Shapes: B rows, T positions, M = B·T, V vocabulary.
 */
import { gradients } from '../autodiff/gradients.ts';
import { lower } from '../autodiff/lower.ts';
import type { Batch } from '../data/batch.ts';
import { float32, type Graph, modelOf, type Tensor, zeros } from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import {
  chunkedTokenLogProbs,
  chunkScopes,
  type ScoreOptions,
  type TokenScores,
  tokenScores,
} from '../nn/losses.ts';
import type { ChunkedGraph } from '../nn/optim/chunked.ts';
import { accumulator, GlobalNorm } from '../nn/optim/elementwise.ts';
import type { Optimizer } from '../nn/optim/optimizer.ts';
import { type ParameterStore, ParameterTrace } from '../nn/parameters.ts';
import { Builder, type Value } from '../ops/builder.ts';
import type { Binding, CompileOptions, Program, Runtime } from '../runtime/runtime.ts';
import { GaslawError } from '../util/errors.ts';
import { type AddedLoss, addedLoss, trainingForm } from './auxiliary.ts';

/** What a loss sees of a traced batch. */
export interface LossContext {
  readonly b: Builder;
  /** [M, V]: the logits of all tokens at once; `scores` needs less memory. */
  readonly logits: Value;
  /** [M, d], after the final norm. */
  readonly hidden: Value;
  /** Next-token ids [M], int32. */
  readonly targets: Value;
  /** Rows and length as run-time dims [B, T] (int64), for losses that need rows. */
  readonly rowDims: Value;
  /** log p(target), log Z and entropy of every token [M], the logits divided by `temperature`; in chunks if asked for. */
  scores(options?: ScoreOptions & { readonly temperature?: number }): TokenScores;
  /** What the model itself adds to a mean loss of tokens with these weights [M]. */
  added(weights: Value): AddedLoss;
  /** A per-token float input by name [M]; declared on first use. */
  token(name: string): Value;
  /** A float input of [M, width], for example a teacher's logits. */
  tokenVector(name: string, width: number): Value;
}

export interface TracedLoss {
  readonly loss: Value;
  /** Scalars to report, by metric name. */
  readonly metrics?: Readonly<Record<string, Value>>;
}

export type LossFunction = (c: LossContext) => TracedLoss;

/** What trades time for memory. */
export interface MemoryOptions {
  /** Pieces in which the logits of a batch are made and made again in the backward pass: memory for large vocabularies. */
  readonly logitChunks?: number;
  /** Compute each layer's activations again in the backward pass instead of keeping them. */
  readonly recomputeLayers?: boolean;
}

export interface TraceOptions extends MemoryOptions {
  /** Rows hold several documents; attention stays within each. */
  readonly packed?: boolean;
}

export interface LearnerOptions extends CompileOptions, TraceOptions {
  /** Largest gradient norm; larger ones are scaled down to it. Infinity switches clipping off. */
  readonly maxGradientNorm?: number;
  readonly optimizer: (
    runtime: Runtime,
    store: ParameterStore,
    gradients: Float32Array,
  ) => Promise<Optimizer>;
}

interface GradientGraph {
  readonly graph: Graph;
  readonly tokenInputs: readonly { name: string; width: number }[];
  readonly metricNames: readonly string[];
  /** Dims of the output `loads` of a model with experts. */
  readonly loads?: readonly number[];
  /** What trains: each has an output `grad:` + name. */
  readonly parameterNames: readonly string[];
  /** Everything that is bound to the store: the parameters, and what is frozen. */
  readonly weightNames: readonly string[];
}

const LOADS = 'loads';

/** Traces model, loss and gradients. Outputs: loss, metrics, `grad:` + parameter name. */
export function gradientGraph(model: CausalModel, loss: LossFunction, options: TraceOptions): GradientGraph {
  const traced = traceLoss(model, loss, options);
  const { b, trace } = traced;
  const values = trace.trainable();
  const grads = gradients(b, traced.loss, values, { recompute: recomputed(model, options) });
  b.output(traced.loss, 'loss');
  for (const [name, value] of Object.entries(traced.metrics)) b.output(value, `metric:${name}`);
  values.forEach((value, i) => {
    b.output(grads[i] as Value, `grad:${value.name}`);
  });
  if (traced.loads) b.output(traced.loads, LOADS);
  return {
    graph: lower(b.graph),
    tokenInputs: traced.tokenInputs,
    metricNames: Object.keys(traced.metrics),
    loads: traced.loads?.shape as readonly number[] | undefined, // layers and experts are numbers
    parameterNames: values.map(v => v.name),
    weightNames: trace.values().map(v => v.name),
  };
}

/** Scopes whose activations are computed again; undefined when there are none. */
function recomputed(
  model: CausalModel,
  { logitChunks = 1, recomputeLayers }: TraceOptions,
): string[] | undefined {
  const layers = recomputeLayers ? Array.from({ length: model.layers }, (_, i) => `layers.${i}`) : [];
  const chunks = logitChunks > 1 ? chunkScopes(logitChunks) : [];
  return layers.length + chunks.length > 0 ? [...layers, ...chunks] : undefined;
}

/** The forward part alone: logits and loss over a batch. */
export function traceLoss(model: CausalModel, loss: LossFunction, options: TraceOptions = {}) {
  const b = new Builder('train');
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const [ids, positions] = [int('ids'), int('positions')];
  const segments = options.packed ? int('segments') : undefined;
  const inputs = { ids, positions, segments, targets: int('targets') };
  const targets = inputs.targets.reshape([-1]);
  const columns = new TokenColumns(b);
  const trace = new ParameterTrace(b);
  const form = trainingForm(model, trace.scope(), inputs);
  const hidden = form.hidden.reshape([-1, form.hidden.shape[2] as number]);
  const head = (states: Value): Value => model.logits(trace.scope(), states);
  let logits: Value | undefined;
  const traced = loss({
    b,
    get logits() {
      return (logits ??= head(hidden));
    },
    hidden,
    targets,
    rowDims: ids.dims(),
    scores: ({ temperature = 1, ...rest } = {}) => {
      const scaled = (h: Value) => (temperature === 1 ? head(h) : head(h).mul(1 / temperature));
      const { logitChunks = 1 } = options;
      if (logitChunks > 1) return chunkedTokenLogProbs(hidden, scaled, targets, logitChunks, rest);
      return tokenScores(scaled(hidden), targets, rest);
    },
    added: weights => addedLoss(model, form, head, inputs, weights),
    token: name => columns.get(name, 1),
    tokenVector: (name, width) => columns.get(name, width),
  });
  const { loads } = form;
  return { b, trace, loss: traced.loss, metrics: traced.metrics ?? {}, loads, tokenInputs: columns.inputs };
}

/** Float inputs with a value, or `width` of them, for every token. */
class TokenColumns {
  readonly inputs: { name: string; width: number }[] = [];
  readonly #b: Builder;
  readonly #values = new Map<string, Value>();

  constructor(b: Builder) {
    this.#b = b;
  }

  /** The input as [M] or [M, width], declared on first use. */
  get(name: string, width: number): Value {
    const known = this.#values.get(name);
    if (known) return known;
    this.inputs.push({ name, width });
    const raw = this.#b.input(name, 'float32', width === 1 ? ['B', 'T'] : ['B', 'T', width]);
    const value = width === 1 ? raw.reshape([-1]) : raw.reshape([-1, width]);
    this.#values.set(name, value);
    return value;
  }
}

interface Bound {
  readonly buffers: Readonly<Record<string, Tensor>>;
  readonly direct: Binding;
  readonly adding: Binding;
}

const MAX_SHAPES = 24;

export class Learner implements Disposable {
  readonly model: CausalModel;
  readonly store: ParameterStore;
  readonly optimizer: Optimizer;
  /** Sum of the gradients since the last update, laid out as the store. */
  readonly gradients: Float32Array;
  readonly #scratch: Float32Array;
  readonly #program: Program;
  readonly #traced: GradientGraph;
  readonly #packed: boolean;
  readonly #maxNorm: number;
  readonly #norm: GlobalNorm;
  readonly #accumulate: ChunkedGraph;
  readonly #shapes = new Map<string, Bound>();
  readonly #outputs: Record<string, Tensor> = {};
  readonly #loads: Float32Array;
  readonly #stepLoads: Float32Array;
  #modelMetrics: Record<string, number> = {};
  #pending = 0;

  private constructor(parts: {
    model: CausalModel;
    store: ParameterStore;
    traced: GradientGraph;
    program: Program;
    gradients: Float32Array;
    scratch: Float32Array;
    norm: GlobalNorm;
    accumulate: ChunkedGraph;
    optimizer: Optimizer;
    options: LearnerOptions;
  }) {
    this.model = parts.model;
    this.store = parts.store;
    this.optimizer = parts.optimizer;
    this.gradients = parts.gradients;
    this.#scratch = parts.scratch;
    this.#traced = parts.traced;
    this.#program = parts.program;
    this.#packed = parts.options.packed ?? false;
    this.#maxNorm = parts.options.maxGradientNorm ?? 1;
    this.#norm = parts.norm;
    this.#accumulate = parts.accumulate;
    for (const name of ['loss', ...parts.traced.metricNames.map(n => `metric:${n}`)]) {
      this.#outputs[name] = float32([], new Float32Array(1));
    }
    const loads = zeros('float32', parts.traced.loads ?? [0]);
    this.#loads = loads.data as Float32Array;
    this.#stepLoads = new Float32Array(this.#loads.length);
    if (parts.traced.loads) this.#outputs[LOADS] = loads;
  }

  static async create(
    runtime: Runtime,
    model: CausalModel,
    store: ParameterStore,
    loss: LossFunction,
    options: LearnerOptions,
  ): Promise<Learner> {
    const traced = gradientGraph(model, loss, options);
    const program = await runtime.compile(modelOf(traced.graph), options);
    const gradients = new Float32Array(store.flat.length);
    const scratch = new Float32Array(store.flat.length);
    const norm = await GlobalNorm.create(runtime, gradients);
    const accumulate = await accumulator(runtime, gradients, scratch);
    const optimizer = await options.optimizer(runtime, store, gradients);
    return new Learner({
      model,
      store,
      traced,
      program,
      gradients,
      scratch,
      norm,
      accumulate,
      optimizer,
      options,
    });
  }

  /** Runs forward and backward on a batch and adds to the gradients. Returns loss and metrics. */
  async backward(batch: Batch): Promise<Record<string, number>> {
    checkPositions(batch, this.model);
    const bound = this.#bound(batch.rows, batch.length);
    this.#copyIn(batch, bound.buffers);
    if (this.#pending === 0) await bound.direct.run();
    else {
      await bound.adding.run();
      await this.#accumulate.run();
    }
    this.#pending++;
    this.#loads.forEach((n, i) => {
      this.#stepLoads[i] = (this.#stepLoads[i] as number) + n;
    });
    const scalars = Object.entries(this.#outputs).filter(([name]) => name !== LOADS);
    return Object.fromEntries(
      scalars.map(([name, t]) => [name.replace('metric:', ''), (t.data as Float32Array)[0] as number]),
    );
  }

  /** Clips, updates the parameters, and forgets the gradients. Returns the norm before clipping; 0 without gradients. */
  async update(rate: number): Promise<number> {
    if (this.#pending === 0) return 0;
    const norm = await this.#norm.value();
    const scale = norm > this.#maxNorm ? this.#maxNorm / norm : 1;
    // a NaN or infinite norm must not reach the parameters
    if (Number.isFinite(norm)) await this.optimizer.step(rate, scale);
    this.#pending = 0;
    this.#afterStep();
    return norm;
  }

  /** What the model reported of the last step besides its gradient: how evenly its experts were used. */
  get modelMetrics(): Readonly<Record<string, number>> {
    return this.#modelMetrics;
  }

  #afterStep(): void {
    if (this.#stepLoads.length > 0) {
      this.#modelMetrics = this.model.afterStep?.(this.store, this.#stepLoads) ?? {};
    }
    this.#stepLoads.fill(0);
  }

  #bound(rows: number, length: number): Bound {
    const key = `${rows}x${length}`;
    const known = this.#shapes.get(key);
    if (known) return known;
    if (this.#shapes.size >= MAX_SHAPES) this.#forget(this.#shapes.keys().next().value as string);
    const bound = this.#bind(rows, length);
    this.#shapes.set(key, bound);
    return bound;
  }

  #bind(rows: number, length: number): Bound {
    const dims = [rows, length];
    const integers = ['ids', 'positions', 'targets', ...(this.#packed ? ['segments'] : [])];
    const tensors: Record<string, Tensor> = Object.fromEntries([
      ...integers.map(name => [name, zeros('int32', dims)]),
      ...this.#traced.tokenInputs.map(i => [
        i.name,
        zeros('float32', i.width === 1 ? dims : [...dims, i.width]),
      ]),
    ]);
    const weights = Object.fromEntries(this.#traced.weightNames.map(n => [n, this.store.tensor(n)]));
    const into = (array: Float32Array) =>
      this.#program.bind({
        ...tensors,
        ...weights,
        ...this.#outputs,
        ...Object.fromEntries(
          this.#traced.parameterNames.map(n => [`grad:${n}`, this.store.tensor(n, array)]),
        ),
      });
    return { buffers: tensors, direct: into(this.gradients), adding: into(this.#scratch) };
  }

  #copyIn(batch: Batch, buffers: Readonly<Record<string, Tensor>>): void {
    const { ids, positions, targets, segments } = batch;
    const integers: Record<string, Int32Array> = { ids, positions, targets, segments };
    for (const [name, tensor] of Object.entries(buffers)) {
      const column = integers[name] ?? (name === 'weights' ? batch.weights : batch.columns[name]);
      if (!column)
        throw new GaslawError(`the loss reads "${name}" for every token but the batch has no such column`);
      (tensor.data as Float32Array).set(column);
    }
  }

  #forget(key: string): void {
    const bound = this.#shapes.get(key) as Bound;
    bound.direct[Symbol.dispose]();
    bound.adding[Symbol.dispose]();
    this.#shapes.delete(key);
  }

  [Symbol.dispose](): void {
    for (const key of [...this.#shapes.keys()]) this.#forget(key);
    this.optimizer[Symbol.dispose]();
    this.#accumulate[Symbol.dispose]();
    this.#norm[Symbol.dispose]();
    this.#program[Symbol.dispose]();
  }
}

function checkPositions({ positions }: Batch, { maxPositions }: CausalModel): void {
  const last = positions.reduce((a, b) => Math.max(a, b), 0);
  if (last < maxPositions) return;
  throw new GaslawError(
    `a document has ${last + 2} tokens but the model reads ${maxPositions} positions; cut it, or raise maxPositionEmbeddings`,
  );
}
