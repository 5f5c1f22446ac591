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
import { float32, type Graph, int32, modelOf, type Tensor, type ValueInfo, zeros } from '../graph/ir.ts';
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
import { betweenName, severalPositions } from './several.ts';

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
  /** New positions a row that several rows can read at once, to check drafts: one more program, with weights of its own where they are fixed. */
  readonly several?: number;
}

/** Makes a graph over weights, and the model with the caches that it has. */
type Make = (source: ParameterSource) => { readonly graph: Graph; readonly model: CausalModel };

export class Decoder implements Disposable {
  readonly model: CausalModel;
  /** The module that predicts one token further, where the decoder was made with it. */
  readonly ahead: Decoder | undefined;
  /** New positions a row that several rows can read at once. */
  readonly several: number | undefined;
  #programs: Programs;
  #recompile?: () => Promise<Programs>;
  readonly #normalizer: Normalizer;
  readonly #weights: Record<string, Tensor>;

  private constructor(
    model: CausalModel,
    programs: Programs,
    normalizer: Normalizer,
    weights: Record<string, Tensor>,
    { ahead, several }: Pick<Decoder, 'ahead' | 'several'>,
  ) {
    this.model = model;
    this.ahead = ahead;
    this.several = several;
    this.#programs = programs;
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
    {
      prepacked = false,
      rewrite = (_, same) => same,
      ahead: drafts = false,
      several,
      ...options
    }: DecoderOptions = {},
  ): Promise<Decoder> {
    const from = { runtime, weights, prepacked, options };
    if (drafts) checkedAhead(model, name => weights.has(name));
    const module = (source: ParameterSource) => ({
      graph: aheadGraph(model, source),
      model: aheadModel(model),
    });
    const ahead = drafts ? await Decoder.#over(from, module, {}) : undefined;
    const main = (source: ParameterSource) => {
      const graph = decodeGraph(model, source, { hidden: drafts });
      return { graph, model: rewrite(graph, model) };
    };
    return Decoder.#over(from, main, { ahead, several });
  }

  static async #over(
    { runtime, weights, prepacked, options }: Origin,
    make: Make,
    beside: { readonly ahead?: Decoder; readonly several?: number },
  ): Promise<Decoder> {
    const source = sourceOf(weights, prepacked);
    const compile = async (change = (_: Graph) => {}) => {
      const made = make(source);
      change(made.graph);
      const file = source === 'inputs' ? modelOf(made.graph) : modelFor(made.graph);
      return { ...made, program: await runtime.compile(file, options) };
    };
    const { several } = beside;
    const programs = async () => {
      const { program: main, ...made } = await compile();
      const checking = several && (await compile(graph => severalPositions(graph, several))).program;
      return { made, programs: { main, ...(checking && { several: checking }) } };
    };
    const { made, programs: first } = await programs();
    const bound = source === 'inputs' ? boundWeights(made, weights as ParameterStore) : {}; // only stores are
    const normalizer = await Normalizer.create(runtime, made.model.vocabSize, options);
    const decoder = new Decoder(made.model, first, normalizer, bound, { ahead: beside.ahead, several });
    if (prepacked && !(weights instanceof Map)) decoder.#recompile = async () => (await programs()).programs;
    return decoder;
  }

  /** Over a graph with the signature of `decodeGraph` that holds its weights itself (an exported file's). */
  static async fromGraph(
    runtime: Runtime,
    model: CausalModel,
    graph: Graph,
    options: CompileOptions = {},
  ): Promise<Decoder> {
    return Decoder.fromProgram(runtime, model, await runtime.compile(modelFor(graph), options), options);
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
    return new Decoder(model, { main: program }, normalizer, {}, { ahead, several: undefined });
  }

  /** Width of the hidden states that it gives out; 0 when it does not. */
  get hiddenSize(): number {
    return widthOf(this.#programs.main.outputs, HIDDEN);
  }

  /** Takes over the store's present values, where they were fixed. Lanes made before are of no use any more. */
  async refresh(): Promise<void> {
    await this.ahead?.refresh();
    if (!this.#recompile) return;
    const fresh = await this.#recompile();
    disposeAll(this.#programs);
    this.#programs = fresh;
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
    const { main } = this.#programs;
    const between = everyPosition && rows > 1 ? length - 1 : 0;
    const program = between > 0 ? this.#programs.several : main;
    if (!program) throw new Error('the decoder was not made to read several positions of several rows');
    const hidden = states(main.outputs, HIDDEN, rows, length);
    const previous = states(main.inputs, PREVIOUS, rows, length);
    const binding: Binding = program.bind({
      ...hidden,
      ...previous,
      ids: int32([rows, length], ids),
      select: int32([chosen], select),
      last_position: int32([rows], lastPosition),
      total: int32([], total),
      logits: float32([chosen, this.model.vocabSize], logits),
      ...this.#boundCache(cache, firstRow, rows, between),
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

  /** Each cache tensor's rows as past and present, and as what is between. */
  #boundCache(
    cache: readonly Tensor[],
    firstRow: number,
    rows: number,
    between: number,
  ): Record<string, Tensor> {
    const pairs = cache.flatMap((tensor, i) => {
      const name = this.model.cacheSlots[i]?.name as string;
      const part = rowsOf(tensor, firstRow, rows);
      const present = presentName(name);
      const names = [name, present, ...Array.from({ length: between }, (_, k) => betweenName(present, k))];
      return names.map(own => [own, part] as const);
    });
    return Object.fromEntries(pairs);
  }

  [Symbol.dispose](): void {
    this.ahead?.[Symbol.dispose]();
    this.#normalizer[Symbol.dispose]();
    disposeAll(this.#programs);
  }
}

/** Compiled graphs over the same weights. */
interface Programs {
  readonly main: Program;
  /** For several new positions in each of several rows. */
  readonly several?: Program;
}

function disposeAll({ main, several }: Programs): void {
  main[Symbol.dispose]();
  several?.[Symbol.dispose]();
}

/** What decoders of a model are made of. */
interface Origin {
  readonly runtime: Runtime;
  readonly weights: ParameterStore | ReadonlyMap<string, Tensor>;
  readonly prepacked: boolean;
  readonly options: CompileOptions;
}

function sourceOf(weights: Origin['weights'], prepacked: boolean): ParameterSource {
  if (weights instanceof Map) return name => tensorNamed(weights, name);
  const store = weights as ParameterStore;
  return prepacked ? name => store.tensor(name) : 'inputs';
}

const boundWeights = ({ graph, model }: ReturnType<Make>, store: ParameterStore): Record<string, Tensor> =>
  Object.fromEntries(weightInputs(graph, model).map(({ name }) => [name, store.tensor(name)]));

const widthOf = (values: readonly ValueInfo[], name: string): number => {
  const width = values.find(value => value.name === name)?.shape?.[2];
  return typeof width === 'number' ? width : 0;
};

/** Hidden states of new positions, where the program has a value of that name. */
function states(
  values: readonly ValueInfo[],
  name: string,
  rows: number,
  length: number,
): Record<string, Tensor> {
  const width = widthOf(values, name);
  if (width === 0) return {};
  return { [name]: float32([rows, length, width], new Float32Array(rows * length * width)) };
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
