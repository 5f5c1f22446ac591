/**
 * Rotary frequencies [D/2], and what the published schemes do to them so that a model reads further than it was trained.
 *
 * 1. Plain: f_i = θ^(−2i/D) (Su et al. 2021). `linear` divides all by the factor (Chen et al. 2023, arXiv:2306.15595).
 * 2. `llama3` divides long waves by the factor, keeps short ones, and blends between (Llama 3.1's released code).
 * 3. `yarn` does so by the number of turns within the trained context, and scales cos and sin by an attention factor
 *    (Peng et al. 2023, arXiv:2309.00071). DeepSeek's `mscale` and `mscaleAllDim` make that factor a quotient; the
 *    softmax scale that goes with them is the model's own matter: see `yarnMscale`.
 * 4. Computed in float64. Hugging Face rounds frequencies and angles to float32, which is less than 1e-7 of an angle.
 */

export interface LinearScaling {
  readonly ropeType: 'linear';
  readonly factor: number;
}

export interface Llama3Scaling {
  readonly ropeType: 'llama3';
  readonly factor: number;
  /** Waves that turn fewer times than this within the trained context are stretched. */
  readonly lowFreqFactor: number;
  /** Waves that turn more often than this are kept. */
  readonly highFreqFactor: number;
  /** Positions that the model was trained on before. */
  readonly originalMaxPositionEmbeddings: number;
}

export interface YarnScaling {
  readonly ropeType: 'yarn';
  readonly factor: number;
  readonly originalMaxPositionEmbeddings: number;
  /** Turns within the trained context above which waves are kept; 32 when absent. */
  readonly betaFast?: number;
  /** Turns below which waves are stretched; 1 when absent. */
  readonly betaSlow?: number;
  readonly mscale?: number;
  readonly mscaleAllDim?: number;
  /** Scale of cos and sin; follows from the factor when absent. */
  readonly attentionFactor?: number;
  /** Whether the blend begins and ends at whole dimensions; true when absent. */
  readonly truncate?: boolean;
}

export type RopeScaling = LinearScaling | Llama3Scaling | YarnScaling;

export interface RopeOptions {
  /** Rotated width of a head, D. */
  readonly headDim: number;
  readonly theta: number;
  readonly scaling?: RopeScaling;
}

export interface RopeFrequencies {
  /** Radians a position [D/2], fastest first. */
  readonly frequencies: readonly number[];
  /** What cos and sin are multiplied by; 1 but for YaRN. */
  readonly attentionFactor: number;
}

/** The frequencies of a rotary embedding. */
export function ropeFrequencies({ headDim, theta, scaling }: RopeOptions): RopeFrequencies {
  const plain = Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
  switch (scaling?.ropeType) {
    case undefined:
      return { frequencies: plain, attentionFactor: 1 };
    case 'linear':
      return { frequencies: plain.map(f => f / scaling.factor), attentionFactor: 1 };
    case 'llama3':
      return { frequencies: plain.map(f => llama3Frequency(f, scaling)), attentionFactor: 1 };
    case 'yarn':
      return {
        frequencies: yarnFrequencies(plain, headDim, theta, scaling),
        attentionFactor: yarnAttentionFactor(scaling),
      };
  }
}

/** With t turns in the trained context and s = (t − low) / (high − low) within [0, 1]: s f + (1 − s) f / factor. */
function llama3Frequency(f: number, s: Llama3Scaling): number {
  const turns = (s.originalMaxPositionEmbeddings * f) / (2 * Math.PI);
  const kept = clamp((turns - s.lowFreqFactor) / (s.highFreqFactor - s.lowFreqFactor));
  return kept * f + (1 - kept) * (f / s.factor);
}

/** Kept up to the dimension that turns `betaFast` times, divided from the one that turns `betaSlow` times, a ramp between. */
function yarnFrequencies(plain: readonly number[], headDim: number, theta: number, s: YarnScaling): number[] {
  const whole = s.truncate ?? true;
  const at = (turns: number): number =>
    (headDim * Math.log(s.originalMaxPositionEmbeddings / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [first, last] = [at(s.betaFast ?? 32), at(s.betaSlow ?? 1)];
  const low = Math.max(whole ? Math.floor(first) : first, 0);
  const high = Math.min(whole ? Math.ceil(last) : last, headDim - 1);
  const ramp = high === low ? 0.001 : high - low;
  return plain.map((f, i) => {
    const stretched = clamp((i - low) / ramp);
    return f * (1 - stretched) + (f / s.factor) * stretched;
  });
}

/** 0.1 · mscale · ln(factor) + 1: by how much attention is sharpened over a context `factor` times as long. */
export const yarnMscale = (factor: number, mscale = 1): number =>
  factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;

function yarnAttentionFactor({ factor, mscale, mscaleAllDim, attentionFactor }: YarnScaling): number {
  if (attentionFactor !== undefined) return attentionFactor;
  if (mscale && mscaleAllDim) return yarnMscale(factor, mscale) / yarnMscale(factor, mscaleAllDim);
  return yarnMscale(factor);
}

const clamp = (x: number): number => Math.min(1, Math.max(0, x));
