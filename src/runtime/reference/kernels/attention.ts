/** ONNX's Attention and ONNX Runtime's MultiHeadAttention. GroupQueryAttention has a file of its own. */
import type { Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { reshaped, takeAlong } from '../layout.ts';
import { doubles, integers, store } from '../tensor.ts';
import {
  type AttentionResult,
  addBias,
  appendHeads,
  attend,
  type Bias,
  type Heads,
  headsOf,
  mergeHeads,
  storeHeads,
  tensorBias,
} from './heads.ts';

/** Query i sees keys up to i + past. */
export const causalBias =
  (past: number): Bias =>
  (_b, _h, i, j) =>
    j <= i + past ? 0 : -Infinity;

const given = (c: KernelContext, i: number): Tensor | undefined => {
  const t = c.inputs[i];
  return t && t.dims.length > 0 ? t : undefined;
};

/** Attention's inputs: Q, K, V, mask, past key, past value, lengths of keys. Outputs: Y, present key, present value, scores. */
const attention: Kernel = c => {
  const q = headsOf(c, c.input(0), c.attributes.int('q_num_heads', 0));
  const kvHeads = c.attributes.int('kv_num_heads', 0);
  const past = given(c, 4) && headsOf(c, c.input(4), kvHeads);
  const k = appendHeads(past, headsOf(c, c.input(1), kvHeads));
  const v = appendHeads(given(c, 5) && headsOf(c, c.input(5), kvHeads), headsOf(c, c.input(2), kvHeads));
  if (q.dims[1] % k.dims[1] !== 0)
    c.fail(`${q.dims[1]} query heads are no multiple of ${k.dims[1]} key heads`);
  const mask = c.inputs[3] && tensorBias(c.inputs[3], q.dims);
  const causal = c.attributes.int('is_causal', 0) ? causalBias(past?.dims[2] ?? 0) : undefined;
  const lengths = c.inputs[6] && integers(c.inputs[6]);
  const valid: Bias | undefined = lengths && ((b, _h, _i, j) => (j < lengths[b] ? 0 : -Infinity));
  const result = attend({
    q,
    k,
    v,
    scale: c.attributes.float('scale', 0) || 1 / Math.sqrt(q.dims[3]),
    softcap: c.attributes.float('softcap', 0),
    bias: addBias(mask, causal, valid),
  });
  return attentionOutputs(c, result, k, v);
};

function attentionOutputs(c: KernelContext, result: AttentionResult, k: Heads, v: Heads): Tensor[] {
  const { dtype, dims } = c.input(0);
  const y = dims.length === 3 ? mergeHeads(result.output, dtype) : storeHeads(result.output, dtype);
  const scoreDims = [...result.output.dims.slice(0, 3), k.dims[2]];
  const scores = store(dtype, scoreDims, scoresAt(c, result));
  return [y, storeHeads(k, dtype), storeHeads(v, dtype), scores].slice(0, c.outputCount);
}

function scoresAt(c: KernelContext, r: AttentionResult): Float64Array {
  const mode = c.attributes.int('qk_matmul_output_mode', 0);
  const stages = [r.scores, r.capped, r.biased, r.probabilities];
  return stages[mode] ?? c.fail(`qk_matmul_output_mode ${mode} is not 0, 1, 2 or 3`);
}

interface Projections {
  readonly q: Heads;
  readonly k: Heads;
  readonly v: Heads;
}

/** MultiHeadAttention's layouts: separate, key and value packed [B, L, H, 2, D], all packed [B, L, H, 3, D]. */
function projections(c: KernelContext, heads: number): Projections {
  const query = c.input(0);
  if (query.dims.length === 5) return { q: slot(c, query, 0), k: slot(c, query, 1), v: slot(c, query, 2) };
  const bias = c.inputs[3] && doubles(c.inputs[3]);
  const width = query.dims[2];
  const q = headsOf(c, added(query, bias, 0), heads);
  const key = c.input(1);
  if (key.dims.length === 5) return { q, k: slot(c, key, 0), v: slot(c, key, 1) };
  const k = headsOf(c, added(key, bias, width), heads);
  return { q, k, v: headsOf(c, added(c.input(2), bias, 2 * width), heads) };
}

/** Matrix `i` of a packed [B, L, H, parts, D] tensor. */
function slot(c: KernelContext, t: Tensor, i: number): Heads {
  const [batch, length, heads, , size] = t.dims;
  return headsOf(c, reshaped(takeAlong(t, 3, [i]), [batch, length, heads * size]), heads);
}

/** Adds the part of the projection bias that starts at `start`; heads already split take none. */
function added(t: Tensor, bias: Float64Array | undefined, start: number): Tensor {
  if (!bias || t.dims.length !== 3) return t;
  const width = t.dims[2];
  return store(
    'float64',
    t.dims,
    doubles(t).map((v, i) => v + bias[start + (i % width)]),
  );
}

/** Mask of lengths [B], of keys [B, T] or of keys per query [B, S, T]: the filter value is added where it says 0. */
function paddingBias(c: KernelContext, mask: Tensor, keys: number): Bias {
  const filter = c.attributes.float('mask_filter_value', -10000);
  const ids = doubles(mask);
  const [batch, queries] = mask.dims;
  if (mask.dims.length === 1 && batch !== c.input(0).dims[0])
    c.fail('a cumulative key padding mask is not supported');
  if (mask.dims.length === 1) return (b, _h, _i, j) => (j < ids[b] ? 0 : filter);
  if (mask.dims.length === 2) return (b, _h, _i, j) => (ids[b * keys + j] ? 0 : filter);
  return (b, _h, i, j) => (ids[(b * queries + i) * keys + j] ? 0 : filter);
}

const multiHeadAttention: Kernel = c => {
  const { dtype } = c.input(0);
  if (c.inputs[8] || c.inputs[9]) c.fail('a shared past buffer and beams are not supported');
  const heads = c.attributes.int('num_heads', 0);
  const { q, k: newK, v: newV } = projections(c, heads);
  const past = c.inputs[6] && headsOf(c, c.inputs[6], heads);
  const k = appendHeads(past, newK);
  const v = appendHeads(c.inputs[7] && headsOf(c, c.inputs[7], heads), newV);
  const bias = addBias(
    c.inputs[4] && paddingBias(c, c.inputs[4], k.dims[2]),
    c.inputs[5] && tensorBias(c.inputs[5], q.dims),
    c.attributes.int('unidirectional', 0) ? causalBias(past?.dims[2] ?? 0) : undefined,
  );
  const scale = c.attributes.float('scale', 0) || 1 / Math.sqrt(q.dims[3]);
  const result = attend({ q, k, v, scale, softcap: 0, bias });
  const scores = store(dtype, [...q.dims.slice(0, 3), k.dims[2]], result.scores);
  const outputs = [mergeHeads(result.output, dtype), storeHeads(k, dtype), storeHeads(v, dtype), scores];
  return outputs.slice(0, c.outputCount);
};

export const ATTENTION = {
  Attention: attention,
  'com.microsoft.MultiHeadAttention': multiHeadAttention,
} as const satisfies KernelFamily;
