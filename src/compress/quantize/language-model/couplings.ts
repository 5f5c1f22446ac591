/**
 * Channels of a language model whose size is free: a norm's weight or a matrix's rows make them, known matrices read them,
 * and nothing else does. So they can be divided where they are made and multiplied where they are read.
 *
 *   input_layernorm → q, k, v (or the compressions of latent attention)      v_proj → o_proj
 *   the feed-forward's norm → gate, up                                       up_proj → down_proj
 *   q_a_layernorm → q_b_proj     kv_a_layernorm → kv_b_proj
 *
 * 1. A value head is read by every query head of its group: their columns share its scales.
 * 2. Gemma's norms multiply by 1 + w (`offset`).
 * 3. Layers with experts keep their feed-forward as it is: the router reads the same channels.
 */
import type { CausalModel } from '../../../models/model.ts';

export interface Coupling {
  /** The parameter that makes the channels: a norm's weight [C], or a matrix [C, in]. */
  readonly source: string;
  /** A vector that is added to the channels, when there is one. */
  readonly bias?: string;
  /** What is added to the source before it multiplies. */
  readonly offset: 0 | 1;
  readonly channels: number;
  /** Matrices [out, columns] that read them. */
  readonly readers: readonly string[];
  /** The channel that each column of the readers sees. */
  readonly channelOf: Int32Array;
}

const NORMS: readonly (readonly [norm: string, readers: readonly string[]])[] = [
  ['input_layernorm', ['q_proj', 'k_proj', 'v_proj', 'q_a_proj', 'kv_a_proj_with_mqa']],
  ['self_attn.q_a_layernorm', ['q_b_proj']],
  ['self_attn.kv_a_layernorm', ['kv_b_proj']],
];

const FEED_FORWARD = ['mlp.gate_proj.weight', 'mlp.up_proj.weight', 'mlp.down_proj.weight'];

/** The couplings of all layers; empty for an architecture with other names. */
export function couplingsOf(model: CausalModel): Coupling[] {
  const dims = new Map(model.parameters.map(spec => [spec.name, spec.dims]));
  return Array.from({ length: model.layers }, (_, i) => ofLayer(model, dims, `model.layers.${i}.`)).flat();
}

type Dims = ReadonlyMap<string, readonly number[]>;

function ofLayer(model: CausalModel, dims: Dims, layer: string): Coupling[] {
  const offset = model.architecture.startsWith('gemma') ? 1 : 0;
  const norm = (name: string, readers: readonly string[]): Coupling[] => {
    const source = `${layer}${name}.weight`;
    const found = readers.map(reader => layer + reader).filter(reader => dims.has(reader));
    const channels = dims.get(source)?.[0];
    if (channels === undefined || found.length === 0) return [];
    return [
      {
        source,
        offset,
        channels,
        readers: found,
        channelOf: Int32Array.from({ length: channels }, (_, c) => c),
      },
    ];
  };
  const isPlain = [...dims.keys()]
    .filter(name => name.startsWith(`${layer}mlp.`) && name.endsWith('.weight'))
    .every(name => FEED_FORWARD.includes(name.slice(layer.length)));
  const before = dims.has(`${layer}pre_feedforward_layernorm.weight`)
    ? 'pre_feedforward_layernorm'
    : 'post_attention_layernorm';
  return [
    ...NORMS.flatMap(([name, readers]) =>
      norm(
        name,
        readers.map(reader => `self_attn.${reader}.weight`),
      ),
    ),
    ...(isPlain ? norm(before, FEED_FORWARD.slice(0, 2)) : []),
    ...rows(dims, `${layer}self_attn.v_proj`, `${layer}self_attn.o_proj`, headsOf(model)),
    ...rows(dims, `${layer}mlp.up_proj`, `${layer}mlp.down_proj`),
  ];
}

interface Heads {
  readonly width: number;
  /** Query heads that read one value head. */
  readonly group: number;
}

function headsOf(model: CausalModel): Heads {
  const {
    num_attention_heads: heads,
    num_key_value_heads: keyHeads,
    head_dim: width,
  } = model.toHuggingFace();
  return { width: Number(width), group: Number(heads) / Number(keyHeads) };
}

/** Rows of a matrix that are columns of another, or of several heads of it. */
function rows(dims: Dims, from: string, to: string, heads?: Heads): Coupling[] {
  const channels = dims.get(`${from}.weight`)?.[0];
  const columns = dims.get(`${to}.weight`)?.[1];
  if (channels === undefined || columns === undefined) return [];
  const channel = (column: number): number =>
    heads ? Math.floor(column / (heads.width * heads.group)) * heads.width + (column % heads.width) : column;
  const bias = dims.has(`${from}.bias`) ? `${from}.bias` : undefined;
  return [
    {
      source: `${from}.weight`,
      bias,
      offset: 0,
      channels,
      readers: [`${to}.weight`],
      channelOf: Int32Array.from({ length: columns }, (_, column) => channel(column)),
    },
  ];
}
