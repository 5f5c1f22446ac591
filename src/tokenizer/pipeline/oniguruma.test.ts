/** Expressions against Oniguruma itself, as Hugging Face tokenizers runs it (bench/peers/reference_tokenizers.py). */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GaslawError } from '../../util/errors.ts';
import { cutAt } from './delimiters.ts';
import { fromOniguruma } from './oniguruma.ts';

const { patternText, patterns }: { patternText: string; patterns: [string, string[]][] } = JSON.parse(
  readFileSync(new URL('../fixtures/pipelines.json', import.meta.url), 'utf8'),
);

const cut = (pattern: string, text: string): string[] => {
  const out: string[] = [];
  cutAt(fromOniguruma(pattern), 'Isolated')(text, out);
  return out;
};

describe('fromOniguruma', () => {
  it.each(patterns)('cuts at %s as Oniguruma does', (pattern, pieces) => {
    expect(cut(pattern, patternText)).toEqual(pieces);
  });

  it.each([
    ['a(b', /unmatched "\("/],
    ['a)b', /unmatched "\)"/],
    ['[a', /unmatched "\["/],
    ['\\p{Nonsense}', /property Nonsense/],
    ['[[:nonsense:]]', /\[:nonsense:\]/],
    ['\\Gx', /\\G/],
    ['(?~a)', /this kind of group/],
    ['[b-a]', /empty range/],
    ['\\x{110000}', /code point 110000/],
    ['a\\', /backslash at the end/],
    ['*', /quantifier of nothing/],
    ['\\k<a>', /not understood/],
  ])('refuses %s by name', (pattern, message) => {
    expect(() => fromOniguruma(pattern)).toThrow(message);
  });

  it('translates or refuses whatever it is given', () => {
    const token = fc.constantFrom(
      ...'()[]{}|*+?^$.\\-:,&<>=!#'.split(''),
      '\\p{L}',
      '(?i:',
      '(?<',
      'a',
      '1',
      'é',
      '😀',
    );
    fc.assert(
      fc.property(fc.array(token), tokens => {
        try {
          fromOniguruma(tokens.join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(GaslawError);
        }
      }),
    );
  });
});
