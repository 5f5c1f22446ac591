/**
 * Configuration of DeepSeek-V2 (arXiv:2405.04434) and DeepSeek-V3 and R1 (arXiv:2412.19437): Hugging Face's fields in camel
 * case.
 *
 * 1. One dial: `deepseekConfig({ hiddenSize, numHiddenLayers, vocabSize })` derives the rest: a latent of half the width,
 *    a rotated part of a quarter of a head, fine-grained experts.
 * 2. V2 scores experts by softmax and lets groups compete by their best expert; V3 by sigmoid, with a correction bias and
 *    the best two. That follows from `modelType`; `topkMethod` "greedy" is V2 without groups.
 * 3. V2's code scales the gates only where it does not normalize them; V3's does both.
 * 4. What a config leaves out has the value of transformers' classes. Sizes with a count of 0 experts are dense models.
 */
import { type RopeScaling, yarnMscale } from '../../nn/rope-scaling.ts';
import { assert } from '../../util/errors.ts';
import { averageKeys, checkShape, type DecoderTokens } from '../decoder-config.ts';

export const DEEPSEEK_TYPES = ['deepseek_v2', 'deepseek_v3'] as const;
export type DeepseekType = (typeof DEEPSEEK_TYPES)[number];

export const TOPK_METHODS = ['greedy', 'group_limited_greedy', 'noaux_tc'] as const;
export type TopkMethod = (typeof TOPK_METHODS)[number];

export interface DeepseekConfig extends DecoderTokens {
  readonly modelType: DeepseekType;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  /** Inner width of dense layers. */
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly maxPositionEmbeddings: number;
  /** Width of the queries' latent; queries are not compressed when absent. */
  readonly qLoraRank?: number;
  readonly kvLoraRank: number;
  readonly qkNopeHeadDim: number;
  readonly qkRopeHeadDim: number;
  readonly vHeadDim: number;
  /** Inner width of one expert. */
  readonly moeIntermediateSize: number;
  /** 0 in a model without experts. */
  readonly nRoutedExperts: number;
  readonly nSharedExperts: number;
  readonly numExpertsPerTok: number;
  readonly nGroup: number;
  readonly topkGroup: number;
  readonly topkMethod: TopkMethod;
  readonly normTopkProb: boolean;
  readonly routedScalingFactor: number;
  /** Layers at the beginning that are dense. */
  readonly firstKDenseReplace: number;
  /** Of the others, every n-th has experts. */
  readonly moeLayerFreq: number;
  /** Multi-token prediction modules that the published files hold beside the model. */
  readonly numNextnPredictLayers: number;
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling;
  /** Rotate adjacent pairs (all published models) instead of halves. */
  readonly ropeInterleave: boolean;
  readonly rmsNormEps: number;
  readonly attentionBias: boolean;
  readonly tieWordEmbeddings: boolean;
  /** Standard deviation of the matrices that read the residual stream; 0.9/√d unless given. */
  readonly initializerRange: number;
}

type Needed = Pick<DeepseekConfig, 'vocabSize' | 'hiddenSize' | 'numHiddenLayers'>;

/**
 * A complete configuration: what is not given is derived. Throws on an impossible shape.
 * @param origin what errors begin with
 */
export function deepseekConfig(
  given: Needed & Partial<DeepseekConfig>,
  origin = 'model config',
): DeepseekConfig {
  const d = given.hiddenSize;
  const heads = given.numAttentionHeads ?? Math.max(1, Math.round(d / 32));
  const head = Math.max(8, Math.floor(d / heads / 8) * 8);
  const intermediate = given.intermediateSize ?? Math.ceil((d * 8) / 3 / 32) * 32;
  const modelType = given.modelType ?? 'deepseek_v3';
  const config: DeepseekConfig = {
    modelType,
    intermediateSize: intermediate,
    numAttentionHeads: heads,
    maxPositionEmbeddings: 256,
    kvLoraRank: d / 2,
    qkNopeHeadDim: head,
    qkRopeHeadDim: Math.max(8, head / 2),
    vHeadDim: head,
    moeIntermediateSize: Math.ceil(intermediate / 4 / 8) * 8,
    nRoutedExperts: 16,
    nSharedExperts: 1,
    numExpertsPerTok: 3,
    nGroup: 1,
    topkGroup: 1,
    topkMethod: modelType === 'deepseek_v3' ? 'noaux_tc' : 'greedy',
    normTopkProb: modelType === 'deepseek_v3',
    routedScalingFactor: 1,
    firstKDenseReplace: 1,
    moeLayerFreq: 1,
    numNextnPredictLayers: 0,
    ropeTheta: 10000,
    ropeInterleave: true,
    rmsNormEps: 1e-6,
    attentionBias: false,
    tieWordEmbeddings: false,
    initializerRange: 0.9 / Math.sqrt(d),
    ...given,
  };
  checkConfig(config, origin);
  return config;
}

const COUNTS = [
  'kvLoraRank',
  'qkNopeHeadDim',
  'vHeadDim',
  'moeIntermediateSize',
  'numExpertsPerTok',
  'nGroup',
  'topkGroup',
  'moeLayerFreq',
] as const;

/** Experts of all layers together, which are traced one by one; DeepSeek-V3 has 14,848. */
const MOST_EXPERTS = 2 ** 17;

