/** What configurations of decoders have in common: checks of the shape, layers that slide, fields that all families spell alike. */
import { assert } from '../util/errors.ts';
import { defined, type Fields } from './fields.ts';

/** Layers that see all positions before them, and layers that see a window: Hugging Face's names. */
export const LAYER_TYPES = ['full_attention', 'sliding_attention'] as const;
export type LayerType = (typeof LAYER_TYPES)[number];

export interface DecoderShape {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly maxPositionEmbeddings: number;
  /** Keys that a query of a sliding layer sees, its own included. */
  readonly slidingWindow?: number;
  /** Which layers slide; none when absent. */
  readonly layerTypes?: readonly LayerType[];
}

/** A token id, or several. */
export type TokenIds = number | readonly number[];

export interface DecoderTokens {
  readonly bosTokenId?: TokenIds;
  readonly eosTokenId?: TokenIds;
  readonly padTokenId?: TokenIds;
}

const COUNTS = [
  'vocabSize',
  'hiddenSize',
  'intermediateSize',
  'numHiddenLayers',
  'numAttentionHeads',
  'numKeyValueHeads',
  'headDim',
  'maxPositionEmbeddings',
] as const;

/** What takes time or memory before a weight is seen: layers are traced, and tables of angles made; no model has as many. */
const MOST = { numHiddenLayers: 4096, headDim: 2 ** 16, maxPositionEmbeddings: 2 ** 24 } as const;

/** Throws one sentence beginning with `origin` when no decoder has this shape. */
export function checkShape(c: DecoderShape, origin: string): void {
  for (const name of COUNTS) {
    assert(
      Number.isSafeInteger(c[name]) && c[name] > 0,
      `${origin}: ${name} is ${c[name]}; it must be a positive integer`,
    );
  }
  for (const [name, most] of Object.entries(MOST)) {
    const value = c[name as keyof typeof MOST];
    assert(value <= most, `${origin}: ${name} is ${value}; at most ${most} are supported`);
  }
  assert(
    c.numAttentionHeads % c.numKeyValueHeads === 0,
    `${origin}: numAttentionHeads ${c.numAttentionHeads} is not a multiple of numKeyValueHeads ${c.numKeyValueHeads}`,
  );
  assert(c.headDim % 2 === 0, `${origin}: headDim ${c.headDim} is odd; rotary embedding needs an even one`);
  assert(
    c.slidingWindow !== undefined || !c.layerTypes?.includes('sliding_attention'),
    `${origin}: there are sliding layers but slidingWindow is missing`,
  );
}

/** Keys that layer `i` sees; undefined when it sees all. */
export const windowOf = (
  { layerTypes, slidingWindow }: Pick<DecoderShape, 'layerTypes' | 'slidingWindow'>,
  i: number,
): number | undefined => (layerTypes?.[i] === 'sliding_attention' ? slidingWindow : undefined);

/** Keys that a query sees, on average over a row of 2 · `context` positions: ∫ min(t, window) dt / row. */
export function averageKeys(context: number, window = Number.POSITIVE_INFINITY): number {
  const row = 2 * context;
  return row <= window ? context : window - window ** 2 / (2 * row);
}

/** FLOPs of scores and mixing for one token over all layers: 4 · heads · width · keys seen. */
export function attentionFlops(c: DecoderShape, context: number): number {
  const keys = Array.from({ length: c.numHiddenLayers }, (_, i) => averageKeys(context, windowOf(c, i)));
  return 4 * c.numAttentionHeads * c.headDim * keys.reduce((sum, n) => sum + n, 0);
}

// ---- config.json ----

/** `num_hidden_layers`, checked before anything is made for each layer. */
export function layerCountOf(config: Fields): number {
  const count = config.required('num_hidden_layers', config.count('num_hidden_layers'));
  const { numHiddenLayers: most } = MOST;
  assert(count <= most, `${config.origin}: num_hidden_layers is ${count}; at most ${most} are supported`);
  return count;
}

/** `layer_types` of a config for `count` layers; undefined when it has none. */
export function layerTypesOf(config: Fields, count: number): LayerType[] | undefined {
  const types = config.texts('layer_types');
  if (!types) return undefined;
  assert(
    types.length === count,
    `${config.origin}: layer_types has ${types.length} entries for ${count} layers`,
  );
  return types.map(type => {
    const known = LAYER_TYPES.find(t => t === type);
    assert(known, `${config.origin}: layer_types has "${type}"; known are ${LAYER_TYPES.join(', ')}`);
    return known;
  });
}

/** The ids that begin, end and pad a text. */
export const tokensFromFields = (config: Fields): DecoderTokens =>
  defined({
    bosTokenId: config.ids('bos_token_id'),
    eosTokenId: config.ids('eos_token_id'),
    padTokenId: config.ids('pad_token_id'),
  });

/** The family's `model_type`. Throws a GaslawError that names the known ones. */
export function modelTypeOf<T extends string>(config: Fields, known: readonly T[]): T {
  const found = known.find(type => type === config.raw('model_type'));
  assert(
    found,
    `${config.origin}: model_type "${String(config.raw('model_type'))}" is not one of ${known.join(', ')}`,
  );
  return found;
}

/** Refuses an activation that would silently be another function. */
export function checkActivation(config: Fields, name: string, known: string): void {
  const found = config.text(name) ?? known;
  assert(found === known, `${config.origin}: ${name} "${found}" is not supported; it must be "${known}"`);
}
