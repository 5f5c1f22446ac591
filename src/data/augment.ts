/**
 * Examples that are changed a little each time they are read, so that a model does not learn them by heart.
 *
 * 1. Images are planes [C, H, W], features [T, F] (time, frequency), flat and row-major. Every change returns a new array and draws from the
 *    stream that it is given alone.
 * 2. Crop and flip as in ResNet's CIFAR recipe (He et al. 2016); cutout: DeVries & Taylor 2017; mixup: Zhang et al. 2018;
 *    time and frequency masks: SpecAugment (Park et al. 2019).
 */
import { float32, type Tensor } from '../graph/ir.ts';
import type { Random } from '../util/random.ts';

export type Augment = (values: Float32Array, dims: readonly number[], random: Random) => Float32Array;

/** Each row of a float32 tensor [N, …] changed, from a stream of its own. */
export function augmentRows({ dims, data }: Tensor, augment: Augment, random: Random): Tensor {
  const [rows = 0, ...each] = dims;
  const size = data.length / rows;
  const changed = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) {
    const row = (data as Float32Array).subarray(i * size, (i + 1) * size);
    changed.set(augment(row, each, random.fork(i)), i * size);
  }
  return float32(dims, changed);
}

/** All of them, one after another. */
export const inTurn =
  (...steps: readonly Augment[]): Augment =>
  (values, dims, random) =>
    steps.reduce((current, step, i) => step(current, dims, random.fork(i)), values);

/** Each element from (y − dy, x − dx); `fill` where that lies outside. */
function shifted(
  values: Float32Array,
  [c, h, w]: readonly number[],
  dy: number,
  dx: number,
  fill: number,
): Float32Array {
  const [channels, height, width] = [c ?? 1, h ?? 1, w ?? 1];
  const out = new Float32Array(values.length).fill(fill);
  const [from, to] = [Math.max(0, dx), Math.min(width, width + dx)];
  for (let plane = 0; plane < channels; plane++) {
    for (let y = Math.max(0, dy); y < Math.min(height, height + dy); y++) {
      const [target, source] = [(plane * height + y) * width, (plane * height + y - dy) * width];
      out.set(values.subarray(source + from - dx, source + to - dx), target + from);
    }
  }
  return out;
}

/** A window of the image's size out of the image with `padding` elements of `fill` around it. */
export const crop =
  (padding: number, fill = 0): Augment =>
  (values, dims, random) =>
    shifted(values, dims, random.between(-padding, padding), random.between(-padding, padding), fill);

/** Left and right exchanged. */
export const flip =
  (probability = 0.5): Augment =>
  (values, dims, random) => {
    if (random.uniform() >= probability) return values.slice();
    const width = dims.at(-1) as number;
    return values.map((_, i) => values[i - (i % width) + (width - 1 - (i % width))] as number);
  };

export interface JitterOptions {
  /** Largest relative change of all values. */
  readonly brightness?: number;
  /** Largest relative change of the distance from the image's mean. */
  readonly contrast?: number;
  /** Largest relative change of the distance from grey: images of three channels. */
  readonly saturation?: number;
}

/** Brighter or darker, stronger or weaker, more or less colourful; values are of any scale, 0 is black. */
export const colorJitter =
  ({ brightness = 0.2, contrast = 0.2, saturation = 0.2 }: JitterOptions = {}): Augment =>
  (values, dims, random) => {
    const factor = (most: number) => 1 + most * (2 * random.uniform() - 1);
    const [b, c, s] = [factor(brightness), factor(contrast), factor(saturation)];
    const lit = values.map(v => v * b);
    const mean = lit.reduce((sum, v) => sum + v, 0) / lit.length;
    const strong = lit.map(v => mean + c * (v - mean));
    return dims[0] === 3 ? saturated(strong, s) : strong;
  };

/** Distance of each channel from grey (ITU-R BT.601) times `factor`. */
function saturated(values: Float32Array, factor: number): Float32Array {
  const plane = values.length / 3;
  return values.map((v, i) => {
    const p = i % plane;
    const at = (channel: number) => values[channel * plane + p] as number;
    const grey = 0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2);
    return grey + factor * (v - grey);
  });
}

