/**
 * Scaling channels without changing what a model computes: x / s where they are made, W s where they are read.
 */
import type { ParameterStore } from '../../../nn/parameters.ts';
import type { ActivationStatistics } from '../calibrate.ts';
import type { Coupling } from './couplings.ts';

/** What each matrix reads, by the matrix's parameter name. */
export type ParameterStatistics = ReadonlyMap<string, ActivationStatistics>;

/** A store and what its matrices read. */
export interface CalibratedStore {
  readonly store: ParameterStore;
  readonly statistics: ParameterStatistics;
}

/** Divides the coupling's channels by `scales` [C], in place. */
export function foldScales(store: ParameterStore, coupling: Coupling, scales: Float64Array): void {
  const { source, bias, offset, channels, readers, channelOf } = coupling;
  const values = (name: string) => store.tensor(name).data as Float32Array;
  for (const name of bias ? [source, bias] : [source]) {
    const w = values(name);
    const width = w.length / channels;
    for (let i = 0; i < w.length; i++)
      w[i] = ((w[i] as number) + offset) / (scales[Math.floor(i / width)] as number) - offset;
  }
  for (const name of readers) {
    const w = values(name);
    const columns = channelOf.length;
    for (let i = 0; i < w.length; i++)
      w[i] = (w[i] as number) * (scales[channelOf[i % columns] as number] as number);
  }
}

/** The statistics of columns after `foldScales`. */
export function foldedStatistics(
  { columns, gram, mean, largest }: ActivationStatistics,
  { channelOf }: Coupling,
  scales: Float64Array,
): ActivationStatistics {
  const s = Float64Array.from(channelOf, channel => scales[channel] as number);
  return {
    columns,
    gram: gram.map((v, at) => v / (s[Math.floor(at / columns)] as number) / (s[at % columns] as number)),
    mean: mean.map((v, i) => v / (s[i] as number)),
    largest: largest.map((v, i) => v / (s[i] as number)),
  };
}

/** For each channel the largest of its columns' values. */
export function byChannel({ channels, channelOf }: Coupling, columns: Float64Array): Float64Array {
  const out = new Float64Array(channels);
  channelOf.forEach((channel, column) => {
    out[channel] = Math.max(out[channel] as number, columns[column] as number);
  });
  return out;
}

/** E[x²] of the columns of each matrix: the importance matrix that GGUF's blocks are fitted with. */
export const importanceOf = (statistics: ParameterStatistics): Map<string, Float64Array> =>
  new Map(
    [...statistics].map(([name, { columns, gram }]) => [
      name,
      Float64Array.from({ length: columns }, (_, i) => gram[i * columns + i] as number),
    ]),
  );
