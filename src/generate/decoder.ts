/**
 * The inference program of a model: one graph with symbolic batch, new positions and capacity, used both to read
 * prompts (prefill) and to decode, over caches that are updated in place.
 *
 * 1. Weights are graph inputs bound to a ParameterStore (they may change between any two runs) or initializers (fixed: the
 *    runtime prepacks them). Both read the same model code. A decoder over a store may also be `prepacked`: its weights
 *    are fixed until `refresh` compiles it again (25 ms at 3.7M parameters, for 7 % more tokens a second).
 * 2. A module that predicts one token further has a decoder of its own, with a cache of its own, which reads what the
 *    model's gives out as `hidden`. Where weights are constants it has its own copy of the embedding and the head.
 * Shapes: B rows, S new positions, R chosen positions, C capacity, d width, V vocabulary.
 */
import {
  float32,
  type Graph,
  int32,
  type Model,
  modelOf,
  type Tensor,
  type ValueInfo,
  zeros,
} from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import type { ParameterSource, ParameterStore } from '../nn/parameters.ts';
import { modelFor } from '../ops/opset.ts';
import type { Binding, CompileOptions, Program, Runtime } from '../runtime/runtime.ts';
import { type Distributions, Normalizer } from './distributions.ts';
import {
  aheadGraph,
  aheadModel,
  checkedAhead,
  decodeGraph,
  HIDDEN,
  PREVIOUS,
  presentName,
  weightInputs,
} from './graphs.ts';

/** Which rows of a cache a lane works on, and what for. */
export interface LaneShape {
  readonly rows: number;
  /** New positions a row in each run. */
  readonly length: number;
  /** First row of the cache; 0 when absent. */
  readonly firstRow?: number;
  /** Logits of all new positions [rows · length, V] instead of one a row. */
  readonly everyPosition?: boolean;
}

/** A set of cache tensors and the token buffers of one batch size and step length. */
export interface Lane extends Disposable {
  readonly rows: number;
  readonly ids: Int32Array;
  readonly lastPosition: Int32Array;
  /** Longest length after the step. */
  total: number;
  /** Hidden states of all new positions [rows, length, d], where the decoder gives them out. */
  readonly hidden: Float32Array;
  /** What a module that predicts further reads beside `ids` [rows, length, d]. */
  readonly previous: Float32Array;
  run(): Promise<void>;
}

export interface DecoderOptions extends CompileOptions {
  /** Fix the values of a store as they are now, until `refresh`. */
  readonly prepacked?: boolean;
  /** Changes the graph before each compilation; returns the model with the cache that the graph then has. */
  readonly rewrite?: (graph: Graph, model: CausalModel) => CausalModel;
  /** With the module that predicts one token further, to draft with. */
  readonly ahead?: boolean;
}

/** Makes a graph over weights, and the model with the caches that it has. */
type Make = (source: ParameterSource) => { readonly graph: Graph; readonly model: CausalModel };

export class Decoder implements Disposable {
  readonly model: CausalModel;
  /** The module that predicts one token further, where the decoder was made with it. */
  readonly ahead: Decoder | undefined;
  #program: Program;
  #recompile?: () => Promise<Program>;
  readonly #normalizer: Normalizer;
  readonly #weights: Record<string, Tensor>;

  private constructor(
    model: CausalModel,
    program: Program,
    normalizer: Normalizer,
    weights: Record<string, Tensor>,
    ahead?: Decoder,
  ) {
    this.model = model;
    this.ahead = ahead;
    this.#program = program;
    this.#normalizer = normalizer;
    this.#weights = weights;
  }

