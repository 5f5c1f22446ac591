/**
 * Two digit alphabets, so that a tiny model can have "languages" to mix up.
 *
 * 1. A digit is one code point in either alphabet and numbers are written positionally in both, so conversion
 *    is a substitution and every response has the same length in both languages.
 * 2. Language consistency is the share of digit characters in the wanted alphabet, as R1 counts words (R1 §2.3.2).
 *    A text without digits has share 0: silence must not be the way to be consistent.
 */
export const DIGITS = {
  arabic: '0123456789',
  chinese: '〇一二三四五六七八九',
} as const;

export type Language = keyof typeof DIGITS;

export const LANGUAGES = Object.keys(DIGITS) as Language[];

const VALUES = new Map<string, number>(
  LANGUAGES.flatMap(language => [...DIGITS[language]].map((digit, i): [string, number] => [digit, i])),
);

const ANY_DIGIT = /[0-9〇一二三四五六七八九]/gu;

/** `text` with every digit of either alphabet written in `language`; all else unchanged. */
export function convertDigits(text: string, language: Language): string {
  const alphabet = DIGITS[language];
  return text.replace(ANY_DIGIT, digit => alphabet[VALUES.get(digit)!]!);
}

/** Share of the digit characters of `text` that are in `language`, in [0, 1]; 0 when there are none. */
export function languageShare(text: string, language: Language): number {
  const digits = text.match(ANY_DIGIT) ?? [];
  const own = digits.filter(digit => DIGITS[language].includes(digit)).length;
  return digits.length === 0 ? 0 : own / digits.length;
}

/**
 * The numbers of two and more digits up to `largest`, in both alphabets: extra tokens for a tokenizer. With one token a
 * number, tiny models learn the arithmetic and the comparison with a target far sooner than with one token a digit.
 */
export function numberTokens(largest = 99): string[] {
  const numbers = Array.from({ length: Math.max(0, largest - 9) }, (_, i) => String(i + 10));
  return LANGUAGES.flatMap(language => numbers.map(number => convertDigits(number, language)));
}
