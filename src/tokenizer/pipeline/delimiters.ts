/** Cutting text at matches, and what becomes of the matches (Hugging Face's `SplitDelimiterBehavior`). */
import { z } from 'zod';
import type { Pattern } from './component.ts';
import { escapeText, fromOniguruma } from './oniguruma.ts';

export const delimiterBehavior = z.enum([
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
]);
export type DelimiterBehavior = z.infer<typeof delimiterBehavior>;

/** From `start` to `end`; whether it is a delimiter. */
export type Range = [start: number, end: number, isDelimiter: boolean];

/** Appends the parts of a text to `out`; true when the first part begins where the text does. */
export type Cut = (text: string, out: string[]) => boolean;

/** Text that is matched literally, or an expression in Oniguruma's syntax. */
export const expressionOf = (pattern: Pattern): RegExp =>
  'Regex' in pattern ? fromOniguruma(pattern.Regex) : new RegExp(escapeText(pattern.String), 'gv');

/** A cut at the matches of a global expression; with `invert` the matches are kept and what is between them delimits. */
export function cutAt(expression: RegExp, behavior: DelimiterBehavior, invert = false): Cut {
  const kept = BEHAVIORS[behavior];
  return (text, out) => {
    if (behavior === 'Isolated' && cutWhole(expression, text, out)) return true;
    const ranges = kept(rangesOf(expression, text, invert));
    for (const [start, end] of ranges) if (end > start) out.push(text.slice(start, end));
    return ranges.length > 0 && ranges[0]![0] === 0;
  };
}

/** The usual case at once: the matches are the whole text. */
function cutWhole(expression: RegExp, text: string, out: string[]): boolean {
  const matches = text.match(expression);
  if (matches === null) {
    out.push(text);
    return true;
  }
  let length = 0;
  for (const match of matches) length += match.length;
  if (length !== text.length) return false;
  for (const match of matches) if (match !== '') out.push(match);
  return true;
}

function rangesOf(expression: RegExp, text: string, invert: boolean): Range[] {
  const ranges: Range[] = [];
  let last = 0;
  for (const match of text.matchAll(expression)) {
    const end = match.index + match[0].length;
    if (last !== match.index) ranges.push([last, match.index, invert]);
    ranges.push([match.index, end, !invert]);
    last = end;
  }
  if (last !== text.length) ranges.push([last, text.length, invert]);
  return ranges;
}

const BEHAVIORS: Readonly<Record<DelimiterBehavior, (ranges: Range[]) => Range[]>> = {
  Isolated: ranges => ranges,
  Removed: ranges => ranges.filter(range => !range[2]),
  Contiguous: joinEqual,
  MergedWithPrevious: ranges => joinAlternating(ranges, (last, next) => (last[1] = next[1])),
  MergedWithNext: ranges =>
    joinAlternating([...ranges].reverse(), (last, next) => (last[0] = next[0])).reverse(),
};

/** Neighbours of one kind become one. */
function joinEqual(ranges: Range[]): Range[] {
  const joined: Range[] = [];
  for (const range of ranges) {
    const last = joined.at(-1);
    if (last && last[2] === range[2]) last[1] = range[1];
    else joined.push([...range]);
  }
  return joined;
}

/** A delimiter joins the part before it, unless that ends with a delimiter. */
function joinAlternating(ranges: Range[], join: (last: Range, next: Range) => void): Range[] {
  const joined: Range[] = [];
  let wasDelimiter = false;
  for (const range of ranges) {
    const last = joined.at(-1);
    if (last && range[2] && !wasDelimiter) join(last, range);
    else joined.push([...range]);
    wasDelimiter = range[2];
  }
  return joined;
}
