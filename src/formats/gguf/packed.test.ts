/** Moved blocks mean what the stored ones mean, bit for bit. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../util/random.ts';
import { isPacked, PACKED_TYPES, type PackedType, packStored } from './packed.ts';
import { quantize } from './quantize.ts';
import { GGML_TYPES } from './types.ts';

// what the gguf package reads in blocks, made by fixtures/make_blocks.py
const { read } = JSON.parse(readFileSync(new URL('./fixtures/blocks.json', import.meta.url), 'utf8')) as {
  read: Readonly<Record<string, { bytes: string; floats: string }>>;
};
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));

/** Values as products compute them: (code − 2^(bits−1)) · scale. */
function valuesOf(type: PackedType, codes: Uint8Array, scales: Float32Array): number[] {
  const { bits, blockSize } = PACKED_TYPES[type];
  const code = (i: number): number =>
    bits === 8 ? (codes[i] as number) : ((codes[i >> 1] as number) >> (4 * (i % 2))) & 15;
  return Array.from(
    { length: scales.length * blockSize },
    (_, i) => (code(i) - 2 ** (bits - 1)) * (scales[Math.floor(i / blockSize)] as number) + 0,
  );
}

describe.each(Object.keys(PACKED_TYPES) as PackedType[])('%s', type => {
  const { bits, blockSize } = PACKED_TYPES[type];
  const { bytes } = GGML_TYPES[type];

  it('has the values that the gguf package reads', () => {
    const { bytes: text, floats } = read[type] as { bytes: string; floats: string };
    const stored = bytesOf(text);
    const blocks = stored.length / bytes;
    const target = {
      codes: new Uint8Array((blocks * blockSize * bits) / 8),
      scales: new Float32Array(blocks),
    };
    packStored(type, stored, target, 0);
    const want = new Float32Array(bytesOf(floats).buffer);
    expect(valuesOf(type, target.codes, target.scales)).toEqual([...want].map(v => v + 0));
  });

  it('goes where it is told, from any address', () => {
    const random = new Random(3);
    const stored = quantize(
      type,
      Float32Array.from({ length: 2 * blockSize }, () => random.normal()),
      blockSize,
    );
    const make = () => ({
      codes: new Uint8Array((4 * blockSize * bits) / 8),
      scales: new Float32Array(4),
    });
    const [plain, shifted] = [make(), make()];
    packStored(type, stored, plain, 1);
    const odd = new Uint8Array(stored.length + 1);
    odd.set(stored, 1);
    packStored(type, odd.subarray(1), shifted, 1);
    expect(shifted).toEqual(plain);
    expect([plain.scales[0], plain.scales[3]]).toEqual([0, 0]);
    expect(plain.scales[1]).not.toBe(0);
  });
});

it('types with a minimum or fifth bits are not moved', () => {
  expect((['Q4_1', 'Q5_0', 'Q6_K', 'F16'] as const).filter(isPacked)).toEqual([]);
});
