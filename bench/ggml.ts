/**
 * llama.cpp's own quantizer of rows, from the library that node-llama-cpp ships: `ggml_quantize_chunk` of ggml.h.
 * DIR of `--peer` is a folder in which `npm install node-llama-cpp` was run.
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import koffi from 'koffi';
import { GGML_TYPES, type GgmlType, ggmlBytes } from '../src/formats/gguf/types.ts';

/** The bytes of whole rows of `columns`; the signature of formats/gguf/quantize.ts. */
export type RowQuantizer = (
  type: GgmlType,
  values: Float32Array,
  columns: number,
  importance?: Float64Array,
) => Uint8Array;

type QuantizeChunk = (
  type: number,
  source: Float32Array,
  target: Uint8Array,
  start: number,
  rows: number,
  columns: number,
  importance: Float32Array | null,
) => number;

/** The quantizer of the library below `folder`. */
export function ggmlQuantizer(folder: string): RowQuantizer {
  const entry = createRequire(join(resolve(folder), 'package.json')).resolve('node-llama-cpp');
  const bins = join(entry.slice(0, entry.indexOf('node_modules')), `node_modules/@node-llama-cpp`);
  const file = readdirSync(bins, { recursive: true, encoding: 'utf8' }).find(f =>
    /ggml-base\.(so|dylib|dll)$/.test(f),
  );
  if (!file) throw new Error(`${bins}: no ggml-base library`);
  const chunk = koffi
    .load(join(bins, file))
    .func(
      'size_t ggml_quantize_chunk(int type, const float *src, _Out_ uint8_t *dst, int64_t start, int64_t rows, int64_t columns, const float *imatrix)',
    ) as unknown as QuantizeChunk; // koffi cannot know the signature's type
  return (type, values, columns, importance) => {
    const out = new Uint8Array(ggmlBytes(type, values.length));
    const weights = importance ? Float32Array.from(importance) : null;
    chunk(GGML_TYPES[type].code, values, out, 0, values.length / columns, columns, weights);
    return out;
  };
}
