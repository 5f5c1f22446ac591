/**
 * Dense language models with fewer layers, feed-forward channels or heads. What is left is a model of the same family with a
 * smaller configuration: it saves, converts and trains as any other.
 *
 * 1. Depth: one layer after another goes, each time the one without which the text is predicted best (the language-model loss
 *    of Minitron, Muralidharan et al. 2024, arXiv:2407.14679).
 * 2. Width: a channel that matrix W reads through column j matters by E[x_j²] ‖W_j‖², what the product loses without it; a
 *    group of heads with common keys by E‖Σ_j W_j x_j‖² over its columns. Every layer keeps the same number.
 * 3. The columns K that stay make up for those R that go: W′ = W_K + W_R G_RK (G_KK + λ I)⁻¹ with G = E[x xᵀ], the least
 *    squares held near W_K.
 */
import {
  DENSE_TYPES,
  type DenseConfig,
  denseConfig,
  denseModel,
  fromHuggingFace,
} from '../../models/dense/index.ts';
import type { CausalModel } from '../../models/model.ts';
import { type ParameterSpec, ParameterStore } from '../../nn/parameters.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { scoreText } from '../../train/perplexity.ts';
import { GaslawError } from '../../util/errors.ts';
import type { CalibratedStore } from '../quantize/language-model/fold.ts';
import { dampedInverse } from '../quantize/methods/hessian.ts';
import type { InputStatistics } from '../quantize/methods/index.ts';

export interface SizedModel {
  readonly model: CausalModel;
  readonly store: ParameterStore;
}

function configOf(model: CausalModel): DenseConfig {
  const json = model.toHuggingFace();
  if (!DENSE_TYPES.some(type => type === json.model_type))
    throw new GaslawError(
      `a ${model.architecture} model is not pruned by layers and heads; known are ${DENSE_TYPES.join(', ')}`,
    );
  return fromHuggingFace(json, 'config');
}

function checkCount(what: string, count: number, before: number): void {
  if (!(Number.isInteger(count) && count >= 1 && count <= before))
    throw new GaslawError(
      `${count} ${what} cannot be kept of ${before}; give a whole number from 1 to ${before}`,
    );
}

// ---- depth ----

export interface LayerOptions {
  /** How many stay. */
  readonly layers: number;
  /** Tokens of a text; what the layers that stay predict best. */
  readonly ids: Int32Array;
  /** Tokens that a prediction sees. */
  readonly length?: number;
}

/** The model without the layers that matter least, and the numbers of those that stay. */
export async function pruneLayers(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  { layers, ids, length }: LayerOptions,
): Promise<SizedModel & { readonly kept: readonly number[] }> {
  const config = configOf(model);
  checkCount('layers', layers, config.numHiddenLayers);
  let kept = Array.from({ length: config.numHiddenLayers }, (_, i) => i);
  while (kept.length > layers) {
    const losses: number[] = [];
    for (const gone of kept) {
      const left = withLayers(
        config,
        store,
        kept.filter(i => i !== gone),
      );
      losses.push((await scoreText(runtime, left.model, left.store, ids, { bytes: 1, length })).natsPerToken);
    }
    const least = kept[losses.indexOf(Math.min(...losses))];
    kept = kept.filter(i => i !== least);
  }
  return { ...withLayers(config, store, kept), kept };
}

function withLayers(config: DenseConfig, store: ParameterStore, kept: readonly number[]): SizedModel {
  const { layerTypes } = config;
  const model = denseModel(
    denseConfig({
      ...config,
      numHiddenLayers: kept.length,
      ...(layerTypes && { layerTypes: layerTypes.filter((_, i) => kept.includes(i)) }),
    }),
  );
  const from = (name: string): string =>
    name.replace(/^model\.layers\.(\d+)\./, (_, i) => `model.layers.${kept[Number(i)]}.`);
  return { model, store: filled(model, ({ name }) => valuesOf(store, from(name))) };
}

