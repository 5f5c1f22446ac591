/**
 * Configuration of Qwen3-MoE (30B-A3B, 235B-A22B; arXiv:2505.09388): Qwen3's attention, and experts in the place of most
 * feed-forward networks.
 *
 * 1. What it shares with Qwen3 is a `DenseConfig`; config.json's spelling of that is read and written there.
 * 2. Gates are softmax over all experts; no expert is shared, none is corrected.
 */
import { assert } from '../../util/errors.ts';
import {
  type DenseConfig,
  denseConfig,
  denseForwardFlops,
  fromHuggingFace as denseFromHuggingFace,
  denseParameterCount,
  toHuggingFace as denseToHuggingFace,
} from '../dense/config.ts';
import { defined, Fields } from '../fields.ts';

export interface Qwen3MoeConfig extends DenseConfig {
  readonly numExperts: number;
  readonly numExpertsPerTok: number;
  /** Inner width of one expert. */
  readonly moeIntermediateSize: number;
  readonly normTopkProb: boolean;
  /** Every n-th layer has experts … */
  readonly decoderSparseStep: number;
  /** … but for these. */
  readonly mlpOnlyLayers: readonly number[];
}

type Needed = Pick<Qwen3MoeConfig, 'vocabSize' | 'hiddenSize' | 'numHiddenLayers'>;

/** Experts of all layers together, which are traced one by one; the largest published model has 12,032. */
const MOST_EXPERTS = 2 ** 17;

/**
 * A complete configuration: what is not given is derived, experts a quarter as wide as the dense network. Throws on an
 * impossible shape.
 * @param origin what errors begin with
 */
export function qwen3MoeConfig(
  given: Needed & Partial<Qwen3MoeConfig>,
  origin = 'model config',
): Qwen3MoeConfig {
  const dense = denseConfig({ ...given, modelType: 'qwen3' }, origin);
  const config: Qwen3MoeConfig = {
    numExperts: 16,
    numExpertsPerTok: 4,
    moeIntermediateSize: Math.ceil(dense.intermediateSize / 4 / 8) * 8,
    normTopkProb: true,
    decoderSparseStep: 1,
    mlpOnlyLayers: [],
    ...given,
    ...dense,
  };
  checkExperts(config, origin);
  return config;
}

function checkExperts(c: Qwen3MoeConfig, origin: string): void {
  for (const name of ['numExperts', 'numExpertsPerTok', 'moeIntermediateSize', 'decoderSparseStep'] as const)
    assert(
      Number.isSafeInteger(c[name]) && c[name] > 0 && c[name] <= 2 ** 24,
      `${origin}: ${name} is ${c[name]}; it must be a positive integer`,
    );
  assert(
    c.numExpertsPerTok <= c.numExperts,
    `${origin}: numExpertsPerTok is ${c.numExpertsPerTok} but there are ${c.numExperts} experts`,
  );
  assert(
    c.numExperts * c.numHiddenLayers <= MOST_EXPERTS,
    `${origin}: ${c.numHiddenLayers} layers of numExperts ${c.numExperts} are more than the ${MOST_EXPERTS} supported`,
  );
}

/** Whether layer `i` has experts. */
export const isSparse = (c: Qwen3MoeConfig, i: number): boolean =>
  (i + 1) % c.decoderSparseStep === 0 && !c.mlpOnlyLayers.includes(i);

// ---- closed forms ----

const sparseLayers = (c: Qwen3MoeConfig): number =>
  Array.from({ length: c.numHiddenLayers }, (_, i) => isSparse(c, i)).filter(Boolean).length;

/** Parameters beyond those of the dense model, of which `experts` are counted in a sparse layer. */
const added = (c: Qwen3MoeConfig, experts: number): number =>
  sparseLayers(c) *
  (c.hiddenSize * c.numExperts + 3 * c.hiddenSize * (experts * c.moeIntermediateSize - c.intermediateSize));

/** Parameters in all, and those that one token's computation reads. */
export const qwen3MoeParameters = (c: Qwen3MoeConfig): { total: number; active: number } => ({
  total: denseParameterCount(c) + added(c, c.numExperts),
  active: denseParameterCount(c) + added(c, c.numExpertsPerTok),
});

/** FLOPs of one forward token at `context` positions seen on average. */
export const qwen3MoeForwardFlops = (c: Qwen3MoeConfig, context: number): number =>
  denseForwardFlops(c, context) + 2 * added(c, c.numExpertsPerTok);

// ---- config.json ----

/** The object of a Hugging Face config.json. */
export const toHuggingFace = (c: Qwen3MoeConfig): Record<string, unknown> => ({
  ...denseToHuggingFace(c),
  architectures: ['Qwen3MoeForCausalLM'],
  model_type: 'qwen3_moe',
  num_experts: c.numExperts,
  num_experts_per_tok: c.numExpertsPerTok,
  moe_intermediate_size: c.moeIntermediateSize,
  norm_topk_prob: c.normTopkProb,
  decoder_sparse_step: c.decoderSparseStep,
  mlp_only_layers: c.mlpOnlyLayers,
});

/** Reads a config.json object. Throws when it asks for something that this family does not have. */
export function fromHuggingFace(json: Record<string, unknown>, origin: string): Qwen3MoeConfig {
  const config = new Fields(json, origin);
  assert(
    !config.boolean('use_sliding_window'),
    `${origin}: use_sliding_window is not supported in qwen3_moe`,
  );
  const headDim = config.count('head_dim') ?? Number(json.hidden_size) / Number(json.num_attention_heads);
  const dense = denseFromHuggingFace({ ...json, model_type: 'qwen3', head_dim: headDim }, origin);
  return qwen3MoeConfig({ ...dense, ...expertsFromFields(config) }, origin);
}

const expertsFromFields = (config: Fields) => ({
  numExperts: config.count('num_experts') ?? config.count('num_local_experts') ?? 128,
  numExpertsPerTok: config.count('num_experts_per_tok') ?? 8,
  moeIntermediateSize: config.count('moe_intermediate_size') ?? 768,
  ...defined({
    normTopkProb: config.boolean('norm_topk_prob') ?? false,
    decoderSparseStep: config.count('decoder_sparse_step'),
    mlpOnlyLayers: config.indices('mlp_only_layers'),
  }),
});
