/** The pipelines of published families against Hugging Face tokenizers (bench/peers/reference_tokenizers.py). */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadTokenizer } from '../load.ts';
import type { Tokenizer } from '../tokenizer.ts';

type Case = [ids: number[], decoded: string, skipped: string];

interface Reference {
  readonly models: Readonly<Record<string, object>>;
  readonly texts: readonly string[];
  readonly families: readonly {
    readonly name: string;
    readonly model: string;
    readonly options: object;
    readonly file: object;
    readonly surrounded: readonly number[];
    readonly cases: readonly Case[];
  }[];
}

const reference: Reference = JSON.parse(
  readFileSync(new URL('../fixtures/pipelines.json', import.meta.url), 'utf8'),
);

const families = reference.families.map(family => {
  const file = { ...family.file, model: { ...reference.models[family.model], ...family.options } };
  // Roles play no part in these files; any token will do.
  const [eos] = Object.keys((file.model as { vocab?: object }).vocab ?? {});
  const config = { eos_token: family.model === 'unigram' ? '<unk>' : eos };
  return { ...family, tokenizer: loadTokenizer(file, config) };
});

describe.each(families)('$name', ({ tokenizer, cases, surrounded }) => {
  it('encodes and decodes as they do', () => {
    const ours = reference.texts.map(text => {
      const ids = tokenizer.encode(text);
      return [text, ids, tokenizer.decode(ids), tokenizer.decode(ids, { skipControl: true })];
    });
    expect(ours).toEqual(reference.texts.map((text, i) => [text, ...cases[i]!]));
  });

  it('puts the same tokens around a text', () => {
    expect(tokenizer.encode('ab', { addSpecial: true })).toEqual(surrounded);
  });
});

const named = (name: string): Tokenizer => families.find(family => family.name === name)!.tokenizer;

describe('decoding what was encoded', () => {
  it.each(['gpt2', 'llama3', 'o200k', 'possessive', 'deepseek-llm', 'deepseek-coder', 'deepseek-v3'])(
    'gives any text back: %s',
    name => {
      const tokenizer = named(name);
      const special = Object.keys(tokenizer.special);
      const piece = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.constantFrom(...special, ' ', '\n', '\r\n', '  ', 'a', '1', '中'),
      );
      fc.assert(
        fc.property(fc.array(piece), pieces => {
          const text = pieces.join('');
          expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
        }),
      );
    },
  );

  it('gives back text in composed form where the pipeline composes it', () => {
    const tokenizer = named('qwen2');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.normalize('NFC'));
      }),
    );
  });

  it('takes a lone surrogate for the replacement character', () => {
    expect(named('gpt2').decode(named('gpt2').encode('a\ud800b'))).toBe('a\ufffdb');
  });
});

describe('long words', () => {
  it('of a pipeline that does not cut them are merged in time n log n', () => {
    const text = 'the quick brown fox '.repeat(2_000);
    const once = named('llama2').encode('the quick brown fox the quick brown fox ');
    expect(named('llama2').encode(text).length).toBeGreaterThan(once.length * 900);
    expect(named('llama2').decode(named('llama2').encode(text))).toBe(text);
  });
});
