/**
 * W8A8 with activations quantized as they come: products in integers, on any machine with int8 instructions.
 *
 *   MatMul(x, W)  →  MatMulInteger(x̂, Ŵ) · (s_x s_W),   x̂, s_x, z_x = DynamicQuantizeLinear(x)
 *
 * 1. Weights are int8, symmetric, −127..127, one scale for each output; activations uint8 with one range a tensor and step,
 *    measured when the graph runs. Ranges fixed beforehand would have to hold the outliers of every text.
 * 2. Where outliers stretch that one range, SmoothQuant moves them into the weights first (language-model/smooth-quant.ts).
 * 3. Products that read the same value share its quantized form. ONNX Runtime fuses the four nodes into one.
 * 4. The product that makes an output and the tables are left to weight-only rounding.
 */
import { float32, type Graph, type Tensor } from '../../graph/ir.ts';
import { sortTopologically } from '../../graph/walk.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import type { Matrix } from './blocks.ts';
import { matrixOf, placeOf } from './places.ts';

/** Rewrites the inner products of `graph` in place; returns the names of their weights. */
export function dynamicInt8(graph: Graph): string[] {
  const b = new Builder(graph);
  const quantized = new Map<string, readonly Value[]>();
  const done: string[] = [];
  for (const [name, tensor] of [...graph.initializers]) {
    if (tensor.dtype !== 'float32' || tensor.dims.length !== 2) continue;
    const place = placeOf(graph, name);
    if (place?.role !== 'product') continue;
    const weight = store(b, name, matrixOf(tensor, place.uses[0]?.transposed ?? false));
    for (const { node } of place.uses) {
      const x = node.inputs[0] as string;
      const known =
        quantized.get(x) ?? b.scope(node.name, () => b.ops('DynamicQuantizeLinear', [b.value(x)], {}, 3));
      quantized.set(x, known);
      const y = b.scope(node.name, () => product(b, known, weight));
      node.domain = '';
      node.opType = 'Identity';
      node.inputs = [y.name];
      node.attributes = {};
    }
    graph.initializers.delete(name);
    done.push(name);
  }
  sortTopologically(graph);
  return done;
}

interface StoredWeight {
  /** int8 [K, N]. */
  readonly codes: Value;
  /** [N]. */
  readonly scales: Value;
}

const TOP = 127;

function store(b: Builder, name: string, { rows, columns, data }: Matrix): StoredWeight {
  const codes = new Int8Array(rows * columns);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const w = data.subarray(row * columns, (row + 1) * columns);
    const scale = w.reduce((most, v) => Math.max(most, Math.abs(v)), 0) / TOP || 1;
    scales[row] = scale;
    w.forEach((v, k) => void (codes[k * rows + row] = Math.round(v / scale)));
  }
  const tensor: Tensor = { dtype: 'int8', dims: [columns, rows], data: codes };
  return {
    codes: b.initializer(`${name}.codes`, tensor),
    scales: b.initializer(`${name}.scales`, float32([rows], scales)),
  };
}

function product(b: Builder, [x, scale, zero]: readonly Value[], { codes, scales }: StoredWeight): Value {
  const sums = b.op('MatMulInteger', [x as Value, codes, zero as Value], {});
  return sums.cast('float32').mul((scale as Value).mul(scales));
}
