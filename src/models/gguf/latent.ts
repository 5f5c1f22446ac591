/**
 * The matrix that makes keys and values of a latent, as `deepseek2` files hold it: of each head the part for keys transposed,
 * since llama.cpp multiplies queries by it, and the part for values.
 *   kv_b_proj [H (N + V), R]  =  attn_k_b [H, R, N]ᵀ over attn_v_b [H, V, R]
 * Shapes: H heads, N width of a key without its rotated part, V of a value, R of the latent.
 */

export interface LatentShape {
  readonly heads: number;
  /** N */
  readonly keyWidth: number;
  /** V */
  readonly valueWidth: number;
  /** R */
  readonly rank: number;
}

export const latentShape = (config: Readonly<Record<string, unknown>>): LatentShape => ({
  heads: Number(config.num_attention_heads),
  keyWidth: Number(config.qk_nope_head_dim),
  valueWidth: Number(config.v_head_dim),
  rank: Number(config.kv_lora_rank),
});

export const keyDims = ({ heads, rank, keyWidth }: LatentShape): number[] => [heads, rank, keyWidth];
export const valueDims = ({ heads, valueWidth, rank }: LatentShape): number[] => [heads, valueWidth, rank];

/** Names of both parts, of the layer whose whole matrix is `name`. */
export const partNames = (name: string): readonly [keys: string, values: string] => [
  name.replace('attn_kv_b', 'attn_k_b'),
  name.replace('attn_kv_b', 'attn_v_b'),
];

/** The part for keys [H, R, N]. */
export function keyPart(
  whole: Float32Array,
  { heads, keyWidth, valueWidth, rank }: LatentShape,
): Float32Array {
  const out = new Float32Array(heads * rank * keyWidth);
  for (let h = 0; h < heads; h++)
    for (let n = 0; n < keyWidth; n++)
      for (let r = 0, from = (h * (keyWidth + valueWidth) + n) * rank; r < rank; r++)
        out[(h * rank + r) * keyWidth + n] = whole[from + r] as number;
  return out;
}

/** The part for values [H, V, R]. */
export function valuePart(
  whole: Float32Array,
  { heads, keyWidth, valueWidth, rank }: LatentShape,
): Float32Array {
  const [rows, size] = [keyWidth + valueWidth, valueWidth * rank];
  const out = new Float32Array(heads * size);
  for (let h = 0; h < heads; h++) {
    const from = (h * rows + keyWidth) * rank;
    out.set(whole.subarray(from, from + size), h * size);
  }
  return out;
}

/** Both parts as one matrix [H (N + V), R]. */
export function joinParts(keys: Float32Array, values: Float32Array, shape: LatentShape): Float32Array {
  const { heads, keyWidth, valueWidth, rank } = shape;
  const [rows, size] = [keyWidth + valueWidth, valueWidth * rank];
  const out = new Float32Array(heads * rows * rank);
  for (let h = 0; h < heads; h++) {
    for (let n = 0; n < keyWidth; n++)
      for (let r = 0, to = (h * rows + n) * rank; r < rank; r++)
        out[to + r] = keys[(h * rank + r) * keyWidth + n] as number;
    out.set(values.subarray(h * size, (h + 1) * size), (h * rows + keyWidth) * rank);
  }
  return out;
}