// ---- width ----

export interface WidthOptions {
  /** Feed-forward channels that every layer keeps. */
  readonly intermediateSize?: number;
  /** Groups of heads with common keys and values that every layer keeps. */
  readonly numKeyValueHeads?: number;
  /** Whether columns that stay make up for those that go. Default true. */
  readonly compensate?: boolean;
}

/** The model with narrower layers; statistics are those of `calibrateParameters`. */
export function pruneWidth(model: CausalModel, from: CalibratedStore, options: WidthOptions): SizedModel {
  const config = configOf(model);
  const { intermediateSize = config.intermediateSize, numKeyValueHeads = config.numKeyValueHeads } = options;
  checkCount('feed-forward channels', intermediateSize, config.intermediateSize);
  checkCount('groups of heads', numKeyValueHeads, config.numKeyValueHeads);
  const group = config.numAttentionHeads / config.numKeyValueHeads;
  const smaller = denseModel(
    denseConfig({
      ...config,
      intermediateSize,
      numKeyValueHeads,
      numAttentionHeads: numKeyValueHeads * group,
    }),
  );
  const cuts = cutsOf(config, from, intermediateSize, numKeyValueHeads);
  const compensate = options.compensate ?? true;
  return { model: smaller, store: filled(smaller, ({ name }) => cutTo(from, name, cuts, compensate)) };
}

/** What stays of a parameter: rows of the ones that make channels, columns of the one that reads them. */
interface Cut {
  readonly rows?: Int32Array;
  readonly columns?: Int32Array;
}

/** By parameter name without `.weight` or `.bias`. */
function cutsOf(c: DenseConfig, from: CalibratedStore, channels: number, keyHeads: number): Map<string, Cut> {
  const cuts = new Map<string, Cut>();
  const width = (c.numAttentionHeads / c.numKeyValueHeads) * c.headDim;
  for (let i = 0; i < c.numHiddenLayers; i++) {
    const layer = `model.layers.${i}.`;
    const put = (name: string, cut: Cut) => void cuts.set(layer + name, cut);
    if (channels < c.intermediateSize) {
      const kept = keptOf(from, `${layer}mlp.down_proj`, 1, channels);
      put('mlp.down_proj', { columns: kept });
      for (const name of ['gate_proj', 'up_proj']) put(`mlp.${name}`, { rows: kept });
    }
    if (keyHeads < c.numKeyValueHeads) {
      const kept = keptOf(from, `${layer}self_attn.o_proj`, width, keyHeads);
      put('self_attn.o_proj', { columns: spread(kept, width) });
      put('self_attn.q_proj', { rows: spread(kept, width) });
      for (const name of ['k_proj', 'v_proj']) put(`self_attn.${name}`, { rows: spread(kept, c.headDim) });
    }
  }
  return cuts;
}

/** Numbers of elements in groups of `width`. */
const spread = (groups: Int32Array, width: number): Int32Array =>
  Int32Array.from({ length: groups.length * width }, (_, i) => {
    const group = groups[Math.floor(i / width)] as number;
    return group * width + (i % width);
  });

