/**
 * Mixtures of K-quants, as llama.cpp names and makes them for dense models: what an error in is dearest takes more bits.
 *
 * 1. S, M and L differ in how many matrices are raised: values, outputs of attention, and the feed-forward's last.
 * 2. Of n layers the first and last eighth and every third between them count as sensitive.
 * Source: llama_tensor_get_type of llama.cpp.
 */
import { WRITABLE_TYPES, type WritableType } from '../../formats/gguf/quantize.ts';

type Raise = (layer: number, layers: number) => WritableType | undefined;

interface MixtureRule {
  readonly base: WritableType;
  /** llama.cpp's number of the file type. */
  readonly fileType: number;
  readonly value?: Raise;
  readonly attentionOutput?: Raise;
  readonly down?: Raise;
}

const eighth = (n: number): number => Math.floor(n / 8);

const sensitive = (i: number, n: number): boolean =>
  i < eighth(n) || i >= Math.floor((7 * n) / 8) || (i - eighth(n)) % 3 === 2;

const always =
  (type: WritableType): Raise =>
  () =>
    type;
const whereSensitive: Raise = (i, n) => (sensitive(i, n) ? 'Q6_K' : undefined);

const RULES = {
  Q3_K_M: {
    base: 'Q3_K',
    fileType: 12,
    value: i => (i < 2 ? 'Q5_K' : 'Q4_K'),
    attentionOutput: always('Q4_K'),
    down: (i, n) => (i < Math.floor(n / 16) ? 'Q5_K' : 'Q4_K'),
  },
  Q3_K_L: {
    base: 'Q3_K',
    fileType: 13,
    value: always('Q5_K'),
    attentionOutput: always('Q5_K'),
    down: always('Q5_K'),
  },
  Q4_K_S: {
    base: 'Q4_K',
    fileType: 14,
    value: i => (i < 4 ? 'Q5_K' : undefined),
    down: (i, n) => (i < eighth(n) ? 'Q5_K' : undefined),
  },
  Q4_K_M: { base: 'Q4_K', fileType: 15, value: whereSensitive, down: whereSensitive },
  Q5_K_M: { base: 'Q5_K', fileType: 17, value: whereSensitive, down: whereSensitive },
} as const satisfies Record<string, MixtureRule>;

export type Mixture = keyof typeof RULES;
export const MIXTURES = Object.keys(RULES) as Mixture[]; // keys of a constant

/** What a file can be asked to be of. */
export type GgufFileType = WritableType | Mixture;
export const GGUF_FILE_TYPES: readonly GgufFileType[] = [...WRITABLE_TYPES, ...MIXTURES];

export const isMixture = (type: string): type is Mixture => Object.hasOwn(RULES, type);

export const mixtureFileType = (mixture: Mixture): number => RULES[mixture].fileType;

/** The type that a mixture gives a matrix of one of `layers` layers. */
export function mixedType(mixture: Mixture, parameter: string, layers: number): WritableType {
  const rule: MixtureRule = RULES[mixture];
  const [, layer, matrix] =
    /^model\.layers\.(\d+)\..*?(v_proj|o_proj|down_proj)\.weight$/.exec(parameter) ?? [];
  const raise = { v_proj: rule.value, o_proj: rule.attentionOutput, down_proj: rule.down }[matrix ?? ''];
  return raise?.(Number(layer), layers) ?? rule.base;
}
