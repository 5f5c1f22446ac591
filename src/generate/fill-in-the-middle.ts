/**
 * Prompts that ask a code model for what stands between two pieces of text (Bavarian et al. 2022, arXiv:2207.14255): the
 * text before, the text after, then the middle, each announced by a token of its own.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { GaslawError } from '../util/errors.ts';

/** What comes before the text in front, before the text behind, and before the answer. */
const FORMATS = {
  /** DeepSeek Coder, Coder-V2 and V3. */
  deepseek: ['<｜fim▁begin｜>', '<｜fim▁hole｜>', '<｜fim▁end｜>'],
  /** Qwen2.5-Coder and CodeGemma. */
  qwen: ['<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>'],
  /** StarCoder. */
  starcoder: ['<fim_prefix>', '<fim_suffix>', '<fim_middle>'],
} as const satisfies Record<string, readonly [string, string, string]>;

/**
 * The prompt for the text between `before` and `after`, in the format whose tokens the tokenizer has.
 *
 *   fillInTheMiddle(tokenizer, 'def add(a, b):\n    return ', '\n')   the model goes on with `a + b`
 *
 * Throws one sentence when the tokenizer has none of the formats.
 */
export function fillInTheMiddle(
  { special }: Pick<Tokenizer, 'special'>,
  before: string,
  after: string,
): string {
  const known = Object.values(FORMATS).find(tokens => tokens.every(token => Object.hasOwn(special, token)));
  if (!known) {
    throw new GaslawError(
      `this tokenizer has no fill-in-the-middle tokens (such as ${FORMATS.deepseek[0]} or ${FORMATS.qwen[0]}); use a code model that was trained with them`,
    );
  }
  const [prefix, suffix, middle] = known;
  return `${prefix}${before}${suffix}${after}${middle}`;
}
