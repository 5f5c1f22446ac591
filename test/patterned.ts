/** The weights that bench/peers/patterned.py makes from names, and models that have them; the formula stands there. */
import { float32, sizeOf, type Tensor } from '../src/graph/ir.ts';
import type { CausalModel } from '../src/models/model.ts';
import { ParameterStore } from '../src/nn/parameters.ts';

function fnv1a(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193);
  return value;
}

/** `count` float32 values in [−1, 1). */
export function uniform(name: string, count: number): Float64Array {
  const seed = fnv1a(name);
  return Float64Array.from({ length: count }, (_, i) => {
    let x = (seed + Math.imul(i, 0x9e3779b9)) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return ((x ^ (x >>> 16)) >>> 8) / 2 ** 23 - 1;
  });
}

/** The values of one parameter. */
export function patternedTensor(name: string, dims: readonly number[], offsetGains: boolean): Tensor {
  const v = uniform(name, sizeOf(dims));
  if (name.endsWith('norm.weight'))
    return float32(
      dims,
      Float32Array.from(v, x => 0.3125 * x + (offsetGains ? 0 : 1)),
    );
  const scale = name.endsWith('.bias') ? 0.25 : 0.375;
  return float32(
    dims,
    Float32Array.from(v, x => x * scale),
  );
}

/** A store with the patterned values of all of the model's parameters. */
export function patternedStore(model: CausalModel): ParameterStore {
  const offsetGains = model.architecture === 'gemma3_text';
  const tensors = model.parameters.map(
    ({ name, dims }) => [name, patternedTensor(name, dims, offsetGains)] as const,
  );
  return new ParameterStore(model.parameters).load(new Map(tensors), 'patterned weights');
}
