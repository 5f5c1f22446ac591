import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../test/shared-data.ts';
import type { DType } from '../graph/dtype.ts';
import { float32, type Tensor } from '../graph/ir.ts';
import { randomTensor } from '../graph/random-graph.ts';
import { memoryFiles } from '../util/files.ts';
import { Random } from '../util/random.ts';
import { decodeSafetensors, encodeSafetensors, openSafetensors } from './safetensors.ts';

const fixture = new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures/dtypes.safetensors')));
const list = (tensor: Tensor | undefined): unknown[] => Array.from<unknown>(tensor?.data ?? []);

describe('the file that the safetensors package wrote', () => {
  test('reads as what was put in', () => {
    const { tensors, metadata } = decodeSafetensors(fixture);
    expect([...metadata]).toEqual([['format', 'pt']]);
    const expected: Record<string, [DType, number[], unknown[]]> = {
      'b.f32': ['float32', [2, 2], [1.5, -2.25, 0, Math.fround(3e38)]],
      'a.f32': ['float32', [], [7]],
      f16: ['float16', [3], [0x3c00, 0xb800, 0x7bff]],
      bf16: ['bfloat16', [2], [0x3f80, 0xbf00]],
      i64: ['int64', [2], [-(2n ** 63n), 2n ** 63n - 1n]],
      i32: ['int32', [1, 2], [-(2 ** 31), 5]],
      i16: ['int16', [3], [-32768, 0, 1]],
      i8: ['int8', [3], [-128, 0, 127]],
      u8: ['uint8', [3], [0, 128, 255]],
      bool: ['bool', [3], [1, 0, 1]],
      f64: ['float64', [1], [0.1]],
      e4m3: ['float8e4m3fn', [1], [0x38]],
      e5m2: ['float8e5m2', [1], [0x3c]],
      e4m3z: ['float8e4m3fnuz', [1], [0x40]],
      e5m2z: ['float8e5m2fnuz', [1], [0x40]],
      u16: ['uint16', [2], [0, 65535]],
      u32: ['uint32', [1], [2 ** 32 - 1]],
      u64: ['uint64', [1], [2n ** 64n - 1n]],
      empty: ['float32', [0, 3], []],
      häj: ['uint8', [1], [1]],
    };
    expect([...tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
    for (const [name, [dtype, dims, data]] of Object.entries(expected)) {
      const tensor = tensors.get(name);
      expect([tensor?.dtype, tensor?.dims, list(tensor)], name).toEqual([dtype, dims, data]);
    }
  });

  test('is written here to the same bytes', () => {
    const { tensors, metadata } = decodeSafetensors(fixture);
    const shuffled = new Map([...tensors].reverse());
    expect(Buffer.concat(encodeSafetensors(shuffled, metadata)).equals(fixture)).toBe(true);
  });
});

test.runIf(HAS_DATA)(`gpt_nano_sort.safetensors is rewritten to the same tensors ${NEEDS_DATA}`, () => {
  const { tensors, metadata } = decodeSafetensors(readFileSync(shared('gpt_nano_sort.safetensors')));
  const again = decodeSafetensors(Buffer.concat(encodeSafetensors(tensors, metadata)));
  expect(again.tensors.size).toBe(tensors.size);
  for (const [name, tensor] of tensors) expect(again.tensors.get(name), name).toEqual(tensor);
});

const DTYPES = [
  'float32',
  'float16',
  'bfloat16',
  'float64',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint8',
  'bool',
  'float8e4m3fn',
  'float8e5m2',
] as const;
const tensor = fc
  .tuple(fc.integer(), fc.constantFrom(...DTYPES))
  .map(([seed, dtype]) => randomTensor(new Random(seed), dtype));
const text = fc.string({ unit: 'binary' });
const name = text.filter(n => n !== '__metadata__');
const file = fc.tuple(
  fc.uniqueArray(fc.tuple(name, tensor), { selector: ([n]) => n, maxLength: 8 }),
  fc.array(fc.tuple(text, text)),
);

describe('properties', () => {
  test('decode(encode(x)) = x, with every tensor aligned', () => {
    fc.assert(
      fc.property(file, ([tensors, metadata]) => {
        const bytes = new Uint8Array(Buffer.concat(encodeSafetensors(new Map(tensors), new Map(metadata))));
        const read = decodeSafetensors(bytes);
        expect(read.metadata).toEqual(new Map(metadata));
        expect(new Map([...read.tensors].sort())).toEqual(new Map([...tensors].sort()));
        for (const { data } of read.tensors.values()) expect((data as Uint8Array).buffer).toBe(bytes.buffer);
      }),
      { numRuns: 100 },
    );
  });

  test('cut or changed bytes give tensors or one sentence, never another error', () => {
    const change = fc.tuple(fc.nat(fixture.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.nat(fixture.length), fc.array(change, { maxLength: 3 }), (length, changes) => {
        const broken = fixture.slice(0, length);
        for (const [at, value] of changes) if (at < length) broken[at] = value;
        try {
          decodeSafetensors(broken);
        } catch (error) {
          expect(error).toMatchObject({ name: 'GaslawError' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function raw(
  header: string,
  dataBytes = 0,
  length = BigInt(new TextEncoder().encode(header).length),
): Uint8Array {
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(length);
  return Buffer.concat([head, Buffer.from(header), Buffer.alloc(dataBytes)]);
}
const entry = (dtype: string, shape: unknown, offsets: unknown) =>
  JSON.stringify({ dtype, shape, data_offsets: offsets });

test.each([
  ['too short', new Uint8Array(3), 'm: not a safetensors file, it has 3 bytes'],
  [
    'huge header',
    raw('', 0, 2n ** 63n),
    'm: not a safetensors file, its header would have 9223372036854775808 bytes',
  ],
  ['header beyond file', raw('{}', 0, 99n), 'm: cut short, the header has 99 bytes and the file 10'],
  ['no JSON', raw('{"a":'), 'm: not a safetensors file, its header is not JSON'],
  [
    'no UTF-8',
    Buffer.concat([Buffer.of(1, 0, 0, 0, 0, 0, 0, 0), Buffer.of(0xff)]),
    'm: not a safetensors file, its header is not JSON',
  ],
  ['no object', raw('[]'), 'm: its header is not a JSON object'],
  [
    'a name twice',
    raw(`{"a":${entry('U8', [0], [0, 0])},"\\u0061" :${entry('U8', [1], [0, 1])}}`, 1),
    'm: the header names "a" twice',
  ],
  ['metadata of numbers', raw('{"__metadata__":{"a":1}}'), 'm: its metadata do not map names to text'],
  [
    'unknown type',
    raw(`{"a":${entry('C64', [1], [0, 8])}}`, 8),
    'm: tensor "a": type "C64" is not supported',
  ],
  [
    'negative shape',
    raw(`{"a":${entry('U8', [-1], [0, 1])}}`, 1),
    'm: tensor "a": shape [-1] is not a list of counts',
  ],
  [
    'shape of halves',
    raw(`{"a":${entry('U8', [0.5], [0, 1])}}`, 1),
    'm: tensor "a": shape [0.5] is not a list of counts',
  ],
  [
    'size',
    raw(`{"a":${entry('F32', [2], [0, 4])}}`, 4),
    'm: tensor "a": F32[2] takes 8 bytes, its range has 4',
  ],
  [
    'overflowing size',
    raw(`{"a":${entry('F32', [2 ** 52, 2 ** 52], [0, 4])}}`, 4),
    'takes 8.112963841460668e+31 bytes',
  ],
  ['backwards', raw(`{"a":${entry('U8', [1], [1, 0])}}`, 1), 'm: tensor "a": offsets [1,0] are not a range'],
  [
    'overlap',
    raw(`{"a":${entry('U8', [2], [0, 2])},"b":${entry('U8', [2], [1, 3])}}`, 3),
    'm: tensor "b": its bytes overlap with another tensor\'s',
  ],
  [
    'hole',
    raw(`{"a":${entry('U8', [1], [1, 2])}}`, 2),
    'm: tensor "a": 1 bytes before it belong to no tensor',
  ],
  [
    'cut data',
    raw(`{"a":${entry('U8', [5], [0, 5])}}`, 3),
    /m: tensor "a": ends at byte \d+, the file has \d+: it was cut short/,
  ],
  [
    'bytes left over',
    raw(`{"a":${entry('U8', [1], [0, 1])}}`, 3),
    'm: 2 bytes at its end belong to no tensor',
  ],
])('refused: %s', (_, bytes, message) => {
  expect(() => decodeSafetensors(bytes, 'm')).toThrow(message);
});

test('keys inside metadata and values are not mistaken for tensor names', () => {
  const header = `{"__metadata__":{"a":"\\"b\\":","b":"x"},"a":${entry('U8', [0], [0, 0])},"b":${entry('U8', [0], [0, 0])}}`;
  expect([...decodeSafetensors(raw(header)).tensors.keys()]).toEqual(['a', 'b']);
});

test('writing refuses what the format cannot hold', () => {
  expect(() =>
    encodeSafetensors(new Map([['q', { dtype: 'int4', dims: [2], data: new Uint8Array(1) }]])),
  ).toThrow('tensor "q": safetensors has no type for int4');
  expect(() => encodeSafetensors(new Map([['__metadata__', float32([], [1])]]))).toThrow(
    'is taken by the format',
  );
});

test('a file on disk is read tensor by tensor', async () => {
  const ranges: number[] = [];
  const files = memoryFiles({ 'dir/m.safetensors': fixture });
  const { readRange } = files;
  files.readRange = (path, at, length) => {
    ranges.push(length);
    return readRange!.call(files, path, at, length);
  };
  const opened = await openSafetensors(files, 'dir/m.safetensors');
  expect(list(await opened.read('i8'))).toEqual([-128, 0, 127]);
  expect(ranges.at(-1)).toBe(3);
  await expect(opened.read('nix')).rejects.toThrow('dir/m.safetensors: there is no tensor "nix"');
  await expect(openSafetensors(files, 'none')).rejects.toThrow('none: no such file');
  delete files.readRange;
  expect(list(await (await openSafetensors(files, 'dir/m.safetensors')).read('a.f32'))).toEqual([7]);
});
