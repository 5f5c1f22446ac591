/**
 * Weights that single elements are taken from, as matrices [rows, columns] of what is summed over.
 *
 *   MatMul, FusedMatMul, Gemm   one matrix, a row for each output
 *   Conv [O, C / groups, …taps] one matrix a group: O / groups rows of taps · C / groups, channels innermost
 *
 * 1. Channels of a tap lie together, so that N of every M are channels, as devices that skip zeros want them (TensorRT's 2:4).
 * 2. What makes an output of the graph stays dense, and so do tables.
 */
import { float32, type Graph, type Node, opKey, type Tensor } from '../../graph/ir.ts';
import { Attributes } from '../../ops/rule.ts';
import type { Matrix } from '../quantize/blocks.ts';
import { matrixOf, placeOf, weightOf } from '../quantize/places.ts';

export interface WeightMatrices {
  /** One a group. */
  readonly matrices: readonly Matrix[];
  /** How many columns in a row N of every M may be chosen from. */
  readonly run: number;
  /** The weight with these instead. */
  weight(matrices: readonly Matrix[]): Tensor;
}

/** The matrices of the weight `name`, or undefined where something reads it that needs it dense. */
export function matricesOf(graph: Graph, name: string): WeightMatrices | undefined {
  const tensor = graph.initializers.get(name);
  const readers = graph.nodes.filter(node => node.inputs.includes(name));
  const outputs = new Set(graph.outputs.map(output => output.name));
  if (tensor?.dtype !== 'float32' || readers.some(n => outputs.has(n.outputs[0] as string))) return undefined;
  const groups = same(readers.map(groupsOf(name)));
  if (groups !== undefined) return ofKernel(tensor, groups);
  const transposed = same(readers.map(gemmTransposed(name))) ?? productTransposed(graph, name);
  return transposed === undefined || tensor.dims.length !== 2 ? undefined : ofProduct(tensor, transposed);
}

/** The value that all share. */
const same = <T>(values: readonly T[]): T | undefined =>
  values.every(value => value === values[0]) ? values[0] : undefined;

const isWeight = (node: Node, name: string): boolean =>
  node.inputs.indexOf(name) === 1 && node.inputs.lastIndexOf(name) === 1;

/** Groups of a convolution whose kernel is `name`. */
export const groupsOf =
  (name: string) =>
  (node: Node): number | undefined =>
    opKey(node) === 'Conv' && isWeight(node, name)
      ? new Attributes(node.attributes).int('group', 1)
      : undefined;

/** Whether a Gemm takes `name` as [N, K]. */
const gemmTransposed =
  (name: string) =>
  (node: Node): boolean | undefined => {
    const a = new Attributes(node.attributes);
    return opKey(node) === 'Gemm' && isWeight(node, name) && a.int('transA', 0) === 0
      ? a.int('transB', 0) !== 0
      : undefined;
  };

function productTransposed(graph: Graph, name: string): boolean | undefined {
  const place = placeOf(graph, name);
  return place?.role === 'product' ? (place.uses[0]?.transposed ?? false) : undefined;
}

function ofProduct(tensor: Tensor, transposed: boolean): WeightMatrices {
  const matrix = matrixOf(tensor, transposed);
  return {
    matrices: [matrix],
    run: matrix.columns,
    weight: ([only]) => weightOf(only as Matrix, transposed),
  };
}

function ofKernel({ dims, data }: Tensor, groups: number): WeightMatrices {
  const [outputs, channels] = dims as [number, number];
  const columns = data.length / outputs;
  const rows = outputs / groups;
  const inner = turnedRows(data as Float32Array, outputs, channels, columns / channels);
  return {
    matrices: Array.from({ length: groups }, (_, g) => ({
      rows,
      columns,
      data: inner.slice(g * rows * columns, (g + 1) * rows * columns),
    })),
    run: channels,
    weight(matrices) {
      const all = new Float32Array(data.length);
      matrices.forEach((matrix, g) => void all.set(matrix.data, g * rows * columns));
      return float32(dims, turnedRows(all, outputs, columns / channels, channels));
    },
  };
}

/** [rows, a, b] to [rows, b, a]. */
function turnedRows(w: Float32Array, rows: number, a: number, b: number): Float32Array {
  const out = new Float32Array(w.length);
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < a; i++)
      for (let j = 0; j < b; j++) out[(row * b + j) * a + i] = w[(row * a + i) * b + j] as number;
  return out;
}
