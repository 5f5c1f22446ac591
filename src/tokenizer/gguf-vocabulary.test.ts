import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GaslawError } from '../util/errors.ts';
import { byteTokenizer } from './byte.ts';
import { CharacterTokenizer } from './character.ts';
import { type GgufEntry, ggufTokenizer, ggufVocabulary } from './gguf-vocabulary.ts';
import { nameOfSplit } from './known-splits.ts';
import { loadTokenizer } from './load.ts';
import { readSentencePiece } from './sentencepiece/model-file.ts';
import { trainBpe } from './train-bpe.ts';

const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), 'utf8'));

interface Family {
  readonly name: string;
  readonly model: string;
  readonly options: object;
  readonly file: { readonly pre_tokenizer: unknown };
  readonly cases: readonly [number[], string, string][];
}

const pipelines: { texts: string[]; families: Family[]; models: Record<string, object> } =
  fixture('pipelines');

const family = (name: string) => {
  const found = pipelines.families.find(f => f.name === name)!;
  const file = { ...found.file, model: { ...pipelines.models[found.model], ...found.options } };
  return { ...found, tokenizer: loadTokenizer(file, { eos_token: '!' }) };
};

/** Families by the name that llama.cpp gives their words. */
const NAMES = [
  ['gpt2', 'gpt-2'],
  ['llama3', 'llama-bpe'],
  ['qwen2', 'qwen2'],
  ['deepseek-llm', 'deepseek-llm'],
  ['deepseek-coder', 'deepseek-coder'],
  ['deepseek-v3', 'deepseek-v3'],
  ['o200k', 'gpt-4o'],
] as const;

describe.each(NAMES)('the words of %s', (name, pre) => {
  const { file, tokenizer, cases } = family(name);
  const entries = ggufVocabulary(tokenizer);

  it(`are those of ${pre} in llama.cpp`, () => {
    expect(nameOfSplit(file.pre_tokenizer)).toBe(pre);
    expect(entries.get('tokenizer.ggml.pre')).toEqual({ type: 'string', value: pre });
  });

  it('are known with ends of lines as they are', () => {
    const text = JSON.stringify(file.pre_tokenizer).replaceAll('\\\\r', '\\r').replaceAll('\\\\n', '\\n');
    expect(nameOfSplit(JSON.parse(text))).toBe(pre);
  });

  it('are cut alike after a way through GGUF', () => {
    const again = ggufTokenizer(entries);
    // Text that is not composed is taken as it is, as in llama.cpp.
    const kept = [...pipelines.texts.keys()].filter(
      i => pipelines.texts[i] === pipelines.texts[i]!.normalize('NFC'),
    );
    expect(kept.length).toBeGreaterThan(25);
    expect(kept.map(i => again.encode(pipelines.texts[i]!))).toEqual(kept.map(i => cases[i]![0]));
  });
});

describe('SentencePiece in GGUF', () => {
  const reference: { models: { name: string; model: string; cases: [string, number[]][] }[] } =
    fixture('sentencepiece');
  const llama = reference.models.find(model => model.name === 'llama')!;
  const { pieces } = readSentencePiece(Uint8Array.from(Buffer.from(llama.model, 'base64')));
  const numbers = { normal: 1, unknown: 2, control: 3, user: 4, unused: 5, byte: 6 };
  const entries = new Map<string, GgufEntry>([
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.tokens', { type: 'string', values: pieces.map(piece => piece.text) }],
    ['tokenizer.ggml.scores', { type: 'float32', values: pieces.map(piece => piece.score) }],
    ['tokenizer.ggml.token_type', { type: 'int32', values: pieces.map(piece => numbers[piece.type]) }],
  ]);

  it('encodes as SentencePiece, with the begin token that llama.cpp adds unasked', () => {
    const tokenizer = ggufTokenizer(entries);
    expect(llama.cases.map(([text]) => tokenizer.encode(text))).toEqual(llama.cases.map(([, ids]) => ids));
    expect(tokenizer.encode('', { addSpecial: true })).toEqual([1]);
  });

  it('comes back with scores in the order of its merges', () => {
    const again = ggufTokenizer(ggufVocabulary(ggufTokenizer(entries)));
    const texts = llama.cases.map(([text]) => text).slice(0, 12);
    expect(texts.map(text => again.encode(text))).toEqual(llama.cases.slice(0, 12).map(([, ids]) => ids));
  });
});

