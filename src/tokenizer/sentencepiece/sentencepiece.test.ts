/** SentencePiece models against the sentencepiece library (bench/peers/reference_sentencepiece.py). */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GaslawError } from '../../util/errors.ts';
import { loadTokenizer } from '../load.ts';
import { llama2cTokenizer } from './llama2c.ts';
import { readSentencePiece } from './model-file.ts';
import { sentencePieceTokenizer } from './tokenizer.ts';

interface Reference {
  readonly models: readonly { name: string; model: string; cases: readonly [string, number[]][] }[];
}

const reference: Reference = JSON.parse(
  readFileSync(new URL('../fixtures/sentencepiece.json', import.meta.url), 'utf8'),
);

const models = reference.models.map(({ name, model, cases }) => {
  const bytes = Uint8Array.from(Buffer.from(model, 'base64'));
  return { name, cases, bytes, tokenizer: sentencePieceTokenizer(readSentencePiece(bytes)) };
});

describe.each(models)('$name', ({ tokenizer, cases }) => {
  it('encodes as SentencePiece does', () => {
    const ours = cases.map(([text]) => [text, tokenizer.encode(text)]);
    expect(ours).toEqual(cases);
  });

  it('comes back from the tokenizer.json that it saves', () => {
    const { 'tokenizer.json': file, 'tokenizer_config.json': config } = tokenizer.save();
    const again = loadTokenizer(JSON.parse(JSON.stringify(file)), config);
    expect([again.vocabSize, again.eos, again.pad, again.bos]).toEqual([
      tokenizer.vocabSize,
      tokenizer.eos,
      tokenizer.pad,
      tokenizer.bos,
    ]);
    for (const [, ids] of cases) expect(again.decode(ids)).toBe(tokenizer.decode(ids));
    const plain = cases.slice(0, 7).map(([text]) => text);
    expect(plain.map(text => again.encode(text))).toEqual(plain.map(text => tokenizer.encode(text)));
  });

  it('puts the begin token in front', () => {
    expect(tokenizer.encode('', { addSpecial: true })).toEqual([1]);
  });
});

describe('llama', () => {
  const { tokenizer } = models[0]!;
  it('gives any text back', () => {
    const piece = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(' ', '  ', '\n', 'the', '1'));
    fc.assert(
      fc.property(fc.array(piece), pieces => {
        // The spelling of spaces, and tokens that are no text.
        const text = pieces.join('').replace(/▁|<(unk|s|\/s|0x..)>/g, '');
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
  });

  it('takes control pieces in text for themselves', () => {
    expect(tokenizer.encode('<s></s>')).toEqual([1, 2]);
    expect(tokenizer.special).toEqual({ '<unk>': 0, '<s>': 1, '</s>': 2 });
  });
});

describe('readSentencePiece', () => {
  const { bytes } = models[0]!;

  it('says one sentence about any damaged file', () => {
    const place = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length));
    fc.assert(
      fc.property(place, ([at, value, length]) => {
        const damaged = bytes.slice(0, Math.max(at, length));
        damaged[at] = value;
        try {
          sentencePieceTokenizer(readSentencePiece(damaged)).encode('some text');
        } catch (error) {
          expect(error).toBeInstanceOf(GaslawError);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('refuses a piece beyond reason', () => {
    const model = readSentencePiece(bytes);
    const pieces = [...model.pieces, { text: 'a'.repeat(5000), score: 0, type: 'normal' as const }];
    expect(() => sentencePieceTokenizer({ ...model, pieces })).toThrow(/a piece of 5000 characters/);
  });

  it('refuses what is no model', () => {
    expect(() => readSentencePiece(new Uint8Array(), 'x.model')).toThrow(
      'x.model: no pieces; this is not a SentencePiece model',
    );
    expect(() => readSentencePiece(new TextEncoder().encode('{"a": 1}'), 'x.model')).toThrow(/^x\.model: /);
  });
});

describe('llama2cTokenizer', () => {
  /** A file with the three special tokens, the bytes, and a few pieces, best first. */
  function file(pieces: readonly string[]): Uint8Array {
    const bytes = Array.from(
      { length: 256 },
      (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`,
    );
    const parts = ['<unk>', '\n<s>\n', '\n</s>\n', ...bytes, ...pieces].map((text, id) => {
      const utf8 = new TextEncoder().encode(text);
      const part = new Uint8Array(8 + utf8.length);
      new DataView(part.buffer).setFloat32(0, -id, true);
      new DataView(part.buffer).setInt32(4, utf8.length, true);
      part.set(utf8, 8);
      return part;
    });
    return new Uint8Array([27, 0, 0, 0, ...parts.flatMap(part => [...part])]);
  }

  it('reads scores and texts, spaces spelled as they are', () => {
    const tokenizer = llama2cTokenizer(file(['ab', ' ab', ' ', 'a', 'b']));
    expect(tokenizer.encode('ab ab!', { addSpecial: true })).toEqual([1, 260, 260, 3 + 33]);
    expect(tokenizer.decode([260, 260, 36])).toBe('ab ab!');
    expect([tokenizer.bos, tokenizer.eos, tokenizer.tokenOf(1)]).toEqual([1, 2, '<s>']);
  });

  it('says where a cut file ends', () => {
    const whole = file(['a']);
    expect(() => llama2cTokenizer(whole.slice(0, -1), 't.bin')).toThrow(
      /^t\.bin: token 259 at byte \d+ runs past the end/,
    );
    expect(() => llama2cTokenizer(whole.slice(0, 40), 't.bin')).toThrow(/^t\.bin: /);
  });
});
