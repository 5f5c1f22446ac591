/**
 * Parameters: named by the scope in which a layer is traced, held in one flat array.
 *
 * 1. Names are Hugging Face's (`model.layers.0.self_attn.q_proj.weight`): the scope path and the layer's own name.
 * 2. While a graph is traced a parameter is a graph input (training, reinforcement learning: it changes) or an
 *    initializer (export, serving: it does not, and the runtime may prepack it). The model code is the same.
 * 3. All values live in one Float32Array, matrices first (they decay), then vectors, each in order of declaration:
 *    optimizers walk it in cache-sized chunks and neighbours (q, k, v) can be read as one matrix without a copy.
 * 4. What a model reads but does not train (the base under an adapter) is frozen: bound like a parameter while parameters
 *    are inputs, without a gradient and outside the flat array.
 */
import type { Shape, Tensor } from '../graph/ir.ts';
import { float32, sizeOf } from '../graph/ir.ts';
import type { Builder, Value } from '../ops/builder.ts';
import { assert } from '../util/errors.ts';
import { decodeFloats, isSmallFloat } from '../util/float16.ts';
import type { Random } from '../util/random.ts';

export type Init =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'constant'; readonly value: number };

export interface ParameterSpec {
  readonly name: string;
  readonly dims: readonly number[];
  readonly init: Init;
}

export const normal = (std: number): Init => ({ kind: 'normal', std });
export const ones: Init = { kind: 'constant', value: 1 };
export const zeroInit: Init = { kind: 'constant', value: 0 };

/** How a traced parameter becomes a value: an input, or an initializer with the tensor found under its name. */
export type ParameterSource = 'inputs' | ((name: string) => Tensor);

/** What stands for x Wᵀ in a linear layer whose weight is no plain parameter: x [..., in] → [..., outFeatures]. */
export type LinearProduct = (scope: Scope, x: Value, outFeatures: number, init: Init) => Value;

/** The parameters that a trace has asked for so far. */
export class ParameterTrace {
  readonly builder: Builder;
  readonly specs: ParameterSpec[] = [];
  /** The product of linear layers; x Wᵀ with the parameter `weight` when absent. */
  readonly product?: LinearProduct;
  readonly #source: ParameterSource;
  readonly #values = new Map<string, Value>();
  readonly #frozen = new Set<string>();

  constructor(builder: Builder, source: ParameterSource = 'inputs', product?: LinearProduct) {
    this.builder = builder;
    this.#source = source;
    this.product = product;
  }

  /** Whether parameters are constants of the graph. */
  get fixed(): boolean {
    return this.#source !== 'inputs';
  }

  scope(prefix = ''): Scope {
    return new Scope(this, prefix);
  }

  /** The value of parameter `name`; asking twice gives the same value (tied weights). */
  get(name: string, dims: readonly number[], init: Init): Value {
    const known = this.#values.get(name);
    if (known) return known;
    this.specs.push({ name, dims, init });
    return this.#remember(name, dims, this.#source === 'inputs' ? undefined : this.#source(name));
  }

  /** Several parameters that follow each other, stacked along their first axis and read as one matrix, or one vector without `columns`. */
  stacked(names: readonly string[], rows: readonly number[], columns: number | undefined, init: Init): Value {
    const key = names.join('+');
    const known = this.#values.get(key);
    if (known) return known;
    const shape = (n: number) => (columns === undefined ? [n] : [n, columns]);
    names.forEach((name, i) => {
      this.specs.push({ name, dims: shape(rows[i] as number), init });
    });
    const dims = shape(rows.reduce((a, b) => a + b, 0));
    const source = this.#source;
    return this.#remember(
      key,
      dims,
      source === 'inputs'
        ? undefined
        : stack(
            names.map(n => source(n)),
            dims,
          ),
    );
  }

  /** A tensor that does not train: an input or an initializer, as parameters are. */
  frozen(name: string, tensor: Tensor): Value {
    const known = this.#values.get(name);
    if (known) return known;
    this.#frozen.add(name);
    const value =
      this.#source === 'inputs'
        ? this.builder.input(name, tensor.dtype, tensor.dims)
        : this.builder.initializer(name, tensor);
    this.#values.set(name, value);
    return value;
  }

  /** Values of all parameters and frozen tensors in order of declaration. */
  values(): Value[] {
    return [...this.#values.values()];
  }

  /** Values of what trains. */
  trainable(): Value[] {
    return [...this.#values].filter(([name]) => !this.#frozen.has(name)).map(([, value]) => value);
  }

  #remember(name: string, dims: readonly number[], tensor: Tensor | undefined): Value {
    if (tensor) {
      assert(
        sizeOf(tensor.dims) === sizeOf(dims),
        `parameter "${name}" has shape [${tensor.dims}] but the model needs [${dims}]`,
      );
    }
    const value = tensor
      ? this.builder.initializer(name, { ...tensor, dims })
      : this.builder.input(name, 'float32', dims as Shape);
    this.#values.set(name, value);
    return value;
  }
}

