/** llama2.c files: what is written is read, and hostile bytes get one sentence before memory is taken. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sizeOf } from '../graph/ir.ts';
import { GaslawError } from '../util/errors.ts';
import { concatBytes, memoryFiles } from '../util/files.ts';
import {
  encodeLlama2c,
  LLAMA2C_TENSORS,
  type Llama2cConfig,
  type Llama2cTensor,
  llama2cShapes,
  openLlama2c,
} from './llama2c.ts';

const CONFIG: Llama2cConfig = {
  dim: 8,
  hiddenDim: 12,
  layers: 2,
  heads: 2,
  keyHeads: 1,
  vocabSize: 5,
  positions: 3,
  sharedOutput: true,
};

/** Values that tell where they come from. */
const valuesOf = (name: Llama2cTensor, dims: readonly number[]): Float32Array =>
  Float32Array.from({ length: sizeOf(dims) }, (_, i) => 1000 * LLAMA2C_TENSORS.indexOf(name) + i);

const encoded = (config: Llama2cConfig): Uint8Array<ArrayBuffer> =>
  concatBytes([...encodeLlama2c(config, valuesOf)]);

const opened = (bytes: Uint8Array) => openLlama2c(memoryFiles({ 'm.bin': bytes }), 'm.bin');

describe('what is written', () => {
  it.each([true, false])('is read; output shared: %s', async sharedOutput => {
    const config = { ...CONFIG, sharedOutput };
    const file = await opened(encoded(config));
    expect(file.config).toEqual(config);
    for (const [name, dims] of Object.entries(llama2cShapes(config)) as [Llama2cTensor, number[]][]) {
      if (name.startsWith('freq')) continue;
      const all = new Float32Array(sizeOf(dims));
      await file.readFloats(name, all);
      expect(all, name).toEqual(valuesOf(name, dims));
    }
    const piece = new Float32Array(3);
    await file.readFloats('w2', piece, 100);
    expect([...piece]).toEqual([8100, 8101, 8102]);
  });

  it('has the tables of angles that llama2.c writes', async () => {
    const file = await opened(encoded(CONFIG));
    const [cos, sin] = [new Float32Array(6), new Float32Array(6)];
    await file.readFloats('freq_cis_real', cos);
    await file.readFloats('freq_cis_imag', sin);
    // heads of 4: frequencies 1 and 1/100
    const at = [0, 0, 1, 0.01, 2, 0.02];
    expect([...cos]).toEqual(at.map(x => Math.fround(Math.cos(x))));
    expect([...sin]).toEqual(at.map(x => Math.fround(Math.sin(x))));
  });
});

describe('refused', () => {
  const change = (index: number, value: number): Uint8Array => {
    const bytes = encoded(CONFIG);
    new DataView(bytes.buffer).setInt32(4 * index, value, true);
    return bytes;
  };

  it.each([
    [
      'a cut file',
      () => encoded(CONFIG).subarray(0, -4),
      /has 4232 bytes where .* asks for 4236; the file is cut/,
    ],
    ['a longer file', () => concatBytes([encoded(CONFIG), new Uint8Array(1)]), /has 4237 bytes/],
    ['an empty file', () => new Uint8Array(), /0 bytes; too short/],
    ['no layers', () => change(2, 0), /layers is 0/],
    ['negative positions', () => change(6, -1), /positions is -1/],
    ['heads that do not divide', () => change(3, 3), /8 dimensions do not divide into 3 heads/],
    ['sizes beyond any file', () => change(2, 2 ** 31 - 1), /the file is cut, or not llama2.c/],
    [
      'a later version',
      () => concatBytes([Uint8Array.of(0x32, 0x34, 0x6b, 0x61, 2, 0, 0, 0), new Uint8Array(20)]),
      /version 2 of llama2.c/,
    ],
  ])('%s', async (_, bytes, message) => {
    await expect(opened(bytes())).rejects.toThrow(message);
  });

  it('a vocabulary of −2³¹, whose size has no int32', async () => {
    await expect(opened(change(5, -(2 ** 31)))).rejects.toThrow(GaslawError);
  });

  it('elements past a tensor', async () => {
    const file = await opened(encoded(CONFIG));
    await expect(file.readFloats('rms_final_weight', new Float32Array(4), 5)).rejects.toThrow(
      /tensor "rms_final_weight" has 8 elements, not 9/,
    );
  });

  it('any bytes, or they are a file of that length', async () => {
    const whole = encoded(CONFIG);
    const damage = fc.array(fc.tuple(fc.nat(27), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(damage, fc.nat(whole.length), async (changes, length) => {
        const bytes = whole.slice(0, length);
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        try {
          const { config } = await opened(bytes);
          expect(28 + 4 * Object.values(llama2cShapes(config)).reduce((n, d) => n + sizeOf(d), 0)).toBe(
            length,
          );
        } catch (error) {
          expect(error).toBeInstanceOf(GaslawError);
          expect((error as Error).message).toMatch(/^m\.bin: /);
        }
      }),
    );
  });
});