/** A square of `size` with `fill`, its centre anywhere in the image. */
export const cutout =
  (size: number, fill = 0): Augment =>
  (values, [, h, w], random) => {
    const [height, width] = [h as number, w as number];
    const [top, left] = [random.int(height) - Math.floor(size / 2), random.int(width) - Math.floor(size / 2)];
    return values.map((v, i) => {
      const [y, x] = [Math.floor(i / width) % height, i % width];
      return y >= top && y < top + size && x >= left && x < left + size ? fill : v;
    });
  };

export interface MaskOptions {
  readonly timeMasks?: number;
  /** Longest mask, in frames. */
  readonly timeWidth?: number;
  readonly frequencyMasks?: number;
  /** Widest mask, in bins. */
  readonly frequencyWidth?: number;
  readonly fill?: number;
}

/** Runs of frames and of bins with `fill` (SpecAugment without warping). Dims end in [T, F], axes of length 1 aside. */
export const specAugment =
  ({
    timeMasks = 1,
    timeWidth = 8,
    frequencyMasks = 1,
    frequencyWidth = 2,
    fill = 0,
  }: MaskOptions = {}): Augment =>
  (values, dims, random) => {
    const [frames, bins] = planeOf(dims);
    const run = (length: number, most: number) => {
      const width = random.int(Math.min(most, length) + 1);
      const start = random.int(length - width + 1);
      return (at: number) => at >= start && at < start + width;
    };
    const times = Array.from({ length: timeMasks }, () => run(frames, timeWidth));
    const frequencies = Array.from({ length: frequencyMasks }, () => run(bins, frequencyWidth));
    return values.map((v, i) => {
      const [t, f] = [Math.floor(i / bins) % frames, i % bins];
      return times.some(hit => hit(t)) || frequencies.some(hit => hit(f)) ? fill : v;
    });
  };

/** Up to `most` frames earlier or later; `fill` where nothing was. */
export const timeShift =
  (most: number, fill = 0): Augment =>
  (values, dims, random) =>
    shifted(values, [1, ...planeOf(dims)], random.between(-most, most), 0, fill);

/** The last two axes that are longer than 1. */
function planeOf(dims: readonly number[]): [number, number] {
  const long = dims.filter(d => d > 1);
  return [long.at(-2) ?? 1, long.at(-1) ?? 1];
}

/** What a person may ask for by name, with the usual strengths of small images and short sounds. */
export const AUGMENTS = {
  crop: crop(4),
  flip: flip(),
  jitter: colorJitter(),
  cutout: cutout(8),
  'spec-augment': specAugment(),
  'time-shift': timeShift(4),
} as const satisfies Readonly<Record<string, Augment>>;

export type AugmentName = keyof typeof AUGMENTS;
export const AUGMENT_NAMES = Object.keys(AUGMENTS) as AugmentName[];

/** The named changes in turn. */
export const augmentNamed = (names: readonly AugmentName[]): Augment =>
  inTurn(...names.map(name => AUGMENTS[name]));

/** λ of Beta(α, α), α at most 1 (Jöhnk 1964). */
export function mixingWeight(alpha: number, random: Random): number {
  for (;;) {
    const [x, y] = [random.uniform() ** (1 / alpha), random.uniform() ** (1 / alpha)];
    if (x + y > 0 && x + y <= 1) return x / (x + y);
  }
}

/** λ of each row and 1 − λ of another one: rows [N, …] and their label distributions [N, classes], changed in place. */
export function mixup(
  rows: Float32Array,
  labels: Float32Array,
  count: number,
  alpha: number,
  random: Random,
): void {
  const weight = mixingWeight(alpha, random);
  const order = random.shuffled([...Array(count).keys()]);
  for (const array of [rows, labels]) {
    const [width, before] = [array.length / count, array.slice()];
    for (let i = 0; i < array.length; i++) {
      const other = (order[Math.floor(i / width)] as number) * width + (i % width);
      array[i] = weight * (before[i] as number) + (1 - weight) * (before[other] as number);
    }
  }
}
