/**
 * Configuration of the dense decoder family (Llama, Qwen): Hugging Face's fields in camel case.
 *
 * 1. One dial: `denseConfig({ hiddenSize, numHiddenLayers, vocabSize })` derives the rest.
 * 2. `toHuggingFace`/`fromHuggingFace` are the only places that know config.json's spelling.
 */
import { assert, GaslawError } from '../../util/errors.ts';

export interface DenseConfig {
  readonly modelType: 'llama' | 'qwen2' | 'qwen3';
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly maxPositionEmbeddings: number;
  readonly ropeTheta: number;
  readonly rmsNormEps: number;
  readonly tieWordEmbeddings: boolean;
  /** RMSNorm on each head's query and key (Qwen3). */
  readonly qkNorm: boolean;
  /** Bias on q, k and v (Qwen2). */
  readonly attentionBias: boolean;
  /** Standard deviation of the matrices that read the residual stream; 0.9/√d unless given. */
  readonly initializerRange: number;
  readonly bosTokenId?: number;
  readonly eosTokenId?: number;
  readonly padTokenId?: number;
}

type Needed = Pick<DenseConfig, 'vocabSize' | 'hiddenSize' | 'numHiddenLayers'>;

/** A complete configuration: what is not given is derived. Throws on an impossible shape. */
export function denseConfig(given: Needed & Partial<DenseConfig>): DenseConfig {
  const heads = given.numAttentionHeads ?? Math.max(1, Math.round(given.hiddenSize / 64));
  const config: DenseConfig = {
    modelType: 'llama',
    intermediateSize: Math.ceil((given.hiddenSize * 8) / 3 / 32) * 32,
    numAttentionHeads: heads,
    numKeyValueHeads: heads,
    headDim: Math.floor(given.hiddenSize / heads),
    maxPositionEmbeddings: 256,
    ropeTheta: 10000,
    rmsNormEps: 1e-5,
    tieWordEmbeddings: false,
    qkNorm: given.modelType === 'qwen3',
    attentionBias: given.modelType === 'qwen2',
    initializerRange: 0.9 / Math.sqrt(given.hiddenSize),
    ...given,
  };
  validate(config);
  return config;
}

function validate(c: DenseConfig): void {
  const counts = {
    vocabSize: c.vocabSize,
    hiddenSize: c.hiddenSize,
    intermediateSize: c.intermediateSize,
    numHiddenLayers: c.numHiddenLayers,
    numAttentionHeads: c.numAttentionHeads,
    numKeyValueHeads: c.numKeyValueHeads,
    headDim: c.headDim,
    maxPositionEmbeddings: c.maxPositionEmbeddings,
  };
  for (const [name, value] of Object.entries(counts)) {
    assert(
      Number.isInteger(value) && value > 0,
      `model config: ${name} is ${value}; it must be a positive integer`,
    );
  }
  assert(
    c.numAttentionHeads % c.numKeyValueHeads === 0,
    `model config: numAttentionHeads ${c.numAttentionHeads} is not a multiple of numKeyValueHeads ${c.numKeyValueHeads}`,
  );
  assert(
    c.headDim % 2 === 0,
    `model config: headDim ${c.headDim} is odd; rotary embedding needs an even one`,
  );
}

/** Parameters in closed form: embedding, L blocks, final norm, head. */
export function denseParameterCount(c: DenseConfig): number {
  const attention = c.headDim * c.hiddenSize * (2 * c.numAttentionHeads + 2 * c.numKeyValueHeads);
  const biases = c.attentionBias ? c.headDim * (c.numAttentionHeads + 2 * c.numKeyValueHeads) : 0;
  const norms = 2 * c.hiddenSize + (c.qkNorm ? 2 * c.headDim : 0);
  const block = attention + biases + 3 * c.hiddenSize * c.intermediateSize + norms;
  const tables = (c.tieWordEmbeddings ? 1 : 2) * c.vocabSize * c.hiddenSize;
  return tables + c.numHiddenLayers * block + c.hiddenSize;
}

/**
 * FLOPs of one forward token at `context` positions seen on average: 2 a multiply-add over all matrices that
 * are multiplied (the input embedding is looked up), plus scores and mixing.
 */
export function denseForwardFlops(c: DenseConfig, context: number): number {
  const looked = c.tieWordEmbeddings ? 0 : c.vocabSize * c.hiddenSize;
  const attention = 4 * c.numHiddenLayers * c.numAttentionHeads * c.headDim * context;
  return 2 * (denseParameterCount(c) - looked) + attention;
}