/** The `count` groups of `width` columns that matter most, in their order. */
function keptOf(from: CalibratedStore, name: string, width: number, count: number): Int32Array {
  const seen = statisticsOf(from, `${name}.weight`);
  const scores = groupScores(valuesOf(from.store, `${name}.weight`), seen, width);
  const order = [...scores.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  return Int32Array.from(order.slice(0, count)).sort();
}

/** E‖Σ_j W_j x_j‖² = Σ_jk G_jk (Wᵀ W)_jk over the columns of each group. */
function groupScores(w: Float32Array, { columns, gram }: InputStatistics, width: number): Float64Array {
  const scores = new Float64Array(columns / width);
  for (let g = 0; g < scores.length; g++)
    for (let j = g * width; j < (g + 1) * width; j++)
      for (let k = g * width; k < (g + 1) * width; k++)
        (scores[g] as number) += (gram[j * columns + k] as number) * columnProduct(w, columns, j, k);
  return scores;
}

function columnProduct(w: Float32Array, columns: number, j: number, k: number): number {
  let sum = 0;
  for (let at = 0; at < w.length; at += columns) sum += (w[at + j] as number) * (w[at + k] as number);
  return sum;
}

function statisticsOf({ statistics }: CalibratedStore, name: string): InputStatistics {
  const found = statistics.get(name);
  if (!found)
    throw new GaslawError(
      `pruning "${name}" needs statistics of what it reads; give texts to run the model on`,
    );
  return found;
}

function cutTo(
  from: CalibratedStore,
  name: string,
  cuts: ReadonlyMap<string, Cut>,
  compensate: boolean,
): Float32Array {
  const values = valuesOf(from.store, name);
  const cut = cuts.get(name.replace(/\.(weight|bias)$/, ''));
  if (!cut || (cut.columns && name.endsWith('.bias'))) return values; // a reader's bias stays
  const [rows, columns = 1] = from.store.tensor(name).dims as [number, number?];
  if (cut.rows) return rowsOf(values, cut.rows, columns);
  const kept = cut.columns as Int32Array; // a cut has one of both
  return compensate
    ? leastSquares(values, rows, statisticsOf(from, name), kept)
    : columnsOf(values, rows, columns, kept);
}

function rowsOf(values: Float32Array, kept: Int32Array, columns: number): Float32Array {
  const out = new Float32Array(kept.length * columns);
  kept.forEach((row, i) => void out.set(values.subarray(row * columns, (row + 1) * columns), i * columns));
  return out;
}

function columnsOf(values: ArrayLike<number>, rows: number, columns: number, kept: Int32Array): Float32Array {
  const n = kept.length;
  return Float32Array.from(
    { length: rows * n },
    (_, i) => values[Math.floor(i / n) * columns + (kept[i % n] as number)] as number,
  );
}

/** W_K + W_R G_RK (G_KK + λ I)⁻¹. */
function leastSquares(
  w: Float32Array,
  rows: number,
  { columns, gram }: InputStatistics,
  kept: Int32Array,
): Float32Array {
  const n = kept.length;
  const gone = Int32Array.from({ length: columns }, (_, i) => i).filter(i => !kept.includes(i));
  const between = (from: Int32Array): Float64Array =>
    Float64Array.from({ length: from.length * n }, (_, i) => {
      const [j, k] = [from[Math.floor(i / n)] as number, kept[i % n] as number];
      return gram[j * columns + k] as number;
    });
  const crossed = between(gone);
  const inverse = dampedInverse({ columns: n, gram: between(kept) }, DAMPING);
  const out = columnsOf(w, rows, columns, kept);
  for (let row = 0; row < rows; row++) {
    const lost = Float64Array.from(gone, j => w[row * columns + j] as number);
    const heard = times(times(lost, crossed, n), inverse, n);
    for (let i = 0; i < n; i++) out[row * n + i] = (out[row * n + i] as number) + (heard[i] as number);
  }
  return out;
}

const DAMPING = 0.01;

/** a M for M [a.length, columns]. */
function times(a: Float64Array, m: Float64Array, columns: number): Float64Array {
  const out = new Float64Array(columns);
  for (let j = 0; j < a.length; j++)
    for (let k = 0; k < columns; k++)
      out[k] = (out[k] as number) + (a[j] as number) * (m[j * columns + k] as number);
  return out;
}

const valuesOf = (store: ParameterStore, name: string): Float32Array =>
  store.tensor(name).data as Float32Array; // stores hold float32

function filled(model: CausalModel, values: (spec: ParameterSpec) => Float32Array): ParameterStore {
  const store = new ParameterStore(model.parameters);
  for (const spec of store.specs) store.slice(store.flat, spec).set(values(spec));
  return store;
}
