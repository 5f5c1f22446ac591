/** Fourier transforms, windows and mel filters. */
import { sizeOf } from '../../../graph/ir.ts';
import { outputDType } from '../../../ops/shape/signal.ts';
import type { Kernel, KernelFamily } from '../kernel.ts';
import { axisOf, lanesOf, range } from '../layout.ts';
import { doubles, scalar, store } from '../tensor.ts';

/** X[k] = Σ x[n] e^(∓2πi nk/N), divided by N in the inverse direction. Signals are pairs (re, im). */
function transform(signal: readonly [number, number][], inverse: boolean): [number, number][] {
  const N = signal.length;
  return range(N).map(k => {
    let [re, im] = [0, 0];
    signal.forEach(([a, b], n) => {
      const angle = ((inverse ? 2 : -2) * Math.PI * ((n * k) % N)) / N;
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      re += a * cos - b * sin;
      im += a * sin + b * cos;
    });
    return inverse ? [re / N, im / N] : [re, im];
  });
}

/** Cut or filled with zeros to `length`. */
const fitted = (signal: readonly [number, number][], length: number): [number, number][] =>
  range(length).map(i => signal[i] ?? [0, 0]);

/** All frequencies from the first half of a real signal's. */
const mirrored = (half: readonly [number, number][], length: number): [number, number][] =>
  range(length).map(k => {
    const [re, im] = half[k] ?? half[length - k] ?? [0, 0];
    return k < half.length ? [re, im] : [re, -im];
  });

const dft: Kernel = c => {
  const x = c.input(0);
  const rank = x.dims.length;
  const axis = axisOf(c, c.inputs[2] ? scalar(c.inputs[2]) : -2, rank);
  const onesided = c.attributes.int('onesided', 0) !== 0;
  const inverse = c.attributes.int('inverse', 0) !== 0;
  const size = x.dims[axis];
  const length = c.inputs[1] ? scalar(c.inputs[1]) : onesided && inverse ? 2 * (size - 1) : size;
  const bins = onesided && !inverse ? Math.floor(length / 2) + 1 : length;
  const parts = onesided && inverse ? 1 : 2;
  const dims = x.dims.map((n, i) => (i === axis ? bins : i === rank - 1 ? parts : n));
  const [from, to] = [lanesOf(x.dims, [axis, rank - 1]), lanesOf(dims, [axis, rank - 1])];
  const [values, out] = [doubles(x), new Float64Array(sizeOf(dims))];
  from.bases.forEach((base, lane) => {
    const signal = pairs(values, base, from.steps, x.dims[rank - 1]);
    const whole = onesided && inverse ? mirrored(signal, length) : fitted(signal, length);
    transform(whole, inverse)
      .slice(0, bins)
      .flatMap(pair => pair.slice(0, parts))
      .forEach((v, i) => {
        out[to.bases[lane] + to.steps[i]] = v;
      });
  });
  return [store(x.dtype, dims, out)];
};

/** The complex numbers of a lane whose innermost axis holds one part or two. */
function pairs(values: Float64Array, base: number, steps: Int32Array, parts: number): [number, number][] {
  return range(steps.length / parts).map(i => [
    values[base + steps[i * parts]],
    parts === 2 ? values[base + steps[i * parts + 1]] : 0,
  ]);
}

/** Transforms of windowed frames, each `step` after the last. */
const stft: Kernel = c => {
  const x = c.input(0);
  const step = scalar(c.input(1));
  const window = c.inputs[2] && doubles(c.inputs[2]);
  const width = c.inputs[3]
    ? scalar(c.inputs[3])
    : (window?.length ?? c.fail('neither window nor frame_length is given'));
  const [samples, length, parts = 1] = x.dims;
  const frames = Math.floor((length - width) / step) + 1;
  const bins = c.attributes.int('onesided', 1) !== 0 ? Math.floor(width / 2) + 1 : width;
  const values = doubles(x);
  const out: number[] = [];
  for (let n = 0; n < samples; n++) {
    for (let f = 0; f < frames; f++) {
      const frame = pairs(
        values,
        (n * length + f * step) * parts,
        Int32Array.from(range(width * parts)),
        parts,
      );
      const shaped = frame.map(([re, im], i): [number, number] => [
        re * (window?.[i] ?? 1),
        im * (window?.[i] ?? 1),
      ]);
      out.push(...transform(shaped, false).slice(0, bins).flat());
    }
  }
  return [store(x.dtype, [samples, frames, bins, 2], Float64Array.from(out))];
};

/** Σ_k (−1)^k a_k cos(2πkn/N) with N = size (periodic) or size − 1. */
const cosineWindow =
  (...terms: readonly number[]): Kernel =>
  c => {
    const size = scalar(c.input(0));
    const N = c.attributes.int('periodic', 1) !== 0 ? size : size - 1;
    const value = (n: number) =>
      terms.reduce((s, a, k) => s + (k % 2 === 0 ? a : -a) * Math.cos((2 * Math.PI * k * n) / N), 0);
    return [store(outputDType(c), [size], Float64Array.from(range(size), value))];
  };

const melOf = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700);
const hertzOf = (mel: number): number => 700 * (10 ** (mel / 2595) - 1);

/** Triangles between neighbouring edges, which lie evenly in mel and are cut to whole frequency bins. */
const melWeights: Kernel = c => {
  const [bins, length, rate, low, high] = range(5).map(i => scalar(c.input(i)));
  const rows = Math.floor(length / 2) + 1;
  const edges = melEdges(bins, length, rate, [low, high]);
  const values = new Float64Array(rows * bins);
  for (let b = 0; b < bins; b++) {
    const [start, peak, end] = edges.slice(b, b + 3);
    for (let i = start; i < peak; i++) values[i * bins + b] = (i - start) / (peak - start);
    values[peak * bins + b] = 1;
    for (let i = peak; i < end; i++) values[i * bins + b] = (end - i) / (end - peak);
  }
  return [store(outputDType(c), [rows, bins], values)];
};

function melEdges(
  bins: number,
  length: number,
  rate: number,
  [low, high]: readonly [number, number],
): number[] {
  const step = (melOf(high) - melOf(low)) / (bins + 2);
  return range(bins + 2).map(i => Math.floor(((length + 1) * hertzOf(melOf(low) + i * step)) / rate));
}

export const SIGNAL = {
  DFT: dft,
  STFT: stft,
  HannWindow: cosineWindow(0.5, 0.5),
  HammingWindow: cosineWindow(25 / 46, 21 / 46),
  BlackmanWindow: cosineWindow(0.42, 0.5, 0.08),
  MelWeightMatrix: melWeights,
} as const satisfies KernelFamily;
