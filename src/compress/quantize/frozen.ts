/**
 * A model's linear layers packed in 4 or 8 bits, as the frozen base under adapters (QLoRA): an eighth or a quarter of the
 * bytes. Tables, norms, biases and the vocabulary projection stay float.
 */
import type { Tensor } from '../../graph/ir.ts';
import { type BaseWeights, linearLayers } from '../../models/lora/index.ts';
import type { CausalModel } from '../../models/model.ts';
import type { PackedMatrix } from '../../nn/packed.ts';
import type { ParameterStore } from '../../nn/parameters.ts';
import { type BlockFormat, type BlockQuantized, blockTensors, type Matrix, storedBits } from './blocks.ts';
import { METHODS } from './methods/index.ts';

export interface FrozenOptions {
  readonly bits?: 4 | 8;
  /** A power of two from 16. */
  readonly blockSize?: number;
}

/** Base weights for `loraModel`: the matrices of linear layers packed, searched for the least squared error a block. */
export function packBase(
  model: CausalModel,
  store: ParameterStore,
  options: FrozenOptions = {},
): BaseWeights {
  const weights = new Map<string, Tensor | PackedMatrix>(store.tensors());
  for (const [name, q] of quantizedLayers(model, store, options)) weights.set(name, packed(q));
  return weights;
}

function* quantizedLayers(
  model: CausalModel,
  store: ParameterStore,
  { bits = 4, blockSize = 32 }: FrozenOptions,
): Generator<[name: string, q: BlockQuantized]> {
  const format: BlockFormat = { bits, blockSize, symmetric: bits === 8, scales: 'float32' };
  for (const module of linearLayers(model).keys()) {
    const name = `${module}.weight`;
    yield [name, METHODS.mse.quantize(matrixOf(store.tensor(name)), format)];
  }
}

const matrixOf = ({ dims: [rows = 0, columns = 0], data }: Tensor): Matrix => ({
  rows,
  columns,
  data: data as Float32Array, // a store holds floats
});

const packed = (q: BlockQuantized): PackedMatrix => ({
  rows: q.rows,
  columns: q.columns,
  bits: storedBits(q.format),
  blockSize: q.format.blockSize,
  ...blockTensors(q),
});
