import { describe, expect, it } from 'vitest';
import { Random } from '../../util/random.ts';
import { blockTensors } from './blocks.ts';
import { METHODS } from './methods/index.ts';
import { type PackFormat, packBlocks } from './pack.ts';

const target = (weights: number, { bits, blockSize }: PackFormat) => ({
  codes: new Uint8Array((weights * bits) / 8),
  scales: new Float32Array(weights / blockSize),
});

describe('packBlocks', () => {
  it('gives the extreme the code without a mirror image', () => {
    const format = { bits: 4, blockSize: 16 } as const;
    const out = target(32, format);
    const values = new Float32Array(32);
    values.set([-8, -7, -1, 0, 1, 7, 7.4, 7.6]); // scale 1: code = w + 8
    values.set([4, -4, 0.25], 16); // scale −0.5: code = 8 − 2w
    packBlocks(values, out, 0, format);
    expect([...out.scales]).toEqual([1, -0.5]);
    expect([...out.codes.subarray(0, 4)]).toEqual([0x10, 0x87, 0xf9, 0xff]);
    expect([...out.codes.subarray(8, 10)]).toEqual([0xf0, 0x88]); // 4 → 0, −4 → 16 cut to 15, 0.25 → 7.5 rounds to 8
  });

  it('keeps a block of zeros', () => {
    const format = { bits: 8, blockSize: 16 } as const;
    const out = target(16, format);
    packBlocks(new Float32Array(16), out, 0, format);
    expect([...out.scales]).toEqual([1]);
    expect(new Set(out.codes)).toEqual(new Set([128]));
  });

  it('fills from the block that is asked for', () => {
    const format = { bits: 8, blockSize: 16 } as const;
    const out = target(48, format);
    packBlocks(new Float32Array(16).fill(-2), out, 2, format);
    expect([...out.scales]).toEqual([0, 0, 2 / 128].map(Math.fround));
    expect(out.codes.subarray(0, 32).every(code => code === 0)).toBe(true);
    expect(out.codes.subarray(32).every(code => code === 0)).toBe(true); // the least code
  });

  it.each([
    { bits: 4, blockSize: 32 },
    { bits: 8, blockSize: 32 },
    { bits: 4, blockSize: 128 },
  ] as const)('rounds to nearest as the method rtn does: %j', format => {
    const random = new Random(3);
    const [rows, columns] = [16, 256];
    const data = Float32Array.from({ length: rows * columns }, () => 0.02 * random.normal());
    const out = target(data.length, format);
    packBlocks(data, out, 0, format);
    const q = METHODS.rtn.quantize(
      { rows, columns, data },
      { ...format, symmetric: true, scales: 'float32' },
    );
    const expected = blockTensors(q);
    expect(out.scales).toEqual(expected.scales.data);
    expect(out.codes).toEqual(expected.codes.data);
  });
});
