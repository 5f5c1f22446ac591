/**
 * Stored samples in the form of a model's inputs: dims, layout, values.
 *
 * 1. A value v becomes ((v - zeroPoint) · scale), of 8-bit images then low + v/255 · (high - low), then (v - mean) / std of its
 *    channel. Images default to the range [0, 1]; other data stay as they are.
 * 2. Dims must hold the same elements; images may change between planes and pixels. What does not fit is an error.
 */
import type { DType } from '../../graph/dtype.ts';
import { type Dim, sizeOf, type Tensor, type ValueInfo, zeros } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { toFloat16 } from '../../util/float16.ts';
import type { Examples } from './examples.ts';
import type { Field, SampleLayout, Samples } from './samples.ts';

export interface Preprocess {
  /** Of a model's image input; found by its channels when absent. */
  readonly layout?: 'NCHW' | 'NHWC';
  /** What 0 and 255 of 8-bit images become. */
  readonly range?: readonly [low: number, high: number];
  /** Per channel, or one for all; in the units of `range`. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  /** Of quantized records. */
  readonly scale?: number;
  readonly zeroPoint?: number;
}

/** Examples for a model with `inputs`. Throws a GaslawError naming the input that the samples do not fit. */
export function fitExamples(
  samples: Samples,
  inputs: readonly ValueInfo[],
  preprocess: Preprocess = {},
): Examples {
  const makers = inputs.map(input => [input.name, maker(samples, input, inputs, preprocess)] as const);
  const { name, count, labels, classes } = samples;
  return {
    name,
    count,
    ...(labels && { labels }),
    ...(classes && { classes }),
    batch: indices => Object.fromEntries(makers.map(([input, make]) => [input, make(indices)])),
  };
}

type Maker = (indices: readonly number[]) => Tensor;

function maker(samples: Samples, input: ValueInfo, inputs: readonly ValueInfo[], p: Preprocess): Maker {
  const field = fieldFor(samples, input, inputs);
  const { dims, layout } = target(samples.name, field, input, p);
  const places = orderOf(field, layout);
  const value = valueRule(samples.name, field, p);
  const size = sizeOf(field.dims);
  const convert = converter(samples.name, input);
  return indices => {
    const out = zeros(input.dtype, [indices.length, ...dims]);
    const data = out.data as { [i: number]: number | bigint };
    indices.forEach((index, row) => {
      checkIndex(samples, index);
      for (let i = 0; i < size; i++) {
        const from = places ? places[i] : i;
        data[row * size + i] = convert(value(Number(field.data[index * size + from]), from));
      }
    });
    return out;
  };
}

function checkIndex({ name, count }: Samples, index: number): void {
  if (!(index >= 0 && index < count))
    throw new GaslawError(`${name}: there is no example ${index}; it has ${count}`);
}

/** The field with the input's name, or the only one for the only input. */
function fieldFor(samples: Samples, input: ValueInfo, inputs: readonly ValueInfo[]): Field {
  const names = Object.keys(samples.fields);
  const named = samples.fields[input.name];
  if (named) return named;
  if (names.length === 1 && inputs.length === 1) return samples.fields[names[0]];
  throw new GaslawError(
    `${samples.name}: nothing in it is named "${input.name}", which the model reads; it holds ${names.join(', ') || 'nothing'}`,
  );
}

interface Target {
  readonly dims: readonly number[];
  readonly layout?: SampleLayout;
}

/** Dims of one sample as the model wants them: unknown ones are the sample's own. */
function target(name: string, field: Field, input: ValueInfo, { layout }: Preprocess): Target {
  const wanted = input.shape?.slice(1) ?? field.dims;
  const own = field.layout && field.dims.length === 3 ? field.layout : undefined;
  if (own && wanted.length === 3) {
    const planes = wanted[0] === channelsOf(field);
    const first = planes ? 'CHW' : own;
    const choices: readonly SampleLayout[] = layout
      ? [layout.slice(1) as SampleLayout]
      : [first, flipped(first)];
    for (const choice of choices) {
      const dims = choice === own ? field.dims : transposedDims(field);
      if (matches(dims, wanted)) return { dims, layout: choice };
    }
  } else if (matches(field.dims, wanted)) return { dims: field.dims };
  const size = sizeOf(field.dims);
  const dims = wanted.every(d => typeof d === 'number') ? (wanted as readonly number[]) : undefined;
  if (dims && sizeOf(dims) === size && !(own && dims.length === 3)) return { dims };
  throw new GaslawError(
    `${name}: an example is ${shapeText(field.dims)}, but the model's input "${input.name}" takes ${shapeText(wanted)}; resize or reshape the data, or give the layout`,
  );
}