  /**
   * @param weights a store whose values may change between runs, or tensors by name that will not
   */
  static async create(
    runtime: Runtime,
    model: CausalModel,
    weights: ParameterStore | ReadonlyMap<string, Tensor>,
    { prepacked = false, rewrite = (_, same) => same, ahead = false, ...options }: DecoderOptions = {},
  ): Promise<Decoder> {
    const over = (make: Make, beside?: Decoder) =>
      Decoder.#over(runtime, weights, make, prepacked, options, beside);
    if (ahead) checkedAhead(model, name => weights.has(name));
    const module = ahead
      ? await over(source => ({ graph: aheadGraph(model, source), model: aheadModel(model) }))
      : undefined;
    return over(source => {
      const graph = decodeGraph(model, source, { hidden: ahead });
      return { graph, model: rewrite(graph, model) };
    }, module);
  }

  static async #over(
    runtime: Runtime,
    weights: ParameterStore | ReadonlyMap<string, Tensor>,
    make: Make,
    prepacked: boolean,
    options: CompileOptions,
    ahead?: Decoder,
  ): Promise<Decoder> {
    if (weights instanceof Map) {
      const { graph, model } = make(name => tensorNamed(weights, name));
      return Decoder.fromGraph(runtime, model, graph, options, ahead);
    }
    const store = weights as ParameterStore;
    if (prepacked) {
      const fixed = () => make(name => store.tensor(name));
      const first = fixed();
      const decoder = await Decoder.fromGraph(runtime, first.model, first.graph, options, ahead);
      decoder.#recompile = () => runtime.compile(modelFor(fixed().graph), options);
      return decoder;
    }
    const { graph, model } = make('inputs');
    const bound = Object.fromEntries(weightInputs(graph, model).map(i => [i.name, store.tensor(i.name)]));
    return Decoder.#compile(runtime, model, modelOf(graph), options, bound, ahead);
  }

  /** Over a graph with the signature of `decodeGraph` that holds its weights itself (an exported file's). */
  static async fromGraph(
    runtime: Runtime,
    model: CausalModel,
    graph: Graph,
    options: CompileOptions = {},
    ahead?: Decoder,
  ): Promise<Decoder> {
    return Decoder.#compile(runtime, model, modelFor(graph), options, {}, ahead);
  }

  /** Over a compiled program with the signature of `decodeGraph` that holds its weights itself. */
  static async fromProgram(
    runtime: Runtime,
    model: CausalModel,
    program: Program,
    options: CompileOptions = {},
    ahead?: Decoder,
  ): Promise<Decoder> {
    const normalizer = await Normalizer.create(runtime, model.vocabSize, options);
    return new Decoder(model, program, normalizer, {}, ahead);
  }

  static async #compile(
    runtime: Runtime,
    model: CausalModel,
    file: Model,
    options: CompileOptions,
    weights: Record<string, Tensor>,
    ahead?: Decoder,
  ): Promise<Decoder> {
    const program = await runtime.compile(file, options);
    const normalizer = await Normalizer.create(runtime, model.vocabSize, options);
    return new Decoder(model, program, normalizer, weights, ahead);
  }

  /** Takes over the store's present values, where they were fixed. Lanes made before are of no use any more. */
  async refresh(): Promise<void> {
    await this.ahead?.refresh();
    if (!this.#recompile) return;
    const fresh = await this.#recompile();
    this.#program[Symbol.dispose]();
    this.#program = fresh;
  }

  /** Buffers that turn the logits of `rows` rows into distributions. */
  distributions(rows: number): Distributions {
    return this.#normalizer.bind(rows);
  }

  /** Zeroed caches for `rows` rows of `capacity` positions, in the order of the model's cache slots. */
  allocateCache(rows: number, capacity: number): Tensor[] {
    const made = new Map<string, Tensor>();
    return this.model.cacheSlots.map(s => {
      const tensor = made.get(s.sameAs ?? '') ?? zeros(s.dtype, [rows, s.heads, capacity, s.width]);
      made.set(s.name, tensor);
      return tensor;
    });
  }

  /** Binds rows of `cache` for steps of `length` new positions; `logits` [R, V] is written by each. */
  lane(
    cache: readonly Tensor[],
    { rows, length, firstRow = 0, everyPosition = false }: LaneShape,
    logits: Float32Array,
  ): Lane {
    const ids = new Int32Array(rows * length);
    const lastPosition = new Int32Array(rows);
    const total = new Int32Array(1);
    const chosen = everyPosition ? rows * length : rows;
    const select = Int32Array.from({ length: chosen }, (_, r) =>
      everyPosition ? r : r * length + length - 1,
    );
    const hidden = this.#states(this.#program.outputs, HIDDEN, rows, length);
    const previous = this.#states(this.#program.inputs, PREVIOUS, rows, length);
    const binding: Binding = this.#program.bind({
      ...hidden,
      ...previous,
      ids: int32([rows, length], ids),
      select: int32([chosen], select),
      last_position: int32([rows], lastPosition),
      total: int32([], total),
      logits: float32([chosen, this.model.vocabSize], logits),
      ...this.#boundCache(cache, firstRow, rows),
      ...this.#weights,
    });
    return {
      rows,
      ids,
      lastPosition,
      total: length,
      hidden: valuesOf(hidden[HIDDEN]),
      previous: valuesOf(previous[PREVIOUS]),
      async run() {
        total[0] = this.total;
        if (length > 1 && !everyPosition)
          for (let r = 0; r < rows; r++)
            select[r] = r * length + (lastPosition[r] as number) - this.total + length;
        await binding.run();
      },
      [Symbol.dispose]: () => binding[Symbol.dispose](),
    };
  }

  /** Hidden states of new positions, where the program has a value of that name. */
  #states(values: readonly ValueInfo[], name: string, rows: number, length: number): Record<string, Tensor> {
    const width = values.find(value => value.name === name)?.shape?.[2];
    if (typeof width !== 'number') return {};
    return { [name]: float32([rows, length, width], new Float32Array(rows * length * width)) };
  }

  /** Each cache tensor's rows as past and present. */
  #boundCache(cache: readonly Tensor[], firstRow: number, rows: number): Record<string, Tensor> {
    const pairs = cache.flatMap((tensor, i) => {
      const name = this.model.cacheSlots[i]?.name as string;
      const part = rowsOf(tensor, firstRow, rows);
      return [
        [name, part],
        [presentName(name), part],
      ] as const;
    });
    return Object.fromEntries(pairs);
  }

  [Symbol.dispose](): void {
    this.ahead?.[Symbol.dispose]();
    this.#normalizer[Symbol.dispose]();
    this.#program[Symbol.dispose]();
  }
}