function checkConfig(c: DeepseekConfig, origin: string): void {
  checkShape({ ...c, numKeyValueHeads: c.numAttentionHeads, headDim: c.qkRopeHeadDim }, origin);
  for (const name of COUNTS) {
    const value = c[name];
    assert(
      Number.isSafeInteger(value) && value > 0 && value <= 2 ** 24,
      `${origin}: ${name} is ${value}; it must be a positive integer`,
    );
  }
  assert(
    c.nRoutedExperts * c.numHiddenLayers <= MOST_EXPERTS,
    `${origin}: ${c.numHiddenLayers} layers of nRoutedExperts ${c.nRoutedExperts} are more than the ${MOST_EXPERTS} supported`,
  );
  if (c.nRoutedExperts === 0) return;
  const { nRoutedExperts: experts, nGroup, topkGroup, numExpertsPerTok: chosen } = c;
  assert(
    experts % nGroup === 0 && topkGroup <= nGroup,
    `${origin}: ${experts} experts do not divide into ${nGroup} groups of which ${topkGroup} win`,
  );
  assert(
    chosen <= (experts / nGroup) * topkGroup,
    `${origin}: numExpertsPerTok is ${chosen}, but ${topkGroup} groups hold ${(experts / nGroup) * topkGroup} experts`,
  );
  assert(
    c.modelType === 'deepseek_v2' || nGroup === 1 || experts / nGroup >= 2,
    `${origin}: groups of one expert have no best two`,
  );
}

/** Whether layer `i` has experts. */
export const isSparse = (c: DeepseekConfig, i: number): boolean =>
  c.nRoutedExperts > 0 && i >= c.firstKDenseReplace && i % c.moeLayerFreq === 0;

/** Scale of the scores: 1/√(nope + rope), times the square of YaRN's mscale over all dimensions. */
export function scoreScale(c: DeepseekConfig): number {
  const scaling = c.ropeScaling;
  const sharpened =
    scaling?.ropeType === 'yarn' && scaling.mscaleAllDim
      ? yarnMscale(scaling.factor, scaling.mscaleAllDim) ** 2
      : 1;
  return sharpened / Math.sqrt(c.qkNopeHeadDim + c.qkRopeHeadDim);
}

/** Positions that the model was trained on before its context was stretched. */
export const trainedPositions = ({ ropeScaling, maxPositionEmbeddings }: DeepseekConfig): number =>
  ropeScaling?.ropeType === 'yarn' ? ropeScaling.originalMaxPositionEmbeddings : maxPositionEmbeddings;

// ---- closed forms ----

interface Counts {
  readonly total: number;
  /** Of these, what one token's computation reads: all but the experts it does not go to. */
  readonly active: number;
}

/** Parameters in closed form: embedding, L blocks, final norm, head; without multi-token prediction. */
export function deepseekParameters(c: DeepseekConfig): Counts {
  const tables = (c.tieWordEmbeddings ? 1 : 2) * c.vocabSize * c.hiddenSize + c.hiddenSize;
  const layers = Array.from({ length: c.numHiddenLayers }, (_, i) => blockParameters(c, isSparse(c, i)));
  return {
    total: tables + layers.reduce((sum, layer) => sum + layer.total, 0),
    active: tables + layers.reduce((sum, layer) => sum + layer.active, 0),
  };
}

export function blockParameters(c: DeepseekConfig, sparse: boolean): Counts {
  const d = c.hiddenSize;
  const rest = attentionParameters(c) + 2 * d;
  if (!sparse) return { total: rest + 3 * d * c.intermediateSize, active: rest + 3 * d * c.intermediateSize };
  const expert = 3 * d * c.moeIntermediateSize;
  const bias = c.topkMethod === 'noaux_tc' ? c.nRoutedExperts : 0;
  const always = rest + c.nRoutedExperts * d + bias + c.nSharedExperts * expert;
  return { total: always + c.nRoutedExperts * expert, active: always + c.numExpertsPerTok * expert };
}

function attentionParameters(c: DeepseekConfig): number {
  const { hiddenSize: d, numAttentionHeads: heads, kvLoraRank: r, qLoraRank: q } = c;
  const query = heads * (c.qkNopeHeadDim + c.qkRopeHeadDim);
  const queries = q === undefined ? d * query : d * q + q + q * query;
  const latent = d * (r + c.qkRopeHeadDim) + r;
  const biases = c.attentionBias ? (q ?? 0) + r + c.qkRopeHeadDim + d : 0;
  return queries + latent + r * heads * (c.qkNopeHeadDim + c.vHeadDim) + heads * c.vHeadDim * d + biases;
}

/**
 * FLOPs of one forward token at `context` positions seen on average, in the plain form: 2 a multiply-add over the active
 * matrices (the input embedding is looked up), plus scores and mixing.
 */
export function deepseekForwardFlops(c: DeepseekConfig, context: number): number {
  const looked = c.tieWordEmbeddings ? 0 : c.vocabSize * c.hiddenSize;
  const perKey = 2 * c.numAttentionHeads * (c.qkNopeHeadDim + c.qkRopeHeadDim + c.vHeadDim);
  const attention = c.numHiddenLayers * perKey * averageKeys(context);
  return 2 * (deepseekParameters(c).active - looked) + attention;
}
