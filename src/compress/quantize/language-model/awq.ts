/**
 * AWQ: channels that are strongly driven get finer steps. Each coupling's channels are scaled up in the matrices that read
 * them, and down where they are made, by s = E|x|^α; α is searched for the least error of the products.
 *
 *   error(α) = Σ over readers of tr(E G Eᵀ),   E = Q(W s) / s − W,   G = E[x xᵀ]
 *
 * 1. α from 0 to 1 in 20 steps, scales normalized by the root of their extremes; α = 0 leaves the model as it is, so a
 *    coupling is never worse by this measure.
 * 2. As in the paper the search rounds plainly. Its second step, the search for clipped ranges, is method `mse` with the
 *    statistics that are returned, which weigh errors by E[x²].
 * 3. The error is taken over up to 64 rows of each reader, evenly spaced.
 * Source: Lin et al. 2024 (arXiv:2306.00978).
 */
import type { CausalModel } from '../../../models/model.ts';
import type { ParameterStore } from '../../../nn/parameters.ts';
import { type BlockFormat, dequantize, type Matrix } from '../blocks.ts';
import type { ActivationStatistics } from '../calibrate.ts';
import { METHODS } from '../methods/index.ts';
import { type Coupling, couplingsOf } from './couplings.ts';
import { byChannel, type CalibratedStore, foldedStatistics, foldScales } from './fold.ts';
import { copyOf } from './smooth-quant.ts';

const STEPS = 20;
const ROWS = 64;
const SMALLEST = 1e-4;

/** The model with its channels scaled for `format`: a new store, and the statistics that go with it. */
export function awq(model: CausalModel, from: CalibratedStore, format: BlockFormat): CalibratedStore {
  const store = copyOf(from.store);
  const statistics = new Map(from.statistics);
  for (const coupling of couplingsOf(model)) {
    const seen = statistics.get(coupling.readers[0] as string);
    const scales = seen && bestScales(store, coupling, seen, format);
    if (!scales) continue;
    foldScales(store, coupling, scales);
    for (const reader of coupling.readers) statistics.set(reader, foldedStatistics(seen, coupling, scales));
  }
  return { store, statistics };
}

/** The scales with the least error; undefined when leaving the channels alone is best. */
function bestScales(
  store: ParameterStore,
  coupling: Coupling,
  seen: ActivationStatistics,
  format: BlockFormat,
): Float64Array | undefined {
  const samples = coupling.readers.map(name => sampleOf(store, name));
  const drive = byChannel(coupling, seen.mean);
  let best: Float64Array | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (let step = 0; step < STEPS; step++) {
    const scales = scalesFor(drive, step / STEPS);
    const columns = Float64Array.from(coupling.channelOf, channel => scales[channel] as number);
    const error = samples.reduce((sum, w) => sum + scaledError(w, columns, seen, format), 0);
    if (error < least) [least, best] = [error, step === 0 ? undefined : scales];
  }
  return best;
}

function scalesFor(drive: Float64Array, alpha: number): Float64Array {
  const raw = drive.map(x => Math.max(SMALLEST, x) ** alpha);
  const [low, high] = [Math.min(...raw), Math.max(...raw)];
  return raw.map(s => s / Math.sqrt(low * high));
}

function sampleOf(store: ParameterStore, name: string): Matrix {
  const { dims, data } = store.tensor(name);
  const [all, columns] = dims as [number, number];
  const rows = Math.min(ROWS, all);
  const out = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    const from = Math.floor((i * all) / rows) * columns;
    out.set((data as Float32Array).subarray(from, from + columns), i * columns);
  }
  return { rows, columns, data: out };
}

/** tr(E G Eᵀ) of rounding W s. */
function scaledError(
  { rows, columns, data }: Matrix,
  scales: Float64Array,
  { gram }: ActivationStatistics,
  format: BlockFormat,
): number {
  const scaled = data.map((w, i) => w * (scales[i % columns] as number));
  const rounded = dequantize(METHODS.rtn.quantize({ rows, columns, data: scaled }, format)).data;
  const e = data.map((w, i) => (rounded[i] as number) / (scales[i % columns] as number) - w);
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    for (let i = 0; i < columns; i++) {
      let dot = 0.5 * (e[at + i] as number) * (gram[i * columns + i] as number);
      for (let j = 0; j < i; j++) dot += (e[at + j] as number) * (gram[i * columns + j] as number);
      sum += 2 * dot * (e[at + i] as number);
    }
  }
  return sum;
}
