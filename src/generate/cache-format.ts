/**
 * Caches of keys and values in 8 or 4 bits: a quarter or an eighth of the memory, and faster steps over long rows; prompts are
 * read more slowly, since ONNX Runtime (1.30) has no fast kernel for that.
 *
 * 1. Each channel of each head has a scale of its own, fixed when the program is compiled: keys have channels that are always
 *    large (Liu et al. 2024, arXiv:2402.02750). Scales come from a text that is read with float caches first.
 * 2. What exceeds the range that was seen is cut at its end; a margin is left.
 */
import { float32, type Graph, type Node, opKey, type Tensor, type ValueInfo } from '../graph/ir.ts';
import type { CacheSlot, CausalModel } from '../models/model.ts';
import { UsageError } from '../util/errors.ts';
import type { Decoder } from './decoder.ts';
import { presentName } from './graphs.ts';

export const CACHE_DTYPES = ['f32', 'int8', 'int4'] as const;
export type CacheDType = (typeof CACHE_DTYPES)[number];

/** Bits, and for each cache slot the scales of its channels [heads · width]. */
export interface CacheFormat {
  readonly bits: 4 | 8;
  readonly scales: ReadonlyMap<string, Float32Array>;
}

/** Room above the largest value that was seen. */
const MARGIN = 1.1;

/** Reads each of `texts` and finds the scales of every channel. The decoder's caches must be float. */
export async function measureCache(
  decoder: Decoder,
  texts: readonly (readonly number[])[],
  bits: 4 | 8,
): Promise<CacheFormat> {
  const slots = decoder.model.cacheSlots;
  const largest = new Map(slots.map(s => [s.name, new Float32Array(s.heads * s.width)]));
  for (const ids of texts) {
    const cache = await cacheOf(decoder, ids);
    slots.forEach((slot, i) => {
      raiseToLargest(largest.get(slot.name) as Float32Array, cache[i] as Tensor);
    });
  }
  const top = 2 ** (bits - 1) - 1;
  for (const values of largest.values())
    for (let i = 0; i < values.length; i++) values[i] = (MARGIN * (values[i] as number)) / top || 1;
  return { bits, scales: largest };
}

/** Keys and values of one text, read in one pass. */
async function cacheOf(decoder: Decoder, ids: readonly number[]): Promise<Tensor[]> {
  const cache = decoder.allocateCache(1, ids.length);
  const logits = new Float32Array(decoder.model.vocabSize);
  using lane = decoder.lane(cache, { rows: 1, length: ids.length }, logits);
  lane.ids.set(ids);
  lane.lastPosition[0] = ids.length - 1;
  await lane.run();
  return cache;
}

/** Raises `largest` to the magnitudes of each channel of [1, heads, positions, width]. */
function raiseToLargest(largest: Float32Array, { dims, data }: Tensor): void {
  const [, heads, positions, width] = dims as [number, number, number, number];
  const values = data as Float32Array;
  for (let h = 0; h < heads; h++) {
    for (let at = 0; at < positions * width; at++) {
      const channel = h * width + (at % width);
      const size = Math.abs(values[h * positions * width + at] as number);
      if (size > (largest[channel] as number)) largest[channel] = size;
    }
  }
}

/** Makes the attention of `graph`, a `decodeGraph`, keep its cache in that format. Returns the model with such slots. */
export function quantizeCache(graph: Graph, model: CausalModel, format: CacheFormat): CausalModel {
  if (model.cacheSlots.some(({ sameAs }) => sameAs !== undefined))
    throw new UsageError(
      `${model.architecture}: keys and values are read from one cache, which has no ${format.bits}-bit form; use f32`,
    );
  const slots = new Map(model.cacheSlots.map(slot => [slot.name, slotOf(slot, format.bits)]));
  const readers = graph.nodes.filter(node => node.inputs.some(name => slots.has(name)));
  for (const node of readers) rewrite(graph, node, format);
  const typed = (name: string, info: ValueInfo): ValueInfo => {
    const slot = slots.get(name);
    return slot ? { name: info.name, dtype: slot.dtype, shape: ['B', slot.heads, 'C', slot.width] } : info;
  };
  const pastOfPresent = new Map([...slots.keys()].map(name => [presentName(name), name]));
  graph.inputs = graph.inputs.map(info => typed(info.name, info));
  graph.outputs = graph.outputs.map(info => typed(pastOfPresent.get(info.name) ?? '', info));
  for (const { name, dtype, shape } of graph.outputs) graph.types.set(name, { dtype, shape });
  return { ...model, cacheSlots: [...slots.values()] };
}

/** 4-bit codes lie two in a byte. */
const slotOf = (slot: CacheSlot, bits: 4 | 8): CacheSlot =>
  bits === 8 ? { ...slot, dtype: 'int8' } : { ...slot, dtype: 'uint8', width: slot.width / 2 };

const PAST_KEY = 3;
const SCALES = 12;

function rewrite(graph: Graph, node: Node, { bits, scales }: CacheFormat): void {
  if (opKey(node) !== 'com.microsoft.GroupQueryAttention')
    throw new UsageError(
      `this model's cache is read by ${node.opType}, which has no ${bits}-bit form; use f32`,
    );
  const past = node.inputs.slice(PAST_KEY, PAST_KEY + 2);
  const names = past.map(name => {
    const values = scales.get(name) as Float32Array; // measured for every slot
    graph.initializers.set(`${name}.scale`, float32([values.length], values));
    return `${name}.scale`;
  });
  const before = [...node.inputs, ...new Array<string>(SCALES).fill('')].slice(0, SCALES);
  node.inputs = [...before, ...names];
  const kind = { type: 'string', value: 'PER_CHANNEL' } as const;
  node.attributes = {
    ...node.attributes,
    k_quant_type: kind,
    v_quant_type: kind,
    kv_cache_bit_width: { type: 'int', value: bits },
  };
}
