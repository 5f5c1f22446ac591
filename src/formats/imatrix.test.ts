/** Older importance matrices: entries as llama-imatrix wrote them, and hostile bytes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GaslawError } from '../util/errors.ts';
import { concatBytes } from '../util/files.ts';
import { readLegacyImatrix } from './imatrix.ts';

const int = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);
const text = (value: string): Uint8Array[] => [int(value.length), new TextEncoder().encode(value)];
const entry = (name: string, calls: number, values: readonly number[]): Uint8Array[] => [
  ...text(name),
  int(calls),
  int(values.length),
  new Uint8Array(Float32Array.from(values).buffer),
];
const ENTRIES = [int(2), ...entry('blk.0.attn_q.weight', 4, [4, 8, 2]), ...entry('output.weight', 1, [0.5])];
const TRAILER = [int(20), ...text('wiki.train.raw')];

describe('an older importance matrix', () => {
  it.each([
    ['with the text that was read', [...ENTRIES, ...TRAILER]],
    ['of before that was told', ENTRIES],
  ])('%s: sums over calls, by tensor', (_, pieces) => {
    const means = readLegacyImatrix(concatBytes(pieces), 'i.dat');
    expect([...means].map(([name, values]) => [name, [...values]])).toEqual([
      ['blk.0.attn_q.weight', [1, 2, 0.5]],
      ['output.weight', [0.5]],
    ]);
  });

  it.each([
    ['no entries', [int(0)], /i.dat: 0 entries/],
    ['fewer than four bytes', [Uint8Array.of(1, 2)], /the count of entries at byte 0 runs past the end/],
    ['a name of 2³¹ bytes', [int(1), int(-(2 ** 31))], /the name of entry 0 at byte 8 runs past/],
    [
      'more sums than there are',
      [int(1), ...text('a'), int(1), int(2 ** 30)],
      /entry "a" at byte 17 runs past/,
    ],
    ['no calls', [int(1), ...entry('a', 0, [1])], /entry "a" has 0 calls/],
    ['an entry twice', [int(2), ...entry('a', 1, [1]), ...entry('a', 1, [1])], /or is there twice/],
    ['what is no end', [...ENTRIES, ...TRAILER, int(1)], /4 bytes after the last entry/],
  ])('is refused with %s', (_, pieces, message) => {
    expect(() => readLegacyImatrix(concatBytes(pieces), 'i.dat')).toThrow(message);
  });

  it('of any bytes is entries or one sentence', () => {
    const whole = concatBytes([...ENTRIES, ...TRAILER]);
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 });
    fc.assert(
      fc.property(damage, fc.nat(whole.length), (changes, length) => {
        const bytes = whole.slice(0, length);
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        try {
          expect(readLegacyImatrix(bytes, 'i.dat').size).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(GaslawError);
          expect((error as Error).message).toMatch(/^i\.dat: /);
        }
      }),
    );
  });
});
