/** Sets of characters as Oniguruma and Rust have them, spelled for JavaScript's `v` flag. */

/** A set (content of a class) or one character. */
export type Escape = { readonly set: string } | { readonly character: string };

/** `White_Space` of Unicode: JavaScript's `\s` has U+FEFF besides and lacks U+0085. */
export const WHITE_SPACE = '\\p{White_Space}';

/** Contents of the classes `\s \d \w \h`. Inside brackets Oniguruma's `\w` has decimal digits only, outside ½ and ² too. */
export const CLASSES = {
  s: WHITE_SPACE,
  d: '\\p{Nd}',
  w: '\\p{Alphabetic}\\p{M}\\p{N}\\p{Pc}',
  wordInClass: '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}',
  h: '0-9A-Fa-f',
} as const;

export const LETTERS = /^\p{L}$/u;

/** POSIX brackets, by Oniguruma's doc/RE. */
const POSIX: Readonly<Record<string, string>> = {
  alnum: '\\p{Alphabetic}\\p{Nd}',
  alpha: '\\p{Alphabetic}',
  ascii: '\\x00-\\x7F',
  blank: '\\p{Zs}\\t',
  cntrl: '\\p{Cc}',
  digit: CLASSES.d,
  graph: '[[\\p{Any}]--[\\p{White_Space}\\p{Cc}\\p{Cn}\\p{Cs}]]',
  lower: '\\p{Lowercase}',
  print: '[[\\p{Any}]--[\\p{Cc}\\p{Cn}\\p{Cs}]]',
  punct: '\\p{P}\\p{S}',
  space: WHITE_SPACE,
  upper: '\\p{Uppercase}',
  xdigit: CLASSES.h,
  word: CLASSES.wordInClass,
};

/** The set of `\p{name}` or `[:name:]`; undefined when no such property is known. */
export function property(name: string, negative: boolean): string | undefined {
  const set = POSIX[name.toLowerCase()] ?? unicodeProperty(name);
  return set === undefined || !negative ? set : `[^${set}]`;
}

function unicodeProperty(name: string): string | undefined {
  const words = name.trim().replace(/[\s-]+/g, '_');
  const capitalized = words.replace(/(^|_)([a-z])/g, (_, before, letter) => before + letter.toUpperCase());
  for (const spelled of [words, capitalized])
    for (const candidate of [spelled, `Script=${spelled}`]) {
      try {
        new RegExp(`\\p{${candidate}}`, 'v');
        return `\\p{${candidate}}`;
      } catch {
        // Not the name of a property; the next spelling may be.
      }
    }
  return undefined;
}

/** One character that matches itself anywhere in a pattern. */
export function literal(character: string): string {
  if (/[A-Za-z0-9]/.test(character)) return character;
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

/** What a letter equals when case does not count. */
export function caseVariants(letter: string): string[] {
  const single = (text: string) => [...text].length === 1;
  const variants = [letter, letter.toLowerCase(), letter.toUpperCase()].filter(single);
  if (variants.includes('s')) variants.push('ſ');
  if (variants.includes('k')) variants.push('\u212a');
  return [...new Set(variants)];
}

/** Ranges above this length are taken as they are when case does not count. */
const MAX_FOLDED = 2048;

/** `a-b` as part of a class. */
export function range(from: string, to: string, ignoreCase: boolean): string {
  const [first, last] = [from.codePointAt(0)!, to.codePointAt(0)!];
  const plain = `${literal(from)}-${literal(to)}`;
  if (!ignoreCase || last - first > MAX_FOLDED) return plain;
  const variants = new Set<string>();
  for (let code = first; code <= last; code++) {
    const character = String.fromCodePoint(code);
    if (LETTERS.test(character)) for (const other of caseVariants(character)) variants.add(other);
  }
  return plain + [...variants].map(literal).join('');
}
