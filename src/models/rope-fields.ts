/**
 * Rotary settings as config.json spells them.
 *
 * 1. transformers 5 writes one object, `rope_parameters`, θ included; before, `rope_theta` stood alone and `rope_scaling`
 *    held the scheme, its kind under `rope_type` or, earlier still, `type`. All are read. The older spelling is written:
 *    every version of transformers reads it, and so do llama.cpp's converter and transformers.js.
 * 2. A scheme that is not known is refused by name: its model would compute, and be wrong.
 */
import type { RopeScaling } from '../nn/rope-scaling.ts';
import { assert, GaslawError } from '../util/errors.ts';
import { defined, type Fields } from './fields.ts';

export interface RopeSettings {
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling;
}

const KNOWN = ['default', 'linear', 'llama3', 'yarn'];

/** θ and scheme of a whole config, or of the part of it that `rope` is. */
export function ropeFromFields(config: Fields, defaultTheta = 10000): RopeSettings {
  const rope = config.object('rope_parameters') ?? config.object('rope_scaling');
  const ropeTheta = rope?.positive('rope_theta') ?? config.positive('rope_theta') ?? defaultTheta;
  return defined({ ropeTheta, ropeScaling: rope && scalingFromFields(rope, config) });
}

/** The scheme in a rope object of `config`; undefined when it is the plain one. */
export function scalingFromFields(rope: Fields, config: Fields): RopeScaling | undefined {
  const ropeType = rope.text('rope_type') ?? rope.text('type') ?? 'default';
  const partial = rope.number('partial_rotary_factor') ?? config.number('partial_rotary_factor') ?? 1;
  assert(
    partial === 1,
    `${rope.origin}: partial_rotary_factor ${partial} is not supported; whole heads are rotated`,
  );
  if (ropeType === 'default') return undefined;
  if (ropeType === 'linear') return { ropeType, factor: factorOf(rope) };
  if (ropeType === 'llama3') return llama3Of(rope, config);
  if (ropeType === 'yarn') return yarnOf(rope, config);
  throw new GaslawError(
    `${rope.origin}: rope_type "${ropeType}" is not supported; known are ${KNOWN.join(', ')}`,
  );
}

const factorOf = (rope: Fields): number => rope.required('factor', rope.positive('factor'));

/** Positions before the context was stretched; the whole context when it is not said. */
const originalPositions = (rope: Fields, config: Fields): number =>
  rope.count('original_max_position_embeddings') ??
  config.required('max_position_embeddings', config.count('max_position_embeddings'));

function llama3Of(rope: Fields, config: Fields): RopeScaling {
  const needed = (name: string) => rope.required(name, rope.positive(name));
  const [lowFreqFactor, highFreqFactor] = [needed('low_freq_factor'), needed('high_freq_factor')];
  assert(
    lowFreqFactor < highFreqFactor,
    `${rope.origin}: low_freq_factor ${lowFreqFactor} is not below high_freq_factor ${highFreqFactor}`,
  );
  return {
    ropeType: 'llama3',
    factor: factorOf(rope),
    lowFreqFactor,
    highFreqFactor,
    originalMaxPositionEmbeddings: originalPositions(rope, config),
  };
}

function yarnOf(rope: Fields, config: Fields): RopeScaling {
  const original = originalPositions(rope, config);
  return defined({
    ropeType: 'yarn',
    factor: rope.positive('factor') ?? config.required('factor', stretch(config, original)),
    originalMaxPositionEmbeddings: original,
    betaFast: rope.positive('beta_fast'),
    betaSlow: rope.positive('beta_slow'),
    mscale: rope.number('mscale'),
    mscaleAllDim: rope.number('mscale_all_dim'),
    attentionFactor: rope.positive('attention_factor'),
    truncate: rope.boolean('truncate'),
  });
}

const stretch = (config: Fields, original: number): number | undefined => {
  const positions = config.count('max_position_embeddings');
  return positions === undefined ? undefined : positions / original;
};

const SPELLING = {
  ropeType: 'rope_type',
  factor: 'factor',
  lowFreqFactor: 'low_freq_factor',
  highFreqFactor: 'high_freq_factor',
  originalMaxPositionEmbeddings: 'original_max_position_embeddings',
  betaFast: 'beta_fast',
  betaSlow: 'beta_slow',
  mscale: 'mscale',
  mscaleAllDim: 'mscale_all_dim',
  attentionFactor: 'attention_factor',
  truncate: 'truncate',
} as const;

/** The object of `rope_scaling`; undefined for the plain scheme. */
export const scalingToJson = (scaling: RopeScaling | undefined): Record<string, unknown> | undefined =>
  scaling &&
  Object.fromEntries(
    Object.entries(scaling).map(([name, value]) => [SPELLING[name as keyof typeof SPELLING], value]),
  );