const NOTHING = new Float32Array(0);
const valuesOf = (tensor: Tensor | undefined): Float32Array =>
  tensor === undefined ? NOTHING : (tensor.data as Float32Array);

function rowsOf(tensor: Tensor, first: number, rows: number): Tensor {
  const data = tensor.data as Float32Array;
  const stride = data.length / (tensor.dims[0] as number);
  return {
    dtype: tensor.dtype,
    dims: [rows, ...tensor.dims.slice(1)],
    data: data.subarray(first * stride, (first + rows) * stride),
  };
}

function tensorNamed(weights: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const tensor = weights.get(name);
  if (!tensor) throw new Error(`weight "${name}" is missing`);
  return tensor;
}

/** Copies the first `length` positions of row `from` of one cache to row `to` of another (or the same). */
export function copyRow(
  source: readonly Tensor[],
  from: number,
  target: readonly Tensor[],
  to: number,
  length: number,
): void {
  source.forEach((tensor, i) => {
    const [, heads, capacity, width] = tensor.dims as readonly [number, number, number, number];
    const into = target[i] as Tensor;
    const intoCapacity = into.dims[2] as number;
    const data = tensor.data as Float32Array;
    const intoData = into.data as Float32Array;
    for (let h = 0; h < heads; h++) {
      const start = (from * heads + h) * capacity * width;
      intoData.set(data.subarray(start, start + length * width), (to * heads + h) * intoCapacity * width);
    }
  });
}
