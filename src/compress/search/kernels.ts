/** Convolutions whose square kernels can shrink to their middle, which keeps the size of the output. */
import { float32, type Graph, type Node, opKey, type Tensor } from '../../graph/ir.ts';
import { consumersOf } from '../../graph/walk.ts';
import { inferShapes } from '../../ops/infer.ts';
import { Attributes } from '../../ops/rule.ts';

export interface ElasticKernel {
  readonly weight: string;
  readonly size: number;
  /** Sizes it may have, ascending. */
  readonly choices: readonly number[];
}

const SMALLEST = 3;

/** Kernels above 3 with explicit pads, whose weight nothing else reads. */
export function elasticKernels(graph: Graph): ElasticKernel[] {
  const readers = consumersOf(graph);
  return graph.nodes.flatMap(node => {
    const weight = node.inputs[1] ?? '';
    const dims = graph.initializers.get(weight)?.dims ?? [];
    const size = dims[2] as number;
    const square = opKey(node) === 'Conv' && dims.length === 4 && size === dims[3] && size % 2 === 1;
    if (!square || size <= SMALLEST || readers.get(weight)?.length !== 1 || !hasPads(node, size)) return [];
    const choices = Array.from({ length: (size - SMALLEST) / 2 + 1 }, (_, i) => SMALLEST + 2 * i);
    return [{ weight, size, choices }];
  });
}

/** Whether every side is padded enough for the smallest kernel to see the same places. */
function hasPads(node: Node, size: number): boolean {
  const a = new Attributes(node.attributes);
  const dilation = a.ints('dilations') ?? [1, 1];
  const margin = (i: number) => ((size - SMALLEST) / 2) * (dilation[i % 2] as number);
  const pads = a.ints('pads') ?? [];
  return (
    a.string('auto_pad', 'NOTSET') === 'NOTSET' && pads.length === 4 && pads.every((p, i) => p >= margin(i))
  );
}

/** Crops each kernel to the size at its index and takes as much off the pads. */
export function croppedKernels(
  graph: Graph,
  kernels: readonly ElasticKernel[],
  sizes: readonly number[],
): void {
  kernels.forEach(({ weight, size }, i) => {
    const left = sizes[i] as number;
    if (left === size) return;
    const margin = (size - left) / 2;
    graph.initializers.set(weight, cropped(graph.initializers.get(weight) as Tensor, margin));
    for (const node of graph.nodes.filter(n => n.inputs[1] === weight)) shrink(node, left, margin);
  });
  graph.types.clear();
  inferShapes(graph);
}

function cropped({ dims, data }: Tensor, margin: number): Tensor {
  const [o, c, size] = dims as [number, number, number, number];
  const left = size - 2 * margin;
  const out = new Float32Array(o * c * left * left);
  for (let n = 0; n < out.length; n++) {
    const [x, y, plane] = [n % left, Math.floor(n / left) % left, Math.floor(n / (left * left))];
    out[n] = (data as Float32Array)[plane * size * size + (y + margin) * size + x + margin] as number;
  }
  return float32([o, c, left, left], out);
}

function shrink(node: Node, size: number, margin: number): void {
  const a = new Attributes(node.attributes);
  const dilation = a.ints('dilations') ?? [1, 1];
  const pads = (a.ints('pads') ?? []).map((p, i) => p - margin * (dilation[i % 2] as number));
  node.attributes = {
    ...node.attributes,
    kernel_shape: { type: 'ints', value: [size, size] },
    pads: { type: 'ints', value: pads },
  };
}
