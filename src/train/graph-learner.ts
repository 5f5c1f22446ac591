/**
 * A learner of any graph: forward, loss and gradients as one graph, an optimizer that applies them.
 *
 * 1. The loss is a function of the graph's values and of further inputs (labels, a teacher's logits or features), so that
 *    classification, distillation and whatever else need no code of their own here.
 * 2. The gradient graph and the update are two (updating in the graph that reads the parameters races). Buffers are bound
 *    once; a step copies a batch in.
 * 3. Several batches make one step by adding their gradients up; each counts alike.
 */
import { gradients } from '../autodiff/gradients.ts';
import { lower } from '../autodiff/lower.ts';
import type { DType } from '../graph/dtype.ts';
import { float32, type Graph, modelOf, type Shape, staticDims, type Tensor, zeros } from '../graph/ir.ts';
import { cloneGraph, producersOf } from '../graph/walk.ts';
import type { ChunkedGraph } from '../nn/optim/chunked.ts';
import { accumulator, GlobalNorm } from '../nn/optim/elementwise.ts';
import type { Optimizer } from '../nn/optim/optimizer.ts';
import { type Init, type ParameterSpec, ParameterStore } from '../nn/parameters.ts';
import { Builder, type Value } from '../ops/builder.ts';
import type { Binding, CompileOptions, Program, Runtime } from '../runtime/runtime.ts';
import { assert, GaslawError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';
import type { TrainableGraph } from './graph-training.ts';
import type { TracedLoss } from './learner.ts';

/** What a loss sees of the graph. */
export interface GraphLossContext {
  readonly b: Builder;
  /** The graph's outputs, in order. */
  readonly outputs: readonly Value[];
  /** Any value of the graph by name: a feature map, for example. */
  value(name: string): Value;
  /** Output `index` before a Softmax that ends the graph: what cross-entropy is taken of. */
  logits(index?: number): Value;
  /** A further input, fed with every batch; declared on first use. Dims are fixed. */
  input(name: string, dtype: DType, dims: Shape): Value;
  /** A parameter of the loss itself (a projection of features): it trains too, and is no part of the model. */
  parameter(name: string, dims: readonly number[], init: Init): Value;
}

export type GraphLoss = (c: GraphLossContext) => TracedLoss;

/** One batch: tensors by the names of the model's and the loss's inputs. */
export type Feeds = Readonly<Record<string, Tensor>>;

interface GradientGraph {
  readonly graph: Graph;
  /** Of the model, then of the loss. */
  readonly parameters: readonly ParameterSpec[];
  readonly metrics: readonly string[];
}

/** Traces loss and gradients onto a training form. Outputs: loss, `metric:NAME`, `grad:NAME`, `next:NAME`. */
export function graphGradients(form: TrainableGraph, loss: GraphLoss): GradientGraph {
  const b = new Builder(cloneGraph(form.graph));
  const outputs = b.graph.outputs.filter(o => !o.name.startsWith('next:')).map(o => b.value(o.name));
  b.graph.outputs = b.graph.outputs.filter(o => o.name.startsWith('next:'));
  const specs = [...form.parameters];
  const inputs = new Map<string, Value>();
  const traced = loss({
    b,
    outputs,
    value: name => b.value(name),
    logits: (index = 0) => b.value(logitsName(b.graph, (outputs[index] ?? missing(index)).name)),
    input: (name, dtype, dims) => inputs.get(name) ?? remember(inputs, b.input(name, dtype, dims)),
    parameter(name, dims, init) {
      specs.push({ name, dims, init });
      return b.input(name, 'float32', dims);
    },
  });
  const values = specs.map(({ name }) => b.value(name));
  const grads = gradients(b, traced.loss, values);
  b.output(traced.loss, 'loss');
  const metrics = Object.entries(traced.metrics ?? {});
  for (const [name, value] of metrics) b.output(value, `metric:${name}`);
  specs.forEach(({ name }, i) => void b.output(grads[i] as Value, `grad:${name}`));
  return { graph: lower(b.graph), parameters: specs, metrics: metrics.map(([name]) => name) };
}

const remember = (values: Map<string, Value>, value: Value): Value => {
  values.set(value.name, value);
  return value;
};

function missing(index: number): never {
  throw new GaslawError(`the graph has no output ${index}`);
}

/** The value whose rows cross-entropy is taken of: `output`, or what goes into the Softmax that makes it. */
export function logitsName(graph: Graph, output: string): string {
  const producer = producersOf(graph).get(output);
  return producer?.opType === 'Softmax' ? (producer.inputs[0] as string) : output;
}

export interface GraphLearnerOptions extends CompileOptions {
  /** Largest gradient norm; larger ones are scaled down to it. Infinity (the default) switches clipping off. */
  readonly maxGradientNorm?: number;
  readonly optimizer: (
    runtime: Runtime,
    store: ParameterStore,
    gradients: Float32Array,
  ) => Promise<Optimizer>;
}

/** What a learner is made of besides its options. */
interface Parts {
  readonly program: Program;
  readonly traced: GradientGraph;
  readonly store: ParameterStore;
  readonly gradients: Float32Array;
  readonly scratch: Float32Array;
  readonly norm: GlobalNorm;
  readonly accumulate: ChunkedGraph;
  readonly optimizer: Optimizer;
}

export class GraphLearner implements Disposable {
  readonly store: ParameterStore;
  readonly optimizer: Optimizer;
  /** Running statistics by name, as they are now. */
  readonly statistics: Readonly<Record<string, Float32Array>>;
  readonly #form: TrainableGraph;
  readonly #parts: Parts;
  readonly #maxNorm: number;
  readonly #feeds: Record<string, Tensor> = {};
  readonly #outputs: Record<string, Tensor> = {};
  readonly #direct: Binding;
  readonly #adding: Binding;
  #pending = 0;

  private constructor(
    form: TrainableGraph,
    initial: ReadonlyMap<string, Tensor>,
    parts: Parts,
    maxNorm: number,
  ) {
    this.#form = form;
    this.#parts = parts;
    this.#maxNorm = maxNorm;
    this.store = parts.store;
    this.optimizer = parts.optimizer;
    this.statistics = Object.fromEntries(
      form.statistics.map(name => [
        name,
        Float32Array.from((initial.get(name) as Tensor).data as Float32Array),
      ]),
    );
    this.#makeBuffers();
    this.#direct = this.#bind(parts.gradients);
    this.#adding = this.#bind(parts.scratch);
  }

  /** `initial` has the values of parameters and statistics: the initializers of the graph that the form was made of. */
  static async create(
    runtime: Runtime,
    form: TrainableGraph,
    initial: ReadonlyMap<string, Tensor>,
    loss: GraphLoss,
    random: Random,
    options: GraphLearnerOptions,
  ): Promise<GraphLearner> {
    const traced = graphGradients(form, loss);
    const store = new ParameterStore(traced.parameters).initialize(random.fork('loss'));
    for (const [name, tensor] of store.tensors())
      if (initial.has(name))
        (tensor.data as Float32Array).set((initial.get(name) as Tensor).data as Float32Array);
    const program = await runtime.compile(modelOf(traced.graph), options);
    const [sum, scratch] = [new Float32Array(store.flat.length), new Float32Array(store.flat.length)];
    const norm = await GlobalNorm.create(runtime, sum);
    const accumulate = await accumulator(runtime, sum, scratch);
    const optimizer = await options.optimizer(runtime, store, sum);
    const parts = { program, traced, store, gradients: sum, scratch, norm, accumulate, optimizer };
    return new GraphLearner(form, initial, parts, options.maxGradientNorm ?? Number.POSITIVE_INFINITY);
  }

  /** Names, dtypes and dims of what a batch holds. */
  get feeds(): Feeds {
    return this.#feeds;
  }

  /** Runs forward and backward and adds to the gradients. `random` draws what Dropout drops. Returns loss and metrics. */
  async backward(feeds: Feeds, random: Random): Promise<Record<string, number>> {
    for (const [name, buffer] of Object.entries(this.#feeds)) copyFeed(name, feeds[name], buffer);
    for (const { name } of this.#form.uniforms) {
      const data = this.#outputs[`uniform:${name}`]?.data as Float32Array;
      const own = random.fork(name);
      for (let i = 0; i < data.length; i++) data[i] = own.uniform();
    }
    if (this.#pending === 0) await this.#direct.run();
    else {
      await this.#adding.run();
      await this.#parts.accumulate.run();
    }
    this.#pending++;
    for (const [name, array] of Object.entries(this.statistics)) array.set(this.#scalar(`next:${name}`));
    const names = ['loss', ...this.#parts.traced.metrics.map(name => `metric:${name}`)];
    return Object.fromEntries(
      names.map(name => [name.replace('metric:', ''), this.#scalar(name)[0] as number]),
    );
  }

  /** Clips, updates the parameters, and forgets the gradients. Returns the norm before clipping, of the mean over batches. */
  async update(rate: number): Promise<number> {
    if (this.#pending === 0) return 0;
    const norm = (await this.#parts.norm.value()) / this.#pending;
    const scale = (norm > this.#maxNorm ? this.#maxNorm / norm : 1) / this.#pending;
    // a NaN or infinite norm must not reach the parameters
    if (Number.isFinite(norm)) await this.optimizer.step(rate, scale);
    this.#pending = 0;
    return norm;
  }

  #scalar(name: string): Float32Array {
    return this.#outputs[name]?.data as Float32Array;
  }

  #makeBuffers(): void {
    const { program } = this.#parts;
    const own = new Set([...this.store.specs.map(s => s.name), ...this.#form.statistics]);
    const uniforms = new Set(this.#form.uniforms.map(u => u.name));
    for (const { name, dtype, shape } of program.inputs) {
      if (own.has(name)) continue;
      const dims = staticDims(shape) ?? open(name, shape);
      if (uniforms.has(name)) this.#outputs[`uniform:${name}`] = zeros(dtype, dims);
      else this.#feeds[name] = zeros(dtype, dims);
    }
    for (const { name, dtype, shape } of program.outputs)
      if (!name.startsWith('grad:'))
        this.#outputs[name] = zeros(dtype, staticDims(shape) ?? open(name, shape));
  }

  #bind(gradients: Float32Array): Binding {
    const { program } = this.#parts;
    const buffers: Record<string, Tensor> = { ...this.#feeds };
    for (const { name } of program.inputs) {
      const statistic = this.statistics[name];
      if (statistic) buffers[name] = float32([statistic.length], statistic);
      else if (this.store.has(name)) buffers[name] = this.store.tensor(name);
      else buffers[name] ??= this.#outputs[`uniform:${name}`] as Tensor;
    }
    for (const { name } of program.outputs)
      buffers[name] = name.startsWith('grad:')
        ? this.store.tensor(name.slice('grad:'.length), gradients)
        : (this.#outputs[name] as Tensor);
    return program.bind(buffers);
  }

  [Symbol.dispose](): void {
    for (const part of [
      this.#direct,
      this.#adding,
      this.optimizer,
      this.#parts.accumulate,
      this.#parts.norm,
      this.#parts.program,
    ])
      part[Symbol.dispose]();
  }
}

function open(name: string, shape: Shape | undefined): never {
  throw new GaslawError(
    `"${name}" has the shape [${shape ?? '?'}]; training needs fixed dims: bind the symbolic ones`,
  );
}

function copyFeed(name: string, given: Tensor | undefined, buffer: Tensor): void {
  assert(given, `the batch has no "${name}", which the model or the loss reads`);
  assert(
    given.dtype === buffer.dtype && given.data.length === buffer.data.length,
    `the batch's "${name}" is ${given.dtype}[${given.dims}], ${buffer.dtype}[${buffer.dims}] is needed`,
  );
  (buffer.data as Float32Array).set(given.data as Float32Array); // same dtype, so the same kind of array
}
