/** Blocks against the gguf package, and against the error bounds that llama.cpp's own tests have. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../util/random.ts';
import { dequantize, isReadable, type ReadableType } from './dequantize.ts';
import { quantize, WRITABLE_TYPES, type WritableType } from './quantize.ts';
import { GGML_TYPES, type GgmlType } from './types.ts';

interface Fixture {
  readonly read: Readonly<Record<string, { bytes: string; floats: string }>>;
  readonly values: string;
  readonly write: Readonly<Record<string, string>>;
}

// made by fixtures/make_blocks.py
const fixture = JSON.parse(
  readFileSync(new URL('./fixtures/blocks.json', import.meta.url), 'utf8'),
) as Fixture;
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'base64'));
const floatsOf = (text: string): Float32Array => new Float32Array(bytesOf(text).buffer);

const readBack = (type: ReadableType, bytes: Uint8Array, count: number): Float32Array => {
  const out = new Float32Array(count);
  dequantize(type, bytes, out);
  return out;
};

describe('reading', () => {
  it.each(Object.keys(fixture.read) as ReadableType[])('%s as the gguf package does, bit for bit', type => {
    const { bytes, floats } = fixture.read[type] as { bytes: string; floats: string };
    const want = floatsOf(floats);
    expect([...readBack(type, bytesOf(bytes), want.length)]).toEqual([...want]);
  });

  it('knows every type but whole numbers', () => {
    const unread = (Object.keys(GGML_TYPES) as GgmlType[]).filter(t => !isReadable(t));
    expect(unread.filter(t => !/^I\d/.test(t))).toEqual([]);
  });
});

describe('writing', () => {
  const values = floatsOf(fixture.values);

  it.each(Object.keys(fixture.write) as WritableType[])(
    '%s as the gguf package does, byte for byte',
    type => {
      expect([...quantize(type, values, 256)]).toEqual([...bytesOf(fixture.write[type] as string)]);
    },
  );

  // test-quantize-fns.cpp: √Σd² / n over 0.1 + 2 cos(i), by bits
  const BOUNDS: readonly (readonly [WritableType, number])[] = [
    ['Q4_0', 0.002],
    ['Q4_1', 0.002],
    ['Q5_0', 0.002],
    ['Q5_1', 0.002],
    ['Q8_0', 0.002],
    ['Q4_K', 0.002],
    ['Q5_K', 0.002],
    ['Q6_K', 0.002],
    ['Q3_K', 0.004],
    ['Q2_K', 0.0075],
  ];
  const wave = Float32Array.from({ length: 4096 }, (_, i) => 0.1 + 2 * Math.cos(i));

  it.each(BOUNDS)('%s stays within llama.cpp’s bound of %d', (type, bound) => {
    const back = readBack(type as ReadableType, quantize(type, wave, 4096), wave.length);
    const square = back.reduce((sum, v, i) => sum + (v - (wave[i] as number)) ** 2, 0);
    expect(Math.sqrt(square) / wave.length).toBeLessThan(bound);
  });

  it.each(WRITABLE_TYPES)('%s of zeros is zeros', type => {
    const back = readBack(type, quantize(type, new Float32Array(256), 256), 256);
    expect([...back].every(v => v === 0)).toBe(true);
  });

  const K = ['Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K'] as const;

  it.each(K)('%s written again from what it holds is the same values', type => {
    const random = new Random(2);
    const x = Float32Array.from({ length: 512 }, () => random.normal());
    const once = readBack(type, quantize(type, x, 256), 512);
    const twice = readBack(type, quantize(type, once, 256), 512);
    const error = (a: Float32Array, b: Float32Array) =>
      Math.sqrt(a.reduce((s, v, i) => s + (v - (b[i] as number)) ** 2, 0));
    expect(error(once, twice)).toBeLessThan(0.2 * error(x, once));
  });

  it.each(K)('%s spends its precision where the importance is', type => {
    const random = new Random(3);
    const x = Float32Array.from({ length: 256 * 8 }, () => random.normal());
    const importance = Float64Array.from({ length: 256 }, (_, i) => (i % 16 < 4 ? 25 : 0.04));
    const weighted = (back: Float32Array) =>
      back.reduce((s, v, i) => s + (importance[i % 256] as number) * (v - (x[i] as number)) ** 2, 0);
    const plain = weighted(readBack(type, quantize(type, x, 256), x.length));
    expect(weighted(readBack(type, quantize(type, x, 256, importance), x.length))).toBeLessThan(0.9 * plain);
  });

  // relative errors of ggml's own quantizer on the same values, plain and weighted (npm run bench -- quantizers)
  const GGML: readonly (readonly [WritableType, plain: number, weighted: number])[] = [
    ['Q4_0', 0.08562, 0.072229],
    ['Q4_1', 0.078224, 0.057203],
    ['Q5_0', 0.042839, 0.036317],
    ['Q5_1', 0.037967, 0.027872],
    ['Q8_0', 0.005354, 0.005363],
    ['Q2_K', 0.299008, 0.208915],
    ['Q3_K', 0.151527, 0.123572],
    ['Q4_K', 0.071619, 0.058298],
    ['Q5_K', 0.036074, 0.030596],
    ['Q6_K', 0.017873, 0.015017],
  ];
  const random = new Random(1);
  const noise = Float32Array.from({ length: 64 * 256 }, () => 0.02 * random.normal());
  const columns = new Random(7);
  const importance = Float64Array.from({ length: 256 }, () => Math.exp(1.5 * columns.normal()));

  it.each(GGML)(
    '%s loses no more than ggml’s own quantizer: %d, and %d with importance',
    (type, plain, weighted) => {
      const error = (weights?: Float64Array): number => {
        const back = readBack(type, quantize(type, noise, 256, weights), noise.length);
        const of = (f: (i: number) => number) =>
          noise.reduce((sum, _, i) => sum + (weights?.[i % 256] ?? 1) * f(i) ** 2, 0);
        return Math.sqrt(of(i => (noise[i] as number) - (back[i] as number)) / of(i => noise[i] as number));
      };
      expect(error()).toBeLessThan(plain + 1e-6);
      expect(error(importance)).toBeLessThan(weighted + 1e-6);
    },
  );
});
