/**
 * GroupQueryAttention: grouped heads, rotary embedding and a key-value cache in one op.
 *
 * 1. `seqlens_k[b] + 1` is row b's total length. When the query is as long as `total_sequence_length` this is a prompt:
 *    row b starts at 0 and may be padded on the right. Otherwise its new tokens end at its total length.
 * 2. present is as long as the past buffer or the total length, whichever is larger. What lies beyond a row's new
 *    tokens is 0 here; a runtime that shares the buffer keeps what was there. No later step reads it.
 * 3. Query rows beyond a padded row's total length attend to its whole length; nothing should read them.
 * Source: ONNX Runtime's contrib operator documentation (1.30).
 */
import type { Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { range, takeAlong } from '../layout.ts';
import { doubles, integers, scalar } from '../tensor.ts';
import {
  addBias,
  attend,
  type Bias,
  type Heads,
  headsOf,
  mergeHeads,
  storeHeads,
  tensorBias,
} from './heads.ts';
import { type Rotation, rotate } from './rotary.ts';

/** Per batch row: tokens cached before this step, and after it. */
interface Lengths {
  readonly past: readonly number[];
  readonly total: readonly number[];
}

interface Projections {
  readonly q: Heads;
  readonly k: Heads;
  readonly v: Heads;
}

function lengthsOf(c: KernelContext, queries: number): Lengths {
  const total = integers(c.input(5)).map(n => n + 1);
  const prompt = queries === scalar(c.input(6));
  return { total, past: total.map(n => (prompt ? 0 : n - queries)) };
}

/** Separate q, k, v, or all in input 0: [batch, length, (heads + 2 · kvHeads) · size]. */
function projections(c: KernelContext): Projections {
  const heads = c.attributes.int('num_heads', 0);
  const kvHeads = c.attributes.int('kv_num_heads', 0);
  const query = c.input(0);
  if (c.inputs[1]) {
    return {
      q: headsOf(c, query, heads),
      k: headsOf(c, c.input(1), kvHeads),
      v: headsOf(c, c.input(2), kvHeads),
    };
  }
  const size = query.dims[2] / (heads + 2 * kvHeads);
  const part = (start: number, count: number): Heads =>
    headsOf(
      c,
      takeAlong(
        query,
        2,
        range(count * size).map(i => start * size + i),
      ),
      count,
    );
  return { q: part(0, heads), k: part(heads, kvHeads), v: part(heads + kvHeads, kvHeads) };
}

function rotationOf(c: KernelContext, { past }: Lengths, length: number): Rotation {
  const [cos, sin] = [c.input(7), c.input(8)];
  const positions = c.inputs[9] && doubles(c.inputs[9]);
  return {
    row: (b, s) => positions?.[b * length + s] ?? past[b] + s,
    cos: doubles(cos),
    sin: doubles(sin),
    rotated: 2 * cos.dims[1],
    interleaved: c.attributes.int('rotary_interleaved', 0) !== 0,
    scale: 1,
  };
}

/** The cache after this step: row b keeps its first past[b] tokens, then come the new ones. */
function updatedCache(
  past: Tensor | undefined,
  next: Heads,
  { past: before }: Lengths,
  needed: number,
): Heads {
  const [batch, heads, added, size] = next.dims;
  const room = past?.dims[2] ?? 0;
  const length = Math.max(room, needed);
  const values = new Float64Array(batch * heads * length * size);
  const old = past ? doubles(past) : new Float64Array(0);
  for (let at = 0; at < batch * heads; at++) {
    const kept = before[Math.floor(at / heads)];
    values.set(old.subarray(at * room * size, (at * room + kept) * size), at * length * size);
    values.set(next.values.subarray(at * added * size, (at + 1) * added * size), (at * length + kept) * size);
  }
  return { dims: [batch, heads, length, size], values };
}

/** Keys up to the query's own position, at most `window` of them. */
function visibleKeys(c: KernelContext, { past, total }: Lengths): Bias {
  const window = c.attributes.int('local_window_size', -1);
  return (b, _h, i, j) => {
    const end = Math.min(past[b] + i + 1, total[b]);
    return j < end && (window < 0 || j >= end - window) ? 0 : -Infinity;
  };
}

function sinkOf(c: KernelContext): ((h: number) => number) | undefined {
  const sinks = c.inputs[11] && doubles(c.inputs[11]);
  if (sinks) return h => sinks[h];
  return c.attributes.int('smooth_softmax', -1) > 0 ? () => 0 : undefined;
}

const groupQueryAttention: Kernel = c => {
  if (c.attributes.int('kv_cache_bit_width', 0) > 0) c.fail('quantized caches are not supported');
  const { dtype } = c.input(0);
  const { q, k, v } = projections(c);
  const lengths = lengthsOf(c, q.dims[2]);
  const turn = c.attributes.int('do_rotary', 0) ? rotationOf(c, lengths, q.dims[2]) : undefined;
  const needed = scalar(c.input(6));
  const keys = updatedCache(c.inputs[3], turn ? rotate(k, turn) : k, lengths, needed);
  const values = updatedCache(c.inputs[4], v, lengths, needed);
  const result = attend({
    q: turn ? rotate(q, turn) : q,
    k: keys,
    v: values,
    scale: c.attributes.float('scale', 0) || 1 / Math.sqrt(q.dims[3]),
    softcap: c.attributes.float('softcap', 0),
    bias: addBias(c.inputs[10] && tensorBias(c.inputs[10], q.dims), visibleKeys(c, lengths)),
    sink: sinkOf(c),
  });
  if (c.outputCount > 3) c.fail('the scores output is not supported');
  const outputs = [mergeHeads(result.output, dtype), storeHeads(keys, dtype), storeHeads(values, dtype)];
  return outputs.slice(0, c.outputCount);
};

export const GROUP_QUERY = {
  'com.microsoft.GroupQueryAttention': groupQueryAttention,
} as const satisfies KernelFamily;