describe('ggufVocabulary', () => {
  it('tells control tokens from tags and fills free ids', () => {
    const entries = ggufVocabulary(byteTokenizer({ tags: ['<think>'] }), { size: 261 });
    const list = (name: string) =>
      (entries.get(`tokenizer.ggml.${name}`) as { values: readonly unknown[] }).values;
    expect(list('tokens').slice(254)).toEqual([
      'þ',
      'ÿ',
      '<pad>',
      '<eos>',
      '<think>',
      '[PAD259]',
      '[PAD260]',
    ]);
    expect(list('token_type').slice(254)).toEqual([1, 1, 3, 3, 4, 5, 5]);
  });

  it('writes characters as pieces, spaces marked', () => {
    const tokenizer = CharacterTokenizer.fromAlphabet('ab 1', { tags: ['<t>', '11'] });
    const again = ggufTokenizer(ggufVocabulary(tokenizer));
    for (const text of ['ab ba', '11 1 a<t>', ' a <eos>', '']) {
      expect(again.encode(text)).toEqual(tokenizer.encode(text));
      expect(again.decode(tokenizer.encode(text), { skipControl: true })).toBe(text.replace('<eos>', ''));
    }
  });

  it('carries roles and the chat template', () => {
    const roles = { eos: '<e>', pad: '<p>', bos: '<b>' };
    const files = trainBpe(['a b'], { vocabSize: 300, roles }).save();
    const config = { ...files['tokenizer_config.json'], chat_template: '{{ bos_token }}' };
    const entries = ggufVocabulary(loadTokenizer(files['tokenizer.json'], config));
    const again = ggufTokenizer(entries);
    expect([again.bos, again.eos, again.pad]).toEqual([2, 1, 0]);
    expect(again.encode('', { addSpecial: true })).toEqual([2]);
    expect(again.chat!.render([])).toBe('<b>');
  });

  it('refuses words that llama.cpp has no name for', () => {
    const tokenizer = trainBpe(['ab'], { vocabSize: 300, minFrequency: 1, split: { patterns: ['x'] } });
    expect(() => ggufVocabulary(tokenizer)).toThrow(/llama\.cpp has no name for how this one cuts text/);
  });
});

describe('ggufTokenizer', () => {
  const good = ggufVocabulary(byteTokenizer({ tags: ['<think>'] }));
  const entries = new Map([...good, ['tokenizer.ggml.pre', { type: 'string', value: 'gpt-2' }] as const]);
  const change = (name: string, entry: GgufEntry | undefined) => {
    const changed = new Map<string, GgufEntry>(entries);
    if (entry) changed.set(`tokenizer.ggml.${name}`, entry);
    else changed.delete(`tokenizer.ggml.${name}`);
    return changed;
  };

  it.each([
    ['no model', 'model', undefined, /tokenizer\.ggml\.model is missing/],
    [
      'another model',
      'model',
      { type: 'string', value: 'rwkv' },
      /rwkv is not supported; known are llama, t5 and gpt2/,
    ],
    [
      'another cut',
      'pre',
      { type: 'string', value: 'x' },
      /tokenizer\.ggml\.pre: x is not supported; known are gpt-2/,
    ],
    ['no tokens', 'tokens', undefined, /tokenizer\.ggml\.tokens is missing/],
    ['no merges', 'merges', undefined, /tokenizer\.ggml\.merges is missing/],
    ['types of other tokens', 'token_type', { type: 'int32', values: [1] }, /1 token types for 259 tokens/],
    ['tokens that are numbers', 'tokens', { type: 'int32', values: [1] }, /tokens: not a list of strings/],
    ['no end', 'eos_token_id', { type: 'uint32', value: 4294967295 }, /eos_token_id is missing/],
    ['a merge of one', 'merges', { type: 'string', values: ['ab'] }, /"ab" is not a pair/],
  ] as const)('refuses %s', (_, name, entry, message) => {
    expect(() => ggufTokenizer(change(name, entry))).toThrow(message);
  });

  it('says one sentence about any damaged metadata', () => {
    const value = fc.oneof(
      fc.integer(),
      fc.string(),
      fc.boolean(),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    );
    const entry = fc.oneof(
      value.map(v => ({ type: 'any', value: v })),
      fc.array(value).map(values => ({ type: 'any', values })),
    );
    const names = [...entries.keys()].map(key => key.replace('tokenizer.ggml.', ''));
    fc.assert(
      fc.property(
        fc.constantFrom(...names, 'scores'),
        fc.constantFrom('gpt2', 'llama', 't5'),
        entry,
        (name, model, e) => {
          try {
            const damaged = change(name, e);
            if (name !== 'model') damaged.set('tokenizer.ggml.model', { type: 'string', value: model });
            ggufTokenizer(damaged).encode('some text');
          } catch (error) {
            expect(error).toBeInstanceOf(GaslawError);
          }
        },
      ),
    );
  });
});
