/**
 * Zeros among the weights as a choice of the search, for devices that gain by them.
 *
 *   compressed-weights, unstructured   a bit says of each weight whether it is there: elements / 8 + bytes of those that are
 *   2:4                                half the values and two bits for the place of each
 *
 * 1. Zeros are chosen by magnitude after training; what is left is not trained again. A device that stores zeros like any number
 *    gains nothing, so that it is refused.
 * 2. They make the weights smaller. What they save in time nobody published layer by layer, and it does not count.
 */

import type { DeviceProfile } from '../../devices/profile.ts';
import { byteLength } from '../../graph/dtype.ts';
import { type Graph, sizeOf, type Tensor } from '../../graph/ir.ts';
import { cloneModel } from '../../graph/walk.ts';
import { UsageError } from '../../util/errors.ts';
import { type SparsityPattern, sparsifyWeights } from '../prune/sparsity.ts';
import { nothing, type Rewrite } from './joint.ts';

/** Weights with fewer elements keep all of them. */
const LEAST = 256;

/** Dense, and each share of zeros. Throws a UsageError where the device gains nothing by them. */
export function zeroRewrites(device: DeviceProfile, shares: readonly number[]): Rewrite[] {
  if (shares.length === 0) return [nothing('')];
  const kind = device.sparsity?.value ?? 'none';
  if (kind === 'none')
    throw new UsageError(
      `${device.id} stores and computes zeros like any number, so that they save nothing there`,
    );
  if (kind === '2:4' && shares.some(share => share !== 0.5))
    throw new UsageError(`${device.id} skips 2 of every 4 weights alone: the share of zeros is 0.5`);
  return [nothing(''), ...shares.map(share => zeros(share, kind === '2:4' ? { keep: 2, of: 4 } : { share }))];
}

const zeros = (share: number, pattern: SparsityPattern): Rewrite => ({
  name: `${Math.round(100 * share)} % zeros`,
  async apply(model) {
    const copy = cloneModel(model);
    sparsifyWeights(copy.graph, {
      pattern,
      method: 'magnitude',
      minElements: LEAST,
    });
    return copy;
  },
});

/** Bytes of all stored tensors where the device leaves zeros out. */
export const bytesWithoutZeros = (graph: Graph, device: DeviceProfile): number =>
  [...graph.initializers.values()].reduce((sum, tensor) => sum + bytesOf(tensor, device.sparsity?.value), 0);

function bytesOf(tensor: Tensor, kind: string | undefined): number {
  if (tensor.dtype === 'string') return 0;
  const elements = sizeOf(tensor.dims);
  const dense = byteLength(tensor.dtype, elements);
  if (kind === undefined || kind === 'none' || elements < LEAST) return dense;
  const kept = (tensor.data as Float32Array).reduce((n, w) => n + (w === 0 ? 0 : 1), 0) / elements;
  const needed =
    kind === '2:4' ? (kept <= 0.5 ? dense / 2 + elements / 8 : dense) : kept * dense + elements / 8;
  return Math.min(dense, Math.ceil(needed));
}
