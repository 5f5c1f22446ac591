/** Cases of attention ops and experts. */
import { type CaseFamily, fed, held, within, x } from './types.ts';

const cos = within(-1, 1, [5, 2], { constant: true });
const sin = within(-1, 1, [5, 2], { constant: true });
const places = held([0, 1, 2, 4, 0, 3], [2, 3]);

export const ATTENTION = {
  Attention: [
    { name: 'causal', inputs: [x(1, 2, 3, 4), x(1, 2, 3, 4), x(1, 2, 3, 4)], attributes: { is_causal: 1 } },
    {
      name: 'grouped heads',
      inputs: [x(2, 4, 3, 2), x(2, 2, 3, 2), x(2, 2, 3, 2)],
      attributes: { is_causal: 1 },
    },
    {
      name: 'three dims',
      inputs: [x(1, 3, 8), x(1, 3, 4), x(1, 3, 4)],
      attributes: { q_num_heads: 4, kv_num_heads: 2 },
    },
    {
      name: 'unequal widths, scale',
      inputs: [x(1, 2, 2, 4), x(1, 2, 3, 4), x(1, 2, 3, 2)],
      attributes: { scale: 0.3 },
    },
    { name: 'added mask', inputs: [x(1, 2, 2, 2), x(1, 2, 3, 2), x(1, 2, 3, 2), x(2, 3)] },
    { name: 'mask by head', inputs: [x(1, 4, 2, 2), x(1, 2, 3, 2), x(1, 2, 3, 2), x(1, 4, 2, 3)] },
    {
      name: 'bool mask',
      inputs: [x(1, 2, 2, 2), x(1, 2, 3, 2), x(1, 2, 3, 2), fed('bool', [1, 0, 1, 1, 1, 0], [2, 3])],
    },
    { name: 'softcap', inputs: [x(1, 2, 2, 2), x(1, 2, 3, 2), x(1, 2, 3, 2)], attributes: { softcap: 1.5 } },
  ],
  RotaryEmbedding: [
    { name: 'four dims', inputs: [x(2, 2, 3, 4), cos, sin, places] },
    { name: 'three dims', inputs: [x(2, 3, 8), cos, sin, places], attributes: { num_heads: 2 } },
    { name: 'interleaved', inputs: [x(2, 1, 3, 4), cos, sin, places], attributes: { interleaved: 1 } },
    {
      name: 'part of a head',
      inputs: [x(2, 1, 3, 6), cos, sin, places],
      attributes: { rotary_embedding_dim: 4 },
    },
  ],
  'com.microsoft.RotaryEmbedding': [
    { name: 'three dims', inputs: [x(2, 3, 8), places, cos, sin] },
    {
      name: 'four dims, interleaved',
      inputs: [x(2, 2, 3, 4), places, cos, sin],
      attributes: { interleaved: 1 },
    },
  ],
  'com.microsoft.GroupQueryAttention': [
    {
      name: 'prompt',
      inputs: [
        x(1, 3, 32),
        x(1, 3, 16),
        x(1, 3, 16),
        undefined,
        undefined,
        fed('int32', [2]),
        fed('int32', [3], []),
      ],
      attributes: { num_heads: 4, kv_num_heads: 2 },
      outputs: 3,
    },
    {
      name: 'prompt, rotary',
      inputs: [
        x(1, 3, 32),
        x(1, 3, 16),
        x(1, 3, 16),
        undefined,
        undefined,
        fed('int32', [2]),
        fed('int32', [3], []),
        within(-1, 1, [8, 8]),
        within(-1, 1, [8, 8]),
      ],
      attributes: { num_heads: 2, kv_num_heads: 1, do_rotary: 1 },
      outputs: 3,
    },
    {
      name: 'one more token',
      inputs: [
        x(1, 1, 32),
        x(1, 1, 16),
        x(1, 1, 16),
        x(1, 2, 4, 8),
        x(1, 2, 4, 8),
        fed('int32', [2]),
        fed('int32', [3], []),
      ],
      attributes: { num_heads: 4, kv_num_heads: 2 },
      outputs: 3,
    },
  ],
  'com.microsoft.MultiHeadAttention': [
    { name: 'plain', inputs: [x(1, 2, 4), x(1, 3, 4), x(1, 3, 4)], attributes: { num_heads: 2 } },
    {
      name: 'bias',
      inputs: [x(1, 2, 4), x(1, 3, 4), x(1, 3, 4), undefined, undefined, x(1, 2, 2, 3)],
      attributes: { num_heads: 2 },
    },
    {
      name: 'causal',
      inputs: [x(1, 3, 4), x(1, 3, 4), x(1, 3, 4)],
      attributes: { num_heads: 2, unidirectional: 1 },
    },
  ],
  'com.microsoft.MoE': [
    {
      name: 'two of three experts',
      inputs: [x(4, 8), x(4, 3), x(3, 16, 8), undefined, x(3, 8, 16)],
      attributes: { k: 2, activation_type: 'relu', normalize_routing_weights: 1 },
    },
  ],
} satisfies CaseFamily;