const shapeText = (dims: readonly Dim[]): string => `[${dims.join(', ')}]`;

const flipped = (layout: SampleLayout): SampleLayout => (layout === 'CHW' ? 'HWC' : 'CHW');

const transposedDims = ({ dims: [a, b, c], layout }: Field): readonly number[] =>
  layout === 'CHW' ? [b, c, a] : [c, a, b];

const matches = (dims: readonly number[], wanted: readonly Dim[]): boolean =>
  dims.length === wanted.length && wanted.every((d, i) => typeof d === 'string' || d === dims[i]);

/** Where element i of the target stands in the sample, when the layouts differ. */
function orderOf(field: Field, layout: SampleLayout | undefined): Int32Array | undefined {
  if (!layout || layout === field.layout) return undefined;
  const planes = field.layout === 'CHW';
  const [channels, pixels] = planes
    ? [field.dims[0], field.dims[1] * field.dims[2]]
    : [field.dims[2], field.dims[0] * field.dims[1]];
  return Int32Array.from({ length: channels * pixels }, (_, i) =>
    planes
      ? (i % channels) * pixels + Math.floor(i / channels)
      : (i % pixels) * channels + Math.floor(i / pixels),
  );
}

/** What a stored value at a place of the sample becomes. */
function valueRule(name: string, field: Field, p: Preprocess): (value: number, at: number) => number {
  const [scale, zero] = [p.scale ?? 1, p.zeroPoint ?? 0];
  const image = field.layout !== undefined && field.data instanceof Uint8Array;
  const [low, high] = p.range ?? (image && p.scale === undefined ? [0, 1] : [0, 255]);
  const [mean, std] = [
    perChannel(name, field, 'mean', p.mean ?? [0]),
    perChannel(name, field, 'std', p.std ?? [1]),
  ];
  const channel = channelRule(field);
  const step = (high - low) / 255;
  return (value, at) => {
    const c = channel(at);
    return (low + (value - zero) * scale * step - mean[c]) / std[c];
  };
}

function perChannel(name: string, field: Field, what: string, values: readonly number[]): readonly number[] {
  const channels = channelsOf(field);
  if (values.length === channels) return values;
  if (values.length === 1) return new Array<number>(channels).fill(values[0]);
  throw new GaslawError(`${name}: ${what} has ${values.length} values for ${channels} channels`);
}

const channelsOf = ({ dims, layout }: Field): number =>
  layout === undefined ? 1 : ((layout === 'CHW' ? dims[0] : dims[dims.length - 1]) ?? 1);

function channelRule(field: Field): (at: number) => number {
  if (field.layout === undefined) return () => 0;
  const channels = channelsOf(field);
  const pixels = sizeOf(field.dims) / channels;
  return field.layout === 'CHW' ? at => Math.floor(at / pixels) : at => at % channels;
}

const CONVERT: Partial<Record<DType, (value: number) => number | bigint>> = {
  float32: v => v,
  float64: v => v,
  float16: toFloat16,
  int8: Math.round,
  uint8: Math.round,
  int16: Math.round,
  uint16: Math.round,
  int32: Math.round,
  int64: v => BigInt(Math.round(v)),
  bool: v => (v === 0 ? 0 : 1),
};

function converter(name: string, input: ValueInfo): (value: number) => number | bigint {
  const convert = CONVERT[input.dtype];
  if (convert) return convert;
  throw new GaslawError(
    `${name}: the model's input "${input.name}" is ${input.dtype}, which examples cannot give`,
  );
}
