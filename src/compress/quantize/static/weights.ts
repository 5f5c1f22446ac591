/**
 * A constant weight as integers, with one scale for all or one a channel.
 *
 * 1. `minmax` spans each channel; `mse` narrows the range to where the square error of rounding and cutting is least. The
 *    error may be weighed by what each input sees (E[x²] along the reduction axis).
 * 2. Signed codes keep clear of the lowest one at 8 bits (integer kernels assume it) and use it at 4.
 */
import { sizeOf, type Tensor } from '../../../graph/ir.ts';
import { store } from '../../../runtime/reference/tensor.ts';
import { type Affine, affineOf, codesOf, encode, type Range, rounded, type Scheme } from './affine.ts';

export const WEIGHT_METHODS = ['minmax', 'mse'] as const;
export type WeightMethod = (typeof WEIGHT_METHODS)[number];

export interface QuantizedTensor {
  readonly dims: readonly number[];
  readonly scheme: Scheme;
  /** Of the channels; absent with one scale for all. */
  readonly axis?: number;
  /** One for all, or one a channel. */
  readonly affine: readonly Affine[];
  /** In the order of the elements. */
  readonly codes: Float64Array;
}

export interface WeightOptions {
  readonly scheme: Scheme;
  readonly axis?: number;
  readonly method: WeightMethod;
  /** How much the square error of each element counts. */
  readonly importance?: Float32Array;
}

/** Scales by `method`, codes to nearest. */
export function quantizeTensor({ dims, data }: Tensor, options: WeightOptions): QuantizedTensor {
  const { axis, scheme } = options;
  const values = data as Float32Array;
  const channels = channelsOf(dims, axis);
  const affine = channels.map(at => {
    const picked = Float32Array.from(at, i => values[i] as number);
    const importance = options.importance && Float32Array.from(at, i => options.importance?.[i] as number);
    return FITS[options.method](picked, scheme, importance);
  });
  const codes = new Float64Array(values.length);
  channels.forEach((at, c) => {
    for (const i of at) codes[i] = encode(values[i] as number, affine[c] as Affine, codesOf(scheme));
  });
  return { dims, scheme, ...(axis !== undefined && { axis }), affine, codes };
}

/** The indices of the elements of each channel; all of them without an axis. */
export function channelsOf(dims: readonly number[], axis: number | undefined): Uint32Array[] {
  const count = sizeOf(dims);
  if (axis === undefined) return [Uint32Array.from({ length: count }, (_, i) => i)];
  const inner = sizeOf(dims.slice(axis + 1));
  const channels = dims[axis] as number;
  const each = count / channels;
  return Array.from({ length: channels }, (_, c) =>
    Uint32Array.from(
      { length: each },
      (_, i) => (Math.floor(i / inner) * channels + c) * inner + (i % inner),
    ),
  );
}

function spanOf(values: Float32Array): Range {
  let [low, high] = [0, 0];
  for (const w of values) {
    if (w < low) low = w;
    if (w > high) high = w;
  }
  return { low, high };
}

const STEPS = 80;
const NARROWEST = 0.2;

const FITS: Readonly<
  Record<WeightMethod, (values: Float32Array, scheme: Scheme, importance?: Float32Array) => Affine>
> = {
  minmax: (values, scheme) => affineOf(spanOf(values), scheme),
  mse: (values, scheme, importance) => {
    const { low, high } = spanOf(values);
    let best = affineOf({ low, high }, scheme);
    let least = errorOf(values, best, scheme, importance);
    for (let step = 1; step < STEPS; step++) {
      const share = 1 - ((1 - NARROWEST) * step) / STEPS;
      const affine = affineOf({ low: low * share, high: high * share }, scheme);
      const error = errorOf(values, affine, scheme, importance);
      if (error < least) [best, least] = [affine, error];
    }
    return best;
  },
};

function errorOf(values: Float32Array, affine: Affine, scheme: Scheme, importance?: Float32Array): number {
  const codes = codesOf(scheme);
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const e = (values[i] as number) - rounded(values[i] as number, affine, codes);
    sum += importance ? (importance[i] as number) * e * e : e * e;
  }
  return sum;
}

/** The reals that the integers stand for. */
export function dequantized({ dims, axis, affine, codes }: QuantizedTensor): Float32Array {
  const out = new Float32Array(codes.length);
  channelsOf(dims, axis).forEach((at, c) => {
    const { scale, zeroPoint } = affine[c] as Affine;
    for (const i of at) out[i] = ((codes[i] as number) - zeroPoint) * scale;
  });
  return out;
}

/** The initializers that DequantizeLinear reads. */
export function storedTensors(q: QuantizedTensor): { codes: Tensor; scale: Tensor; zeroPoint: Tensor } {
  const { dtype } = q.scheme;
  const dims = q.axis === undefined ? [] : [q.affine.length];
  return {
    codes: store(dtype, q.dims, q.codes),
    scale: store(
      'float32',
      dims,
      Float64Array.from(q.affine, a => a.scale),
    ),
    zeroPoint: store(
      dtype,
      dims,
      Float64Array.from(q.affine, a => a.zeroPoint),
    ),
  };
}
