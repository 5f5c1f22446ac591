/** Files: what is written is read, and hostile bytes get one sentence before memory is taken. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GaslawError } from '../../util/errors.ts';
import { concatBytes, memoryFiles } from '../../util/files.ts';
import { decodeHeader } from './header.ts';
import { openGguf } from './reader.ts';
import { type GgufValue, list, scalar } from './types.ts';
import { encodeGguf, type PendingGgufTensor } from './writer.ts';

const METADATA = new Map<string, GgufValue>([
  ['general.architecture', scalar('string', 'llama')],
  ['a.u8', scalar('uint8', 200)],
  ['a.i64', scalar('int64', -5n)],
  ['a.u64', scalar('uint64', 2n ** 63n)],
  ['a.f32', scalar('float32', 0.5)],
  ['a.bool', scalar('bool', true)],
  ['a.list', list('int32', [1, -2, 3])],
  ['a.words', list('string', ['x', 'ÿ', ''])],
]);

const tensor = (name: string, values: readonly number[], dims: readonly number[]): PendingGgufTensor => ({
  name,
  type: 'F32',
  dims,
  make: () => [new Uint8Array(Float32Array.from(values).buffer)],
});

const TENSORS = [tensor('one', [1, 2, 3], [3]), tensor('two', [1, 2, 3, 4, 5, 6], [2, 3])];
const whole = (): Uint8Array => concatBytes([...encodeGguf(METADATA, TENSORS)]);

async function opened(bytes: Uint8Array) {
  const files = memoryFiles();
  await files.write('f.gguf', bytes);
  return openGguf(files, 'f.gguf');
}

describe('what is written', () => {
  it('is read', async () => {
    const file = await opened(whole());
    expect(file.metadata).toEqual(METADATA);
    expect([...file.tensors].map(([name, { type, dims }]) => [name, type, dims])).toEqual([
      ['one', 'F32', [3]],
      ['two', 'F32', [2, 3]],
    ]);
    const values = new Float32Array(4);
    await file.readFloats('two', values, 2);
    expect([...values]).toEqual([3, 4, 5, 6]);
  });

  it('begins with what ggml’s gguf.h describes', () => {
    const bytes = whole();
    const view = new DataView(bytes.buffer);
    expect(new TextDecoder().decode(bytes.subarray(0, 4))).toBe('GGUF');
    expect([view.getUint32(4, true), view.getBigUint64(8, true), view.getBigUint64(16, true)]).toEqual([
      3,
      2n,
      8n,
    ]);
  });

  it('has data at multiples of the alignment', async () => {
    const file = await opened(whole());
    for (const { begin } of file.tensors.values()) expect(begin % 32).toBe(0);
  });

  it('round-trips any metadata', () => {
    const value = fc.oneof(
      fc.string().map(v => scalar('string', v)),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }).map(v => scalar('uint32', v)),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(v => scalar('int64', v)),
      fc.double({ noNaN: true }).map(v => scalar('float64', v)),
      fc.array(fc.boolean()).map(v => list('bool', v)),
      fc.array(fc.string()).map(v => list('string', v)),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), value), entries => {
        const metadata = new Map(Object.entries(entries).filter(([key]) => key !== 'general.alignment'));
        const bytes = concatBytes([...encodeGguf(metadata, [])]);
        expect(decodeHeader(bytes, bytes.length, 'f').metadata).toEqual(metadata);
      }),
      { numRuns: 60 },
    );
  });
});

/** Header bytes by hand: magic, version, tensors, pairs, then `rest`. */
function header(tensors: bigint, pairs: bigint, ...rest: Uint8Array[]): Uint8Array {
  const start = new DataView(new ArrayBuffer(24));
  start.setUint32(0, 0x46554747, true);
  start.setUint32(4, 3, true);
  start.setBigUint64(8, tensors, true);
  start.setBigUint64(16, pairs, true);
  return concatBytes([new Uint8Array(start.buffer), ...rest]);
}

