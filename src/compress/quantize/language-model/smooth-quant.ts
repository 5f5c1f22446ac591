/**
 * SmoothQuant: outliers of activations are moved into the weights, so that both fit 8 bits.
 *
 *   s_c = max |x_c|^α / max |W_c|^(1−α)
 *
 * 1. Channels behind norms alone are scaled, as in the paper: what attention and feed-forward blocks read.
 * 2. α = 0.5 splits the burden evenly; larger ones move more of it into the weights.
 * Source: Xiao et al. 2023 (arXiv:2211.10438).
 */
import type { CausalModel } from '../../../models/model.ts';
import type { ParameterStore } from '../../../nn/parameters.ts';
import type { ActivationStatistics } from '../calibrate.ts';
import { type Coupling, couplingsOf } from './couplings.ts';
import { byChannel, type CalibratedStore, foldedStatistics, foldScales } from './fold.ts';

const SMALLEST = 1e-5;

/** The model with its outliers moved: a new store, and the statistics that go with it. */
export function smoothQuant(model: CausalModel, from: CalibratedStore, alpha = 0.5): CalibratedStore {
  const store = copyOf(from.store);
  const statistics = new Map(from.statistics);
  for (const coupling of couplingsOf(model).filter(c => c.source.endsWith('norm.weight'))) {
    const seen = statistics.get(coupling.readers[0] as string);
    if (!seen) continue;
    const scales = smoothing(store, coupling, seen, alpha);
    foldScales(store, coupling, scales);
    for (const reader of coupling.readers) statistics.set(reader, foldedStatistics(seen, coupling, scales));
  }
  return { store, statistics };
}

export function copyOf(store: ParameterStore): ParameterStore {
  const copy = new (store.constructor as typeof ParameterStore)(store.specs);
  copy.flat.set(store.flat);
  return copy;
}

function smoothing(
  store: ParameterStore,
  coupling: Coupling,
  { largest }: ActivationStatistics,
  alpha: number,
): Float64Array {
  const columns = coupling.channelOf.length;
  const heaviest = new Float64Array(columns);
  for (const reader of coupling.readers) {
    (store.tensor(reader).data as Float32Array).forEach((w, i) => {
      heaviest[i % columns] = Math.max(heaviest[i % columns] as number, Math.abs(w));
    });
  }
  const [x, w] = [byChannel(coupling, largest), byChannel(coupling, heaviest)];
  return x.map((v, c) => Math.max(SMALLEST, v) ** alpha / Math.max(SMALLEST, w[c] as number) ** (1 - alpha));
}
