/** Trained tokenizers against Hugging Face's trainer (bench/peers/reference_training.py). */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadTokenizer } from './load.ts';
import { trainBpe } from './train-bpe.ts';

interface Reference {
  readonly text: string;
  readonly cases: readonly {
    readonly split: 'gpt-2' | 'llama-bpe' | 'qwen2' | 'deepseek-v3';
    readonly vocabSize: number;
    readonly minFrequency: number;
    readonly merges: readonly (readonly [string, string])[];
    readonly vocab: Readonly<Record<string, number>>;
    readonly texts: readonly (readonly [string, number[]])[];
  }[];
}

const reference: Reference = JSON.parse(
  readFileSync(new URL('./fixtures/training.json', import.meta.url), 'utf8'),
);

interface Model {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly [string, string])[];
}

const modelOf = (tokenizer: ReturnType<typeof trainBpe>): Model =>
  tokenizer.save()['tokenizer.json'].model as unknown as Model;

describe.each(reference.cases)('$split, $vocabSize tokens, pairs at least $minFrequency times', given => {
  const { split, vocabSize, minFrequency } = given;
  const tokenizer = trainBpe(reference.text.split('\n\n'), {
    split,
    vocabSize,
    minFrequency,
    tags: ['<think>'],
  });

  it('learns the merges of Hugging Face', () => {
    const { merges, vocab } = modelOf(tokenizer);
    expect(merges).toEqual(given.merges);
    expect(vocab).toEqual(given.vocab);
  });

  it('encodes as its file does there', () => {
    for (const [text, ids] of given.texts) expect([text, tokenizer.encode(text)]).toEqual([text, ids]);
  });
});

describe('trainBpe', () => {
  it('merges the most frequent pair first, of equal ones that of the smaller ids', () => {
    const tokenizer = trainBpe(['ab ab cd cd ab'], {
      vocabSize: 2 + 256 + 3,
      minFrequency: 1,
      split: { patterns: [' ?\\S+'] },
    });
    // ab 3 times; then "Ġ ab" and "c d" twice, and Ġ, which is spelled behind the letters, has the larger id.
    expect(modelOf(tokenizer).merges.slice(0, 2)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  it('stops when no pair is frequent enough', () => {
    const tokenizer = trainBpe(['abc'], { vocabSize: 1000 });
    expect(tokenizer.vocabSize).toBe(2 + 256);
  });

  it('keeps special tokens out of words', () => {
    const tokenizer = trainBpe(['<think><think><think>'], {
      vocabSize: 300,
      minFrequency: 1,
      tags: ['<think>'],
    });
    expect(modelOf(tokenizer).merges).toEqual([]);
    expect(tokenizer.encode('<think>')).toEqual([2]);
  });

  it('refuses a vocabulary that has no room for the bytes', () => {
    expect(() => trainBpe([], { vocabSize: 257 })).toThrow(
      /vocabSize 257 is below the 258 special tokens and bytes/,
    );
  });

  it('gives any text back, trained on anything', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), fc.string({ unit: 'binary' }), (texts, text) => {
        const tokenizer = trainBpe([...texts, text], { vocabSize: 280, minFrequency: 1 });
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
        const files = tokenizer.save();
        const again = loadTokenizer(files['tokenizer.json'], files['tokenizer_config.json']);
        expect(again.encode(text)).toEqual(tokenizer.encode(text));
      }),
      { numRuns: 30 },
    );
  });
});