const u32 = (v: number) => new Uint8Array(Uint32Array.of(v).buffer);
const u64 = (v: bigint) => new Uint8Array(BigUint64Array.of(v).buffer);
const text = (s: string) => concatBytes([u64(BigInt(s.length)), new TextEncoder().encode(s)]);

/** A tensor `w` of that type code, dims (innermost first) and offset. */
const info = (code: number, dims: readonly bigint[], offset = 0n) =>
  concatBytes([text('w'), u32(dims.length), ...dims.map(u64), u32(code), u64(offset)]);

describe('hostile files', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['no GGUF', new TextEncoder().encode('not a gguf file at all, but long enough'), /not a GGUF file/],
    ['too many tensors', header(2n ** 62n, 0n), /tensor count asks for|tensor count is/],
    ['too many pairs', header(0n, 1_000_000n), /metadata count is 1000000, but only 0 bytes follow/],
    ['a long key', header(0n, 1n, u64(2n ** 40n), u32(0)), /metadata key 0 would have|metadata count/],
    ['an unknown tensor type', header(1n, 0n, info(999, [4n])), /tensor "w" has type 999/],
    ['too many dimensions', header(1n, 0n, info(0, [1n, 1n, 1n, 1n, 1n])), /tensor "w" has 5 dimensions/],
    ['a size that overflows', header(1n, 0n, info(0, [2n ** 40n, 2n ** 40n])), /tensor "w"/],
    ['data outside the file', header(1n, 0n, info(0, [1024n])), /tensor "w" takes 4096 bytes/],
    [
      'an offset out of line',
      header(1n, 0n, info(0, [1n], 3n), new Uint8Array(64)),
      /no multiple of the alignment/,
    ],
    ['half a block', header(1n, 0n, info(2, [33n])), /multiples of 32/],
    ['a tensor twice', header(2n, 0n, info(0, [0n]), info(0, [0n])), /tensor "w" is there twice/],
    [
      'an array of arrays',
      header(0n, 1n, text('k'), u32(9), u32(9), u64(0n), new Uint8Array(32)),
      /array of arrays/,
    ],
    ['a long array', header(0n, 1n, text('k'), u32(9), u32(4), u64(2n ** 50n)), /metadata "k"/],
    ['a bool of 7', header(0n, 1n, text('k'), u32(7), Uint8Array.of(7)), /metadata "k" is 7, not 0 or 1/],
  ])('%s', async (_, bytes, message) => {
    await expect(opened(bytes)).rejects.toThrow(message);
    await expect(opened(bytes)).rejects.toThrow(GaslawError);
  });

  it('cut anywhere, they are refused', async () => {
    const bytes = whole();
    const end = Math.max(...[...(await opened(bytes)).tensors.values()].map(t => t.end));
    for (let length = 0; length < end; length += 7)
      await expect(opened(bytes.subarray(0, length))).rejects.toThrow(GaslawError);
  });

  it('changed anywhere, they are read or refused', async () => {
    const bytes = whole();
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), async (at, value) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = value;
        await opened(changed).catch(error => expect(error).toBeInstanceOf(GaslawError));
      }),
      { numRuns: 300 },
    );
  });
});

it('what cannot be written is refused before a byte is', () => {
  const pending = (more: Partial<PendingGgufTensor>): PendingGgufTensor => ({
    ...tensor('w', [1], [1]),
    ...more,
  });
  const write = (...tensors: PendingGgufTensor[]) => encodeGguf(new Map(), tensors);
  expect(() => write(pending({}), pending({}))).toThrow(/tensor "w" is there twice/);
  expect(() => write(pending({ name: 'x'.repeat(64) }))).toThrow(/more than 63 bytes/);
  expect(() => write(pending({ type: 'Q4_K', dims: [2, 100] }))).toThrow(/rows must be multiples of 256/);
});
