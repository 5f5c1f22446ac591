import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GaslawError } from '../util/errors.ts';
import { byteTokenizer } from './byte.ts';
import { CharacterTokenizer } from './character.ts';
import { loadTokenizer } from './load.ts';
import { createSplitter, type Tokenizer } from './tokenizer.ts';

const TAGS = ['<think>', '</think>', '<answer>', '</answer>'];

interface Fixture {
  readonly 'tokenizer.json': { readonly model: { readonly vocab: Readonly<Record<string, number>> } };
  readonly 'tokenizer_config.json': object;
  readonly cases: readonly { text: string; ids: number[]; decoded: string; skipped: string }[];
}

const fixture = (name: string): Fixture =>
  JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), 'utf8'));

const character = fixture('character');
const alphabet = Object.keys(character['tokenizer.json'].model.vocab).filter(text => [...text].length === 1);

/** Two-digit numbers as single tokens beside their digits. */
const NUMBERS = Array.from({ length: 90 }, (_, i) => String(i + 10));

const MADE: readonly (readonly [string, Fixture, Tokenizer])[] = [
  ['character', character, CharacterTokenizer.fromAlphabet(alphabet.join(''), { tags: TAGS })],
  [
    'number',
    fixture('number'),
    CharacterTokenizer.fromAlphabet('0123456789 +-*/()=,>:✓✗', { tags: [...TAGS, ...NUMBERS] }),
  ],
  ['byte', fixture('byte'), byteTokenizer({ tags: TAGS })],
];

describe.each(MADE)('%s level against Hugging Face tokenizers', (_, stored, made) => {
  it('writes the file that they read', () => {
    expect(JSON.parse(JSON.stringify(made.save()))).toEqual({
      'tokenizer.json': stored['tokenizer.json'],
      'tokenizer_config.json': stored['tokenizer_config.json'],
    });
  });

  it.each([['made', made] as const, ['loaded', loadTokenizer(stored['tokenizer.json'])] as const])(
    'encodes and decodes as they do when %s',
    (_name, tokenizer) => {
      for (const { text, ids, decoded, skipped } of stored.cases) {
        expect(tokenizer.encode(text)).toEqual(ids);
        expect(tokenizer.decode(ids)).toBe(decoded);
        expect(tokenizer.decode(ids, { skipControl: true })).toBe(skipped);
      }
    },
  );

  it('comes back from its files with its roles', () => {
    const files = made.save();
    const again = loadTokenizer(files['tokenizer.json'], files['tokenizer_config.json']);
    expect([again.kind, again.vocabSize, again.eos, again.pad]).toEqual([
      made.kind,
      made.vocabSize,
      made.eos,
      made.pad,
    ]);
    expect(again.special).toEqual(made.special);
    expect(again.save()).toEqual(files);
  });

  it('names an id outside the vocabulary', () => {
    expect(() => made.decode([made.vocabSize])).toThrow(`id ${made.vocabSize} is outside the vocabulary`);
    expect(() => made.decode([-1])).toThrow(/id -1 is outside/);
  });
});

describe('CharacterTokenizer', () => {
  it('has dense ids: control tokens, tags, then characters in code point order', () => {
    const tokenizer = CharacterTokenizer.fromAlphabet('cab😀a', { tags: ['<t>'] });
    const tokens = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenOf(id));
    expect(tokens).toEqual(['<pad>', '<eos>', '<t>', 'a', 'b', 'c', '😀']);
    expect(tokenizer.encode('b<t>😀<eos>')).toEqual([4, 2, 6, 1]);
  });

  it('is made from a corpus without the characters that only tags have', () => {
    const tokenizer = CharacterTokenizer.fromText('<think>1+1</think>2', { tags: TAGS });
    expect(tokenizer.vocabSize).toBe(6 + 3);
    expect(() => tokenizer.encode('1+<think')).toThrow(/character "<" \(U\+003C\) at position 2/);
  });

  it('names an unknown character and its place after wide characters and tags', () => {
    const tokenizer = CharacterTokenizer.fromAlphabet('a😀', { tags: ['<t>'] });
    expect(() => tokenizer.encode('a😀<t>é')).toThrow(
      'character "é" (U+00E9) at position 6 is not in the vocabulary',
    );
  });

  it('round-trips every text over its alphabet', () => {
    const tokenizer = CharacterTokenizer.fromAlphabet('<>/thinkе 三', { tags: TAGS });
    const piece = fc.constantFrom(...TAGS, '<eos>', '<', '>', '/', 't', 'h', '<thin', 'k>', '三', ' ');
    fc.assert(
      fc.property(fc.array(piece), pieces => {
        const text = pieces.join('').replaceAll('<eos', '<eos>').replaceAll('<eos>>', '<eos>');
        const known = text.replaceAll('<eos>', '');
        expect(tokenizer.decode(tokenizer.encode(known))).toBe(known);
        expect(tokenizer.decode(tokenizer.encode(text), { skipControl: true })).toBe(known);
      }),
    );
  });

  it('needs its roles in the vocabulary', () => {
    const roles = { eos: '\n', pad: '\n' };
    const tokenizer = CharacterTokenizer.fromAlphabet('ab\n', { roles });
    expect([tokenizer.vocabSize, tokenizer.eos, tokenizer.pad]).toEqual([3, 0, 0]);
    expect(() => new CharacterTokenizer({ vocabulary: ['a'], specials: [], roles })).toThrow(
      /is not in the vocabulary/,
    );
  });
});

