/**
 * Weights stored as float16 with a Cast to float32 where they are read: files halve, arithmetic stays float32, which is
 * what CPUs are fast at. Runtimes fold the casts when they load the model.
 */
import { type Graph, sizeOf, type Tensor } from '../../graph/ir.ts';
import { sortTopologically } from '../../graph/walk.ts';
import { Builder } from '../../ops/builder.ts';
import { encodeFloats } from '../../util/float16.ts';

export interface Float16Report {
  readonly converted: readonly string[];
  /** Weights with values that float16 cannot hold. */
  readonly kept: readonly string[];
}

const LARGEST = 65504;

/** Rewrites `graph` in place: float32 initializers of `minElements` and more. */
export function toFloat16(graph: Graph, minElements = 64): Float16Report {
  const converted: string[] = [];
  const kept: string[] = [];
  const builder = new Builder(graph);
  for (const [name, tensor] of [...graph.initializers]) {
    if (tensor.dtype !== 'float32' || sizeOf(tensor.dims) < minElements) continue;
    const values = tensor.data as Float32Array;
    if (values.some(x => Math.abs(x) > LARGEST)) kept.push(name);
    else {
      convert(builder, name, tensor);
      converted.push(name);
    }
  }
  sortTopologically(graph);
  return { converted, kept };
}

function convert(b: Builder, name: string, tensor: Tensor): void {
  const data = encodeFloats(tensor.data as Float32Array, 'float16');
  const half = b.initializer(`${name}.float16`, { dtype: 'float16', dims: tensor.dims, data });
  const value = b.scope(name, () => half.cast('float32'));
  b.graph.initializers.delete(name);
  for (const node of b.graph.nodes)
    node.inputs = node.inputs.map(input => (input === name ? value.name : input));
}