const FIELDS: readonly (readonly [keyof DenseConfig, string])[] = [
  ['modelType', 'model_type'],
  ['vocabSize', 'vocab_size'],
  ['hiddenSize', 'hidden_size'],
  ['intermediateSize', 'intermediate_size'],
  ['numHiddenLayers', 'num_hidden_layers'],
  ['numAttentionHeads', 'num_attention_heads'],
  ['numKeyValueHeads', 'num_key_value_heads'],
  ['headDim', 'head_dim'],
  ['maxPositionEmbeddings', 'max_position_embeddings'],
  ['ropeTheta', 'rope_theta'],
  ['rmsNormEps', 'rms_norm_eps'],
  ['tieWordEmbeddings', 'tie_word_embeddings'],
  ['attentionBias', 'attention_bias'],
  ['initializerRange', 'initializer_range'],
  ['bosTokenId', 'bos_token_id'],
  ['eosTokenId', 'eos_token_id'],
  ['padTokenId', 'pad_token_id'],
];

const ARCHITECTURES = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
} as const;

/** The object of a Hugging Face config.json. */
export function toHuggingFace(config: DenseConfig): Record<string, unknown> {
  const entries = FIELDS.filter(([ours]) => config[ours] !== undefined).map(([ours, theirs]) => [
    theirs,
    config[ours],
  ]);
  return {
    architectures: [ARCHITECTURES[config.modelType]],
    ...Object.fromEntries(entries),
    hidden_act: 'silu',
    torch_dtype: 'float32',
  };
}

/** Reads a config.json object. Throws when it asks for something that this family does not have. */
export function fromHuggingFace(json: Record<string, unknown>, origin: string): DenseConfig {
  const modelType = json.model_type;
  if (modelType !== 'llama' && modelType !== 'qwen2' && modelType !== 'qwen3') {
    throw new GaslawError(`${origin}: model_type "${String(modelType)}" is not one of llama, qwen2, qwen3`);
  }
  checkSupported(json, modelType, origin);
  const ropeTheta = ropeOf(json).rope_theta ?? json.rope_theta;
  const spelled: Record<string, unknown> = { ...json, rope_theta: ropeTheta, ...firstIds(json) };
  const known = FIELDS.filter(([, theirs]) => spelled[theirs] !== undefined && spelled[theirs] !== null);
  const fields = Object.fromEntries(known.map(([ours, theirs]) => [ours, spelled[theirs]]));
  // The fields come from a file: validate() checks the shape, and every other field is optional.
  const given: Needed & Partial<DenseConfig> = { ...(fields as unknown as Needed), modelType };
  return denseConfig(modelType === 'qwen2' ? { ...given, attentionBias: true } : given);
}

/** Rotary settings: `rope_parameters` since transformers 5, `rope_scaling` before. */
const ropeOf = (json: Record<string, unknown>): Record<string, unknown> =>
  (json.rope_parameters ?? json.rope_scaling ?? {}) as Record<string, unknown>;

/** Where several ids end a text, the first one. */
function firstIds(json: Record<string, unknown>): Record<string, unknown> {
  const lists = ['bos_token_id', 'eos_token_id', 'pad_token_id'].filter(name => Array.isArray(json[name]));
  return Object.fromEntries(lists.map(name => [name, (json[name] as unknown[])[0]]));
}

/** Refuses what would silently compute something else. */
function checkSupported(
  json: Record<string, unknown>,
  modelType: DenseConfig['modelType'],
  origin: string,
): void {
  const rope = ropeOf(json);
  const ropeType = rope.rope_type ?? rope.type ?? 'default';
  const refusals: readonly (readonly [boolean, string])[] = [
    [(json.hidden_act ?? 'silu') !== 'silu', `hidden_act "${String(json.hidden_act)}"`],
    [json.mlp_bias === true, 'mlp_bias true'],
    [modelType !== 'qwen2' && json.attention_bias === true, 'attention_bias true (a bias on o_proj as well)'],
    [json.use_sliding_window === true, 'use_sliding_window true'],
    [ropeType !== 'default', `rope_type "${String(ropeType)}"`],
  ];
  const refused = refusals.find(([found]) => found);
  assert(!refused, `${origin}: ${refused?.[1]} is not supported by the ${modelType} family here`);
}
