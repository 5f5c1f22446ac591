/**
 * Where a graph reads a weight, and the nodes that read it packed instead.
 *
 *   MatMul(x, W), FusedMatMul(x, W, transB)  →  MatMulNBits(x, codes, scales, zeros)
 *   Gather(W, ids)                           →  GatherBlockQuantized(codes, ids, scales, zeros)
 */
import { float32, type Graph, type Node, opKey, type Tensor } from '../../graph/ir.ts';
import type { Value } from '../../ops/builder.ts';
import { Attributes } from '../../ops/rule.ts';
import type { Matrix, StoredBits } from './blocks.ts';

/** What a weight does: multiplied within the graph, multiplied to make an output, or looked up. */
export type WeightRole = 'product' | 'output' | 'table';

/** Where a weight is read: products take it as [N, K] (transposed) or [K, N]; tables as [V, K]. */
export interface WeightUse {
  readonly node: Node;
  readonly kind: 'product' | 'table';
  readonly transposed: boolean;
}

export interface WeightPlace {
  readonly uses: readonly WeightUse[];
  readonly role: WeightRole;
}

/** The uses of the value `name`, or undefined when something reads it that needs it whole. */
export function placeOf(graph: Graph, name: string): WeightPlace | undefined {
  const readers = graph.nodes.filter(node => node.inputs.includes(name));
  const uses = readers.map(node => useOf(node, name));
  if (readers.length === 0 || !uses.every(use => use !== undefined)) return undefined;
  const products = uses.filter(use => use.kind === 'product');
  if (new Set(products.map(use => use.transposed)).size > 1) return undefined;
  if (products.length < uses.length && products.some(use => !use.transposed)) return undefined;
  const outputs = new Set(graph.outputs.map(output => output.name));
  const last = products.some(({ node }) => outputs.has(node.outputs[0] as string));
  return { uses, role: last ? 'output' : products.length > 0 ? 'product' : 'table' };
}

function useOf(node: Node, name: string): WeightUse | undefined {
  const a = new Attributes(node.attributes);
  const at = node.inputs.indexOf(name);
  if (node.inputs.lastIndexOf(name) !== at) return undefined;
  const key = opKey(node);
  if (key === 'Gather')
    return at === 0 && a.int('axis', 0) === 0 ? { node, kind: 'table', transposed: true } : undefined;
  if (at !== 1 || (key !== 'MatMul' && key !== 'com.microsoft.FusedMatMul')) return undefined;
  const plain =
    ['transA', 'transBatchA', 'transBatchB'].every(flag => a.int(flag, 0) === 0) && a.float('alpha', 1) === 1;
  return plain ? { node, kind: 'product', transposed: a.int('transB', 0) !== 0 } : undefined;
}

/** The values that readers of a packed weight [rows, columns] take, in the shapes of the op that reads them. */
export interface PackedValues {
  readonly rows: number;
  readonly columns: number;
  readonly bits: StoredBits;
  readonly blockSize: number;
  readonly codes: Value;
  readonly scales: Value;
  readonly zeros?: Value;
}

/** Makes a product read codes [N, blocks, bytes], scales [N · blocks] and zero points. */
export function rewriteProduct(node: Node, packed: PackedValues, level: number): void {
  const { rows, columns, bits, blockSize, codes, scales, zeros } = packed;
  node.domain = 'com.microsoft';
  node.opType = 'MatMulNBits';
  node.inputs = [node.inputs[0] as string, codes.name, scales.name, ...(zeros ? [zeros.name] : [])];
  node.attributes = integers({ K: columns, N: rows, accuracy_level: level, bits, block_size: blockSize });
}

/** Makes a look-up read codes [V, bytes], scales [V, blocks] and zero points [V, packed]. */
export function rewriteTable(node: Node, { bits, blockSize, codes, scales, zeros }: PackedValues): void {
  node.domain = 'com.microsoft';
  node.opType = 'GatherBlockQuantized';
  node.inputs = [codes.name, node.inputs[1] as string, scales.name, ...(zeros ? [zeros.name] : [])];
  node.attributes = integers({ bits, block_size: blockSize, gather_axis: 0, quantize_axis: 1 });
}

const integers = (values: Readonly<Record<string, number>>): Node['attributes'] =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { type: 'int', value }]));

/** A weight with rows that a product sums over: as it lies when `transposed`, else turned. */
export function matrixOf({ dims, data }: Tensor, transposed: boolean): Matrix {
  const [first, second] = dims as [number, number];
  const w = data as Float32Array;
  if (transposed) return { rows: first, columns: second, data: w };
  return { rows: second, columns: first, data: turned(w, first, second) };
}

/** The weight of a matrix: the inverse of `matrixOf`. */
export function weightOf({ rows, columns, data }: Matrix, transposed: boolean): Tensor {
  return transposed ? float32([rows, columns], data) : float32([columns, rows], turned(data, rows, columns));
}

/** [rows, columns] to [columns, rows]. */
const turned = (w: Float32Array, rows: number, columns: number): Float32Array =>
  Float32Array.from({ length: w.length }, (_, i) => w[(i % rows) * columns + Math.floor(i / rows)] as number);
