/**
 * What a device wants its integers to look like, as options.
 *
 * 1. Of the widths asked for, the device's first choice is taken; a width that it does not take is refused by name.
 * 2. Where floats run beside integers (cpu, gpu) only ops with integer kernels are quantized, elsewhere all.
 */
import type { DeviceProfile } from '../../../devices/profile.ts';
import { UsageError } from '../../../util/errors.ts';
import type { CodeDType } from './affine.ts';
import type { StaticOptions } from './index.ts';

/** Bits of activations and weights. */
export interface Widths {
  readonly activations: 8 | 16;
  readonly weights: 4 | 8;
}

/** Throws a UsageError that names what the device takes instead. */
export function optionsFor(device: DeviceProfile, widths: Widths): StaticOptions {
  const q = device.quantization;
  if (!q)
    throw new UsageError(
      `${device.id}: its profile says nothing of integers; it computes in ${device.precisions.value.join(', ')}`,
    );
  const activations = ofWidth(q.activations, widths.activations);
  const weights = ofWidth(q.weights, widths.weights);
  if (!activations)
    throw new UsageError(
      `${device.id} takes activations of ${q.activations.join(', ')}; none has ${widths.activations} bits`,
    );
  if (!weights)
    throw new UsageError(
      `${device.id} takes weights of ${q.weights.join(', ')}; none has ${widths.weights} bits`,
    );
  return {
    activations,
    weights,
    granularity: q.granularity.conv === 'per-tensor' ? 'per-tensor' : 'per-channel',
    productGranularity: q.granularity.matmul === 'per-tensor' ? 'per-tensor' : 'per-channel',
    symmetric:
      q.activationZeroPoint === 'zero' ||
      (q.activationZeroPoint === 'zero-in-int16' && activations === 'int16'),
    powerOfTwo: q.scale === 'power-of-two',
    coverage: device.family === 'cpu' || device.family === 'gpu' ? 'kernels' : 'all',
    unified: q.unifiedScaleOps,
  };
}

const ofWidth = (dtypes: readonly CodeDType[], bits: number): CodeDType | undefined =>
  dtypes.find(dtype => dtype.endsWith(`int${bits}`));