/** Matrices under each other; without a copy where they follow each other in memory. */
function stack(tensors: readonly Tensor[], dims: readonly number[]): Tensor {
  const parts = tensors.map(t => t.data as Float32Array);
  const [first] = parts as [Float32Array];
  const adjacent = parts.every((part, i) => i === 0 || follows(parts[i - 1] as Float32Array, part));
  if (adjacent) return float32(dims, new Float32Array(first.buffer, first.byteOffset, sizeOf(dims)));
  const data = new Float32Array(sizeOf(dims));
  let offset = 0;
  for (const tensor of tensors) {
    data.set(tensor.data as Float32Array, offset);
    offset += tensor.data.length;
  }
  return float32(dims, data);
}

const follows = (before: Float32Array, after: Float32Array): boolean =>
  before.buffer === after.buffer && before.byteOffset + before.byteLength === after.byteOffset;

/** A place in the model's name tree. Layers take a scope and ask it for their parameters. */
export class Scope {
  readonly trace: ParameterTrace;
  readonly prefix: string;

  constructor(trace: ParameterTrace, prefix: string) {
    this.trace = trace;
    this.prefix = prefix;
  }

  get builder(): Builder {
    return this.trace.builder;
  }

  child(name: string): Scope {
    return new Scope(this.trace, this.#path(name));
  }

  parameter(name: string, dims: readonly number[], init: Init): Value {
    return this.trace.get(this.#path(name), dims, init);
  }

  stacked(names: readonly string[], rows: readonly number[], columns: number | undefined, init: Init): Value {
    return this.trace.stacked(
      names.map(n => this.#path(n)),
      rows,
      columns,
      init,
    );
  }

  /** Runs `body` with node names under `name/`, and a child scope for its parameters. */
  within<T>(name: string, body: (scope: Scope) => T): T {
    return this.builder.scope(name, () => body(this.child(name)));
  }

  #path(name: string): string {
    return this.prefix === '' ? name : `${this.prefix}.${name}`;
  }
}

const ALIGN = 16; // floats: a cache line

/** Whether matrices of these numbers of rows, declared one after another, lie side by side without padding. */
export const canStack = (rows: readonly number[], columns: number): boolean =>
  rows.slice(0, -1).every(n => (n * columns) % ALIGN === 0);

/** The values of a model's parameters in one flat array, with a named view for each. */
export class ParameterStore {
  readonly specs: readonly ParameterSpec[];
  readonly flat: Float32Array;
  readonly #offsets = new Map<string, number>();

  /** Where the vectors begin in `flat`: everything before is matrices. */
  readonly matrixEnd: number;
  readonly #frozen: ReadonlyMap<string, Tensor>;

  /** @param frozen what the model reads besides its parameters (see `CausalModel.frozen`) */
  constructor(specs: readonly ParameterSpec[], frozen: ReadonlyMap<string, Tensor> = new Map()) {
    this.specs = specs;
    this.#frozen = frozen;
    const isMatrix = (spec: ParameterSpec) => spec.dims.length > 1;
    let offset = 0;
    const place = (spec: ParameterSpec) => {
      this.#offsets.set(spec.name, offset);
      offset += Math.ceil(sizeOf(spec.dims) / ALIGN) * ALIGN;
    };
    specs.filter(isMatrix).forEach(place);
    this.matrixEnd = offset;
    specs.filter(spec => !isMatrix(spec)).forEach(place);
    this.flat = new Float32Array(offset);
  }

  /** Number of parameters (without alignment padding). */
  get count(): number {
    return this.specs.reduce((n, spec) => n + sizeOf(spec.dims), 0);
  }

  /** Draws initial values; each parameter has a stream of its own, so values do not depend on the order. */
  initialize(random: Random): this {
    for (const spec of this.specs) fill(this.slice(this.flat, spec), spec.init, random.fork(spec.name));
    return this;
  }

  has(name: string): boolean {
    return this.#offsets.has(name);
  }

  /** The part of `array` (laid out as this store) that belongs to `spec`. */
  slice(array: Float32Array, spec: ParameterSpec): Float32Array {
    const offset = this.#offsets.get(spec.name) as number;
    return array.subarray(offset, offset + sizeOf(spec.dims));
  }

  /**
   * A tensor over the values of an input as `ParameterTrace` names it: one parameter, `a+b+c` for stacked ones, or a
   * frozen tensor.
   * `array` is any array laid out as this store (gradients, moments); by default the values.
   */
  tensor(name: string, array: Float32Array = this.flat): Tensor {
    const frozen = this.#frozen.get(name);
    if (frozen) return frozen;
    const specs = name.split('+').map(part => {
      const spec = this.specs.find(s => s.name === part);
      assert(spec, `parameter "${part}" is not in this model`);
      return spec;
    });
    const first = specs[0] as ParameterSpec;
    if (specs.length === 1) return float32(first.dims, this.slice(array, first));
    const start = this.#offsets.get(first.name) as number;
    const size = specs.reduce((n, s) => n + sizeOf(s.dims), 0);
    const last = specs[specs.length - 1] as ParameterSpec;
    const end = (this.#offsets.get(last.name) as number) + sizeOf(last.dims);
    assert(
      end - start === size,
      `parameters ${name} do not follow each other in memory; their sizes must be multiples of ${ALIGN}`,
    );
    const rows = specs.reduce((n, s) => n + (s.dims[0] as number), 0);
    return float32([rows, ...first.dims.slice(1)], array.subarray(start, end));
  }

  /** Named tensors in order (views, not copies). */
  tensors(array: Float32Array = this.flat): Map<string, Tensor> {
    return new Map(this.specs.map(spec => [spec.name, float32(spec.dims, this.slice(array, spec))]));
  }

  /** Copies values in by name. Throws when one is missing or has another shape. */
  load(tensors: ReadonlyMap<string, Tensor>, origin: string): this {
    for (const spec of this.specs) {
      const tensor = tensors.get(spec.name);
      assert(tensor, `${origin}: tensor "${spec.name}" is missing; the file does not belong to this model`);
      assert(
        tensor.dims.join() === spec.dims.join(),
        `${origin}: tensor "${spec.name}" has shape [${tensor.dims}] but the model needs [${spec.dims}]`,
      );
      this.slice(this.flat, spec).set(floatsOf(tensor, `${origin}: tensor "${spec.name}"`));
    }
    return this;
  }
}

/** Float values of any width that weights are stored in. */
function floatsOf({ dtype, data }: Tensor, what: string): ArrayLike<number> {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  assert(isSmallFloat(dtype), `${what} is ${dtype}; weights must be floats`);
  return decodeFloats(data as Uint16Array, dtype); // small floats are stored as their bits
}

function fill(data: Float32Array, init: Init, random: Random): void {
  switch (init.kind) {
    case 'constant':
      data.fill(init.value);
      return;
    case 'normal':
      for (let i = 0; i < data.length; i++) data[i] = init.std * random.normal();
      return;
    case 'uniform':
      for (let i = 0; i < data.length; i++) data[i] = init.bound * (2 * random.uniform() - 1);
  }
}
