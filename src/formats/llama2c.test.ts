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

const encoded = (config: Llama2cConfig): Uint8Array => concatBytes([...encodeLlama2c(config, valuesOf)]);

const VECTORS = ['rms_att_weight', 'rms_ffn_weight', 'rms_final_weight'] as const;
const MATRICES = ['token_embedding_table', 'wq', 'wk', 'wv', 'wo', 'w1', 'w2', 'w3', 'wcls'] as const;

/** int8 codes and float32 scales of groups, both telling their places. */
const codeOf = (i: number): number => (i % 255) - 127;
const scaleOf = (name: Llama2cTensor, group: number): number =>
  1 + LLAMA2C_TENSORS.indexOf(name) + group / 64;

/** A file as export.py's `version1_export` and `version2_export` write it. */
function later(version: number, config: Llama2cConfig, group = 4): Uint8Array {
  const header = new DataView(new ArrayBuffer(256));
  const { dim, hiddenDim, layers, heads, keyHeads, vocabSize, positions, sharedOutput } = config;
  const sizes = [0x616b3432, version, dim, hiddenDim, layers, heads, keyHeads, vocabSize, positions];
  sizes.forEach((size, i) => void header.setInt32(4 * i, size, true));
  header.setUint8(36, sharedOutput ? 1 : 0);
  if (version === 2) header.setInt32(37, group, true);
  const shapes = llama2cShapes(config);
  const floats = (values: Float32Array) => new Uint8Array(values.buffer);
  const grouped = (name: Llama2cTensor): Uint8Array[] => {
    const [count = 0, ...matrix] =
      name === 'token_embedding_table' || name === 'wcls' ? [1, ...shapes[name]] : shapes[name];
    const size = sizeOf(matrix);
    return Array.from({ length: count }, (_, layer) => {
      const codes = Uint8Array.from({ length: size }, (_, i) => codeOf(layer * size + i));
      const groups = size / group;
      const scales = Float32Array.from({ length: groups }, (_, g) => scaleOf(name, layer * groups + g));
      return [codes, floats(scales)];
    }).flat();
  };
  return concatBytes([
    new Uint8Array(header.buffer),
    ...VECTORS.map(name => floats(valuesOf(name, shapes[name]))),
    ...MATRICES.flatMap(name => (version === 1 ? [floats(valuesOf(name, shapes[name]))] : grouped(name))),
  ]);
}

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

describe('the later versions', () => {
  it.each([true, false])(
    '1: vectors first, then matrices, as floats; output shared: %s',
    async sharedOutput => {
      const config = { ...CONFIG, sharedOutput };
      const file = await opened(later(1, config));
      expect(file.config).toEqual(config);
      for (const name of [...VECTORS, ...MATRICES]) {
        const dims = llama2cShapes(config)[name];
        const all = new Float32Array(sizeOf(dims));
        await file.readFloats(name, all);
        expect(all, name).toEqual(valuesOf(name, dims));
      }
      await expect(file.readFloats('freq_cis_real', new Float32Array(1))).rejects.toThrow(
        /has 0 elements, not 1/,
      );
    },
  );

  it.each([
    [true, 4],
    [false, 8],
  ])(
    '2: codes times the scale of their group; output shared: %s, groups of %d',
    async (sharedOutput, group) => {
      const config = { ...CONFIG, sharedOutput };
      const file = await opened(later(2, config, group));
      expect(file.config).toEqual(config);
      for (const name of MATRICES) {
        const count = sizeOf(llama2cShapes(config)[name]);
        const wanted = Float32Array.from(
          { length: count },
          (_, i) => codeOf(i) * scaleOf(name, Math.floor(i / group)),
        );
        const all = new Float32Array(count);
        await file.readFloats(name, all);
        expect(all, name).toEqual(wanted);
        for (const [first, length] of [
          [1, 2],
          [3, 9],
          [count / 2 - 3, 7], // over the end of the first layer
        ] as const) {
          if (first < 0 || first + length > count) continue;
          const piece = new Float32Array(length);
          await file.readFloats(name, piece, first);
          expect(piece, name).toEqual(wanted.slice(first, first + length));
        }
      }
      const norms = new Float32Array(16);
      await file.readFloats('rms_ffn_weight', norms);
      expect(norms).toEqual(valuesOf('rms_ffn_weight', [2, 8]));
    },
  );
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
    ['a version that is not known', () => later(3, CONFIG), /version 3 of llama2.c's format is not read/],
    ['a later version without its header', () => later(1, CONFIG).subarray(0, 100), /100 bytes; too short/],
    ['a later version that is cut', () => later(1, CONFIG).subarray(0, -1), /asks for \d+; the file is cut/],
    [
      'groups that do not divide',
      () => later(2, CONFIG, 4).fill(3, 37, 38),
      /groups of 3 do not divide the width 8/,
    ],
    ['groups of nothing', () => later(2, CONFIG).fill(0, 37, 38), /groups of 0/],
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

  it.each([
    [0, encoded(CONFIG)],
    [1, later(1, CONFIG)],
    [2, later(2, CONFIG, 4)],
  ])('any bytes, or every tensor is there: version %d', async (_, whole) => {
    const damage = fc.array(fc.tuple(fc.nat(41), fc.nat(255)), { maxLength: 4 });
    const lengths = fc.oneof(fc.nat(whole.length), fc.constant(whole.length));
    await fc.assert(
      fc.asyncProperty(damage, lengths, async (changes, length) => {
        const bytes = whole.slice(0, length);
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        try {
          const file = await opened(bytes);
          const shapes = Object.entries(llama2cShapes(file.config)) as [Llama2cTensor, number[]][];
          for (const [name, dims] of shapes)
            if (!name.startsWith('freq')) await file.readFloats(name, new Float32Array(sizeOf(dims)));
        } catch (error) {
          expect(error).toBeInstanceOf(GaslawError);
          expect((error as Error).message).toMatch(/^m\.bin: /);
        }
      }),
    );
  });
});
