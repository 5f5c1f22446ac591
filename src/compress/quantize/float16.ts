/**
 * Weights stored as float16 with a Cast to float32 where they are read: files halve, arithmetic stays float32, which is
 * what CPUs are fast at. Runtimes fold the casts when they load the model, and importing does too: what imports a model
 * to work on it stores the weights anew (`storedAs`).
 */
import { DTYPE_CODES } from '../../graph/dtype.ts';
import { type Graph, type Model, sizeOf, type Tensor } from '../../graph/ir.ts';
import { cloneModel, FreshNames, sortTopologically } from '../../graph/walk.ts';
import { importModel } from '../../import/index.ts';
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
  const names = new FreshNames(graph);
  for (const [name, tensor] of [...graph.initializers]) {
    if (tensor.dtype !== 'float32' || sizeOf(tensor.dims) < minElements) continue;
    const values = tensor.data as Float32Array;
    if (values.some(x => Math.abs(x) > LARGEST)) kept.push(name);
    else {
      convert(graph, names, name, tensor);
      converted.push(name);
    }
  }
  sortTopologically(graph);
  return { converted, kept };
}

/** `model` imported, so with norms in the products before them, and its weights in float16. */
export function halved(model: Model): Float16Report & { readonly model: Model } {
  const { model: copy } = importModel(model);
  return { model: copy, ...toFloat16(copy.graph) };
}

/** The Cast takes the weight's name, so that nothing that reads it changes, in bodies of If and Loop neither. */
function convert(graph: Graph, names: FreshNames, name: string, tensor: Tensor): void {
  const data = encodeFloats(tensor.data as Float32Array, 'float16');
  const half = names.fresh(`${name}.float16`);
  graph.initializers.delete(name);
  graph.initializers.set(half, { dtype: 'float16', dims: tensor.dims, data });
  graph.types.set(name, { dtype: 'float32', shape: tensor.dims });
  graph.nodes.push({
    name: half,
    domain: '',
    opType: 'Cast',
    inputs: [half],
    outputs: [name],
    attributes: { to: { type: 'int', value: DTYPE_CODES.float32 } },
  });
}

/** Whether `graph` has constants of float16 that a Cast widens. */
const holdsFloat16 = (graph: Graph): boolean =>
  graph.nodes.some(
    n => n.opType === 'Cast' && graph.initializers.get(n.inputs[0] as string)?.dtype === 'float16',
  );

/** `model`, its weights in float16 where those of `like` are. */
export function storedAs(like: Model, model: Model): Model {
  if (!holdsFloat16(like.graph)) return model;
  const copy = cloneModel(model);
  toFloat16(copy.graph);
  return copy;
}
