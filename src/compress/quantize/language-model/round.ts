/**
 * A store with its matrices rounded in place of their floats: what a file of few bits would compute with, at any width.
 *
 * 1. The table and the vocabulary projection keep `outputBits`, 8 unless told otherwise, as in files.
 * 2. Matrices without statistics are rounded by the clipping search where the method needs some.
 */
import type { ParameterStore } from '../../../nn/parameters.ts';
import { type BlockFormat, blocksOf, dequantize, type Matrix } from '../blocks.ts';
import { METHODS, type MethodName, type MethodOptions } from '../methods/index.ts';
import type { CalibratedStore } from './fold.ts';
import { copyOf } from './smooth-quant.ts';

export interface RoundOptions {
  readonly format: BlockFormat;
  /** Bits of the table and the vocabulary projection. Default 8. */
  readonly outputBits?: BlockFormat['bits'] | 'float';
  readonly method: MethodName;
  readonly methodOptions?: MethodOptions;
  /** Weigh the errors of columns by E[x²] where method `mse` may. Default false. */
  readonly weighted?: boolean;
}

export interface RoundedStore {
  readonly store: ParameterStore;
  /** Bits a weight of all matrices but the table and the projection, scales and zero points included. */
  readonly bitsPerWeight: number;
}

/** Rounds every matrix of the store; its vectors stay. */
export function roundStore(from: CalibratedStore, options: RoundOptions): RoundedStore {
  const store = copyOf(from.store);
  const { format, outputBits = 8, methodOptions } = options;
  let [bits, weights] = [0, 0];
  for (const { name, dims } of store.specs) {
    if (dims.length !== 2) continue;
    const isOutput = isTableOrOutput(name);
    if (isOutput && outputBits === 'float') continue;
    const tensor = store.tensor(name);
    const data = tensor.data as Float32Array;
    const matrix: Matrix = { rows: dims[0] as number, columns: dims[1] as number, data };
    const used = isOutput ? { ...format, bits: outputBits as BlockFormat['bits'] } : format;
    const needed = METHODS[options.method].needs === 'inputs';
    const inputs = needed || options.weighted ? from.statistics.get(name) : undefined;
    const method = needed && !inputs ? 'mse' : options.method;
    data.set(dequantize(METHODS[method].quantize(matrix, used, inputs, methodOptions)).data);
    if (isOutput) continue;
    bits += bitsOf(matrix, used);
    weights += data.length;
  }
  return { store, bitsPerWeight: bits / weights };
}

export const isTableOrOutput = (name: string): boolean => /(^|\.)(embed_tokens|lm_head)\.weight$/.test(name);

function bitsOf(
  { rows, columns, data }: Matrix,
  { bits, blockSize, symmetric, scales }: BlockFormat,
): number {
  const blocks = rows * blocksOf(columns, blockSize);
  return data.length * bits + blocks * ((scales === 'float16' ? 16 : 32) + (symmetric ? 0 : bits));
}
