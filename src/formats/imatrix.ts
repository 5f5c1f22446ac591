/**
 * The older form of llama.cpp's importance matrices (.dat), which most published ones have: a count of entries, and for each
 * its tensor's name, the number n of calls, and n times the mean square of the input of each column, float32, matrices one
 * after the other where experts are stacked. Numbers are int32, texts follow their length.
 *
 * 1. After the entries newer files have the number of chunks and the name of the text that was read.
 * 2. The form has no mark to be known by: what follows the entries has to be that or nothing.
 * Source: llama.cpp, tools/imatrix (`save_imatrix_legacy`).
 */
import { assert } from '../util/errors.ts';

/** Mean squares of all columns of all matrices, by tensor. */
export function readLegacyImatrix(bytes: Uint8Array, path: string): Map<string, Float64Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const means = new Map<string, Float64Array>();
  let at = 0;
  const room = (wanted: number, what: string): void =>
    assert(
      wanted >= 0 && wanted <= bytes.length - at,
      `${path}: ${what} at byte ${at} runs past the end; it is no importance matrix of llama.cpp, or cut`,
    );
  const int = (what: string): number => {
    room(4, what);
    at += 4;
    return view.getInt32(at - 4, true);
  };
  const text = (what: string): string => {
    const length = int(what);
    room(length, what);
    at += length;
    return new TextDecoder().decode(bytes.subarray(at - length, at));
  };
  const entries = int('the count of entries');
  assert(entries > 0, `${path}: ${entries} entries; it is no importance matrix of llama.cpp`);
  for (let i = 0; i < entries; i++) {
    const name = text(`the name of entry ${i}`);
    const calls = int(`entry "${name}"`);
    const count = int(`entry "${name}"`);
    room(4 * count, `entry "${name}"`);
    assert(calls > 0 && !means.has(name), `${path}: entry "${name}" has ${calls} calls, or is there twice`);
    const from = at;
    means.set(
      name,
      Float64Array.from({ length: count }, (_, k) => view.getFloat32(from + 4 * k, true) / calls),
    );
    at += 4 * count;
  }
  if (at === bytes.length) return means;
  int('the count of chunks');
  text('the name of the text');
  assert(at === bytes.length, `${path}: ${bytes.length - at} bytes after the last entry`);
  return means;
}
