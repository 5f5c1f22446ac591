/**
 * Networks at other sizes of their pictures: those that are convolutions up to a mean over positions take any.
 *
 * 1. A size will do when shape inference finds the same outputs at it: a Reshape or a matrix that counts positions refuses others.
 * 2. Pictures are made smaller as `data/examples/resize.ts` does, on the values that the network reads.
 */
import { type Examples, subset } from '../../data/examples/examples.ts';
import { tapsOf } from '../../data/examples/resize.ts';
import { float32, type Graph, type Tensor, typeOf, type ValueInfo } from '../../graph/ir.ts';
import { cloneGraph } from '../../graph/walk.ts';
import { inferShapes } from '../../ops/infer.ts';
import { GaslawError } from '../../util/errors.ts';

export type PictureSize = readonly [height: number, width: number];

/** The one input, if it is pictures [N, C, H, W] of a known size. */
function pictures(graph: Graph): { input: ValueInfo; size: PictureSize } | undefined {
  const inputs = graph.inputs.filter(input => !graph.initializers.has(input.name));
  const [input] = inputs;
  const [height, width] = input?.shape?.slice(2) ?? [];
  const fits = inputs.length === 1 && input?.dtype === 'float32' && input.shape?.length === 4;
  return fits && typeof height === 'number' && typeof width === 'number'
    ? { input, size: [height, width] }
    : undefined;
}

/** `graph` for pictures of that size; undefined where it cannot take them. */
export function withPictures(graph: Graph, [height, width]: PictureSize): Graph | undefined {
  const own = pictures(graph);
  if (!own) return undefined;
  const changed = cloneGraph(graph);
  changed.inputs = graph.inputs.map(input =>
    input === own.input ? { ...input, shape: [...(input.shape ?? []).slice(0, 2), height, width] } : input,
  );
  changed.types.clear();
  try {
    inferShapes(changed);
  } catch (error) {
    if (error instanceof GaslawError) return undefined;
    throw error;
  }
  const shape = (g: Graph, name: string) => typeOf(g, name)?.shape?.join();
  return graph.outputs.every(({ name }) => shape(changed, name) === shape(graph, name)) ? changed : undefined;
}

/** The graph's own size and those of `shares` of its sides that it takes, the largest first. */
export function pictureSizes(graph: Graph, shares: readonly number[]): PictureSize[] {
  const own = pictures(graph);
  if (!own) return [];
  const [height, width] = own.size;
  const smaller = [...new Set(shares)]
    .filter(share => share < 1)
    .sort((a, b) => b - a)
    .map((share): PictureSize => [Math.round(share * height), Math.round(share * width)]);
  return [own.size, ...smaller.filter(size => Math.min(...size) > 0 && withPictures(graph, size))];
}

/** The examples with pictures as `graph` takes them. */
export function fitted(examples: Examples, graph: Graph): Examples {
  const own = pictures(graph);
  if (!own) return examples;
  const { name } = own.input;
  return {
    ...subset(examples, [...Array(examples.count).keys()]),
    batch: at => {
      const feeds = examples.batch(at);
      const tensor = feeds[name];
      return tensor ? { ...feeds, [name]: resizedPlanes(tensor, own.size) } : feeds;
    },
  };
}

/** [N, C, H, W] at another size: one axis after the other. */
function resizedPlanes({ dims, data }: Tensor, [height, width]: PictureSize): Tensor {
  const [n, c, h, w] = dims as [number, number, number, number];
  const planes = data as Float32Array;
  if (h === height && w === width) return float32(dims, planes);
  const wide = along(planes, n * c * h, w, 1, width);
  return float32([n, c, height, width], along(wide, n * c, h, width, height));
}

/** [outer, from, inner] → [outer, to, inner] */
function along(data: Float32Array, outer: number, from: number, inner: number, to: number): Float32Array {
  const taps = tapsOf(from, to);
  const out = new Float32Array(outer * to * inner);
  for (let o = 0; o < outer; o++)
    taps.forEach(({ first, weights }, i) => {
      for (let k = 0; k < inner; k++)
        out[(o * to + i) * inner + k] = weights.reduce(
          (sum, weight, t) => sum + weight * (data[(o * from + first + t) * inner + k] as number),
          0,
        );
    });
  return out;
}
