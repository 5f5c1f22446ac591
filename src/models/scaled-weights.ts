/**
 * Weights of 8-bit floats in blocks that share a scale, as DeepSeek-V3 is published: `X.weight` in E4M3 and
 * `X.weight_scale_inv`, one float32 for each block of 128 × 128,
 *
 *   w[r, c] = e4m3[r, c] · scale[⌊r / 128⌋, ⌊c / 128⌋]     (DeepSeek-V3 §3.3; inference/kernel.py, `weight_dequant`)
 *
 * 1. The block is `quantization_config.weight_block_size` of config.json; blocks at the edges are cut.
 * 2. Scales are read when the first piece of their matrix is, and kept until another matrix is asked for.
 */
import type { SafetensorsEntry, SafetensorsFile } from '../formats/safetensors.ts';
import { sizeOf } from '../graph/ir.ts';
import { assert } from '../util/errors.ts';
import { Fields } from './fields.ts';

export type ScaleBlock = readonly [rows: number, columns: number];

const SUFFIX = '_scale_inv';

/** The name of the scales of a tensor; whether a name is of scales. */
export const scalesOf = (stored: string): string => stored + SUFFIX;
export const isScales = (stored: string): boolean => stored.endsWith(`.weight${SUFFIX}`);

/** The block of a config.json; undefined when its weights have no scales. Throws for other kinds of quantization. */
export function scaleBlockOf(config: unknown, origin: string): ScaleBlock | undefined {
  const fields = new Fields(config, origin);
  const quantization = fields.raw('quantization_config');
  if (quantization === undefined || quantization === null) return undefined;
  const { quant_method, weight_block_size } = quantization as Record<string, unknown>;
  assert(
    quant_method === 'fp8' && Array.isArray(weight_block_size),
    `${origin}: quantization_config.quant_method "${quant_method}" is not read; known is fp8 with a weight_block_size`,
  );
  const [rows, columns] = weight_block_size as unknown[];
  assert(
    weight_block_size.length === 2 && isSize(rows) && isSize(columns),
    `${origin}: quantization_config.weight_block_size [${weight_block_size}] is not two whole numbers from 1`,
  );
  return [rows, columns];
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

/** A tensor in a file. */
export interface StoredTensor {
  readonly file: SafetensorsFile;
  readonly path: string;
  readonly stored: string;
}

/** Throws unless there are scales for each block of a matrix. */
export function checkScales(
  { path, stored }: StoredTensor,
  { dims }: SafetensorsEntry,
  scales: StoredTensor | undefined,
  block: ScaleBlock | undefined,
): asserts scales is StoredTensor {
  const tensor = `${path}: tensor "${stored}"`;
  assert(
    block,
    `${tensor} is in 8-bit floats, but config.json has no quantization_config that says how they are scaled`,
  );
  assert(scales, `${tensor} is in 8-bit floats, but "${scalesOf(stored)}" is missing`);
  const entry = scales.file.entries.get(scales.stored) as SafetensorsEntry; // it was found there
  const want = dims.map((n, axis) => Math.ceil(n / (block[axis] ?? 1)));
  assert(
    dims.length === 2 && entry.dtype === 'float32' && entry.dims.join() === want.join(),
    `${scales.path}: tensor "${scales.stored}" is ${entry.dtype}[${entry.dims}]; [${dims}] in blocks of [${block}] needs float32[${want}]`,
  );
}

/** A reader of scaled matrices: elements from number `first` on, as float32. */
export function scaledReader() {
  let last: { of: StoredTensor; values: Float32Array } | undefined;
  return async (
    { file, stored }: StoredTensor,
    scales: StoredTensor,
    [height, width]: ScaleBlock,
    out: Float32Array,
    first = 0,
  ): Promise<void> => {
    const columns = file.entries.get(stored)?.dims[1] as number; // checked by checkScales
    if (last?.of !== scales) last = { of: scales, values: await readAll(scales) };
    const { values } = last;
    await file.readFloats(stored, out, first);
    const across = Math.ceil(columns / width);
    for (let at = 0; at < out.length; ) {
      const row = Math.floor((first + at) / columns);
      const column = (first + at) % columns;
      const end = Math.min(out.length, at + Math.min(columns, column - (column % width) + width) - column);
      const scale = values[Math.floor(row / height) * across + Math.floor(column / width)] as number;
      for (; at < end; at++) out[at] = (out[at] as number) * scale;
    }
  };
}

async function readAll({ file, stored }: StoredTensor): Promise<Float32Array> {
  const values = new Float32Array(sizeOf(file.entries.get(stored)?.dims ?? []));
  await file.readFloats(stored, values);
  return values;
}