describe('byteTokenizer', () => {
  it('round-trips any well-formed text, ids being UTF-8 bytes', () => {
    const tokenizer = byteTokenizer({ tags: TAGS });
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
    expect(tokenizer.encode('é<think>')).toEqual([0xc3, 0xa9, 258]);
  });

  it('decodes malformed bytes to replacement characters', () => {
    expect(byteTokenizer().decode([0x61, 0xc3, 257, 0x62])).toBe('a\ufffd<eos>b');
  });
});

describe('createSplitter', () => {
  it('takes the longest of the tokens that start at a place', () => {
    const texts = createSplitter(['<a', '<ab', 'b'])('<abc<ab').map(p => [p.text, p.special]);
    expect(texts).toEqual([
      ['<ab', true],
      ['c', false],
      ['<ab', true],
    ]);
  });

  it('gives ordinary text whole where there are none', () => {
    expect(createSplitter([])('ab')).toEqual([{ text: 'ab', at: 0, special: false }]);
    expect(createSplitter([])('')).toEqual([]);
  });

  it('takes pattern characters literally', () => {
    expect(createSplitter(['.*', '[x]'])('a.*[x]b').map(p => p.text)).toEqual(['a', '.*', '[x]', 'b']);
  });
});

describe('a begin token', () => {
  it('stands in front of a text where it is asked for, and in the file', () => {
    const roles = { eos: '<e>', pad: '<p>', bos: '<b>' };
    for (const made of [byteTokenizer({ roles }), CharacterTokenizer.fromAlphabet('ab', { roles })]) {
      const files = made.save();
      for (const tokenizer of [
        made,
        loadTokenizer(files['tokenizer.json'], files['tokenizer_config.json']),
      ]) {
        const plain = tokenizer.encode('ab');
        expect(tokenizer.encode('ab', { addSpecial: true })).toEqual([tokenizer.bos, ...plain]);
      }
      expect(files['tokenizer.json'].post_processor).toMatchObject({ type: 'TemplateProcessing' });
    }
  });
});

describe('loadTokenizer', () => {
  const file = () => structuredClone(character['tokenizer.json']) as Record<string, unknown>;
  const model = (change: object) => ({ ...file(), model: { ...(file().model as object), ...change } });
  const bytes = () => structuredClone(fixture('byte')['tokenizer.json']) as Record<string, unknown>;
  const byteModel = (change: object) => ({ ...bytes(), model: { ...(bytes().model as object), ...change } });

  it.each([
    ['another model', model({ type: 'Nonsense' }), /model: type Nonsense is not supported; known are BPE, /],
    [
      'a merge without its token',
      byteModel({ merges: ['a b'] }),
      /merge 0 "a b": "ab" is not in the vocabulary/,
    ],
    ['a merge of three', byteModel({ merges: ['a b c'] }), /merges\.0: "a b c" is not a pair/],
    ['merges that are no list', byteModel({ merges: 'ab' }), /merges: not a list/],
    ['another normalizer', { ...file(), normalizer: { type: 'X' } }, /normalizer: type X is not supported/],
    [
      'a normalizer without its fields',
      { ...bytes(), normalizer: { type: 'Prepend' } },
      /normalizer\.Prepend\.prepend/,
    ],
    ['another pre-tokenizer', { ...bytes(), pre_tokenizer: { type: 'X' } }, /pre_tokenizer: type X is not/],
    ['another decoder', { ...bytes(), decoder: { type: 'X' } }, /decoder: type X is not supported/],
    [
      'an expression that is not understood',
      { ...bytes(), pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } },
      /regular expression "\("/,
    ],
    ['no model', {}, /tokenizer\.json\.model/],
    ['a hole in the ids of characters', model({ vocab: { a: 99 } }), /no token has id \d+/],
    ['an id that is none', byteModel({ vocab: { a: -1 } }), /token "a" has id -1/],
    ['an id beyond reason', byteModel({ vocab: { a: 2 ** 31 } }), /token "a" has id 2147483648/],
    ['no end token', { ...file(), added_tokens: [] }, /eos_token is missing/],
    ['not an object', 'x', /tokenizer\.json/],
  ])('refuses %s', (_, value, message) => {
    expect(() => loadTokenizer(value)).toThrow(message);
  });

  it('refuses a role that no token has', () => {
    expect(() => loadTokenizer(bytes(), { eos_token: '<nowhere>' })).toThrow(
      /eos_token "<nowhere>" is not in/,
    );
  });

  it('puts tokens around a text as the config says, or else the file', () => {
    const around = (config: object) =>
      loadTokenizer(bytes(), { eos_token: '<eos>', bos_token: '<pad>', ...config }).encode('', {
        addSpecial: true,
      });
    expect(around({})).toEqual([]);
    expect(around({ add_bos_token: true })).toEqual([256]);
    expect(around({ add_bos_token: true, add_eos_token: true })).toEqual([256, 257]);
    expect(around({ add_bos_token: false })).toEqual([]);
  });

  it('says one sentence about any damaged file', () => {
    const damage = fc.tuple(
      fc.constantFrom('normalizer', 'pre_tokenizer', 'post_processor', 'decoder', 'model', 'added_tokens'),
      fc.oneof(
        fc.jsonValue(),
        fc.record({ type: fc.constantFrom('Sequence', 'BPE', 'Split', 'Metaspace', 'Precompiled') }),
      ),
    );
    fc.assert(
      fc.property(damage, ([field, value]) => {
        try {
          loadTokenizer({ ...bytes(), [field]: value }, { eos_token: '<eos>' }).encode('some text');
        } catch (error) {
          expect(error).toBeInstanceOf(GaslawError);
        }
      }),
    );
  });
});
