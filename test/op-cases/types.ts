/**
 * What a case of an op is, and how to make inputs for it.
 *
 * 1. A case says shapes and domains; numbers are drawn from a stream named by op, case and input, so adding a case
 *    changes no other.
 * 2. `float` inputs take the dtype that the suite runs in: float64 for gradient checks, float32 for runtimes.
 * 3. Domains keep away from kinks: `apart` values differ from each other and from 0 by more than any step used.
 */
import { allocate, type DType, type TensorData } from '../../src/graph/dtype.ts';
import { type Graph, sizeOf, type Tensor } from '../../src/graph/ir.ts';
import { Builder, type Value } from '../../src/ops/builder.ts';
import { isNone, type None } from '../../src/ops/rule.ts';
import type { AttributesOf, OpType } from '../../src/ops/schema.ts';
import { hash32, Random } from '../../src/util/random.ts';

export interface CaseInput {
  readonly dtype: DType | 'float';
  readonly shape: readonly number[];
  readonly values: readonly number[] | ((random: Random, count: number) => number[]);
  /** Held in the graph instead of fed to it (axes, shapes, bounds). */
  readonly constant?: boolean;
}

export interface OpCase<K extends OpType = OpType> {
  /** What is special about it. */
  readonly name: string;
  readonly inputs: readonly (CaseInput | undefined)[];
  readonly attributes?: AttributesOf<K>;
  /** Outputs that the node names; 1 when absent. */
  readonly outputs?: number;
  /** Inputs whose gradients are compared with finite differences; every fed float input when absent. */
  readonly wrt?: readonly number[];
  /** Outputs that take part in the gradient check; output 0 when absent. */
  readonly through?: readonly number[];
  /** Axes of input 0 that may be symbols; every axis of every fed input when absent. */
  readonly free?: readonly number[];
  /** Why a suite leaves the case out. */
  readonly except?: Readonly<Partial<Record<'gradient' | 'native' | 'web', string>>>;
  /** Largest relative difference between runtimes in float32; 1e-5 when absent. */
  readonly tolerance?: number;
}

export type OpCases = { readonly [K in OpType]: readonly OpCase<K>[] | None };
export type CaseFamily = { readonly [K in OpType]?: readonly OpCase<K>[] | None };

type Options = Partial<Pick<CaseInput, 'constant'>>;

/** Uniform in [low, high). */
export const within = (
  low: number,
  high: number,
  shape: readonly number[],
  options: Options = {},
): CaseInput => ({
  dtype: 'float',
  shape,
  values: (random, count) => Array.from({ length: count }, () => low + (high - low) * random.uniform()),
  ...options,
});

/** Uniform in [−1.5, 1.5). */
export const x = (...shape: number[]): CaseInput => within(-1.5, 1.5, shape);
/** Uniform in [0.5, 2). */
export const positive = (...shape: number[]): CaseInput => within(0.5, 2, shape);

/** Distinct values around 0, at least 0.12 apart and 0.05 from 0, from integers and halves, in random order. */
export const apart = (...shape: number[]): CaseInput => ({
  dtype: 'float',
  shape,
  values: (random, count) => {
    const shift = 0.05 + 0.02 * random.uniform();
    const step = (i: number) => 0.27 * (i - Math.floor(count / 2)) + shift;
    return random.shuffled(Array.from({ length: count }, (_, i) => step(i)));
  },
});

/** Floats as listed. */
export const floats = (values: readonly number[], shape: readonly number[] = [values.length]): CaseInput => ({
  dtype: 'float',
  shape,
  values,
});

/** Values as listed, of a fixed dtype, fed when the graph runs. */
export const fed = (
  dtype: DType,
  values: readonly number[],
  shape: readonly number[] = [values.length],
): CaseInput => ({
  dtype,
  shape,
  values,
});

/** int64 values that the graph holds. */
export const held = (values: readonly number[], shape: readonly number[] = [values.length]): CaseInput => ({
  dtype: 'int64',
  shape,
  values,
  constant: true,
});
/** A scalar that the graph holds. */
export const scalar = (value: number, dtype: CaseInput['dtype'] = 'int64'): CaseInput => ({
  dtype,
  shape: [],
  values: [value],
  constant: true,
});

/** The tensor of an input, drawn from the stream of that name. */
export function tensorOf(input: CaseInput, float: DType, stream: string): Tensor {
  const dtype = input.dtype === 'float' ? float : input.dtype;
  const count = sizeOf(input.shape);
  const values =
    typeof input.values === 'function' ? input.values(new Random(hash32(stream)), count) : input.values;
  return { dtype, dims: input.shape, data: fill(allocate(dtype, count), values, dtype) };
}

function fill(data: TensorData, values: readonly number[], dtype: DType): TensorData {
  const packed = dtype === 'int4' || dtype === 'uint4';
  values.forEach((v, i) => {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(v);
    else if (packed) (data as Uint8Array)[i >> 1] |= (v & 15) << (4 * (i & 1));
    else (data as Float32Array)[i] = v;
  });
  return data;
}

export interface CaseGraph {
  readonly b: Builder;
  readonly graph: Graph;
  /** By position; undefined where left out. */
  readonly inputs: readonly (Value | undefined)[];
  /** Declared as graph outputs `y0`, `y1`, …. */
  readonly outputs: readonly Value[];
  readonly feeds: Readonly<Record<string, Tensor>>;
}

/** The one-node graph of a case with inputs `x0`, `x1`, …, and tensors to feed it. */
export function caseGraph<K extends OpType>(key: K, c: OpCase<K>, float: 'float32' | 'float64'): CaseGraph {
  const b = new Builder('case');
  const feeds: Record<string, Tensor> = {};
  const inputs = c.inputs.map((input, i) => {
    if (!input) return undefined;
    const tensor = tensorOf(input, float, `${key}/${c.name}/${i}`);
    if (input.constant) return b.initializer(`x${i}`, tensor);
    feeds[`x${i}`] = tensor;
    return b.input(`x${i}`, tensor.dtype, tensor.dims);
  });
  const attributes: AttributesOf<K> = c.attributes ?? {};
  const made = b.ops(key, inputs, attributes, c.outputs ?? 1);
  return { b, graph: b.graph, inputs, outputs: made.map((v, i) => b.output(v, `y${i}`)), feeds };
}

/** All cases of a table, with their op. */
export function* casesOf(table: OpCases): Generator<{ key: OpType; case: OpCase }> {
  for (const key of Object.keys(table) as OpType[]) {
    const cases = table[key];
    // The table ties attributes to their op; a walk over all ops treats them alike.
    if (!isNone(cases)) for (const c of cases as readonly OpCase[]) yield { key, case: c };
  }
}
