import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteTokenizer } from './byte.ts';
import { DecodeStream } from './stream.ts';

const bytes = byteTokenizer({ tags: ['<think>'] });

const pieces = (ids: readonly number[]): string[] => {
  const stream = new DecodeStream(bytes, { skipControl: true });
  return [...ids.map(id => stream.push(id)), stream.finish()];
};

describe('DecodeStream', () => {
  it('tells a character when its last byte has come', () => {
    expect(pieces([0x61, 0xf0, 0x9f, 0x98, 0x80, 0x62])).toEqual(['a', '', '', '', '😀', 'b', '']);
  });

  it('tells what never became a character with what comes next, or at the end', () => {
    expect(pieces([0xf0, 0x9f, 0x62, 0xc3])).toEqual(['', '', '\ufffdb', '', '\ufffd']);
  });

  it('tells nothing for control tokens', () => {
    expect(pieces([0x61, bytes.eos, 258, bytes.pad, 0x62])).toEqual(['a', '', '<think>', '', 'b', '']);
  });

  it('gives the whole text in pieces without half characters, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        fc.pre(!text.includes('\ufffd'));
        const told = pieces(bytes.encode(text));
        expect(told.join('')).toBe(text);
        expect(told.join('|')).not.toContain('\ufffd');
      }),
    );
  });

  it('keeps the space in front of words that a decoder would drop at the beginning of a text', () => {
    const tokens = ['▁Once', '▁upon', '▁a', '▁time'];
    const decode = (ids: Iterable<number>) =>
      [...ids]
        .map(id => tokens[id])
        .join('')
        .replaceAll('▁', ' ')
        .slice(1);
    const stream = new DecodeStream({ decode });
    expect([0, 1, 2, 3].map(id => stream.push(id))).toEqual(['Once', ' upon', ' a', ' time']);
  });
});
