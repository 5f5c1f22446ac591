/** Changes of form: attributes that became inputs, and attributes that are gone. */
import { type Attribute, float32, int64, type Node, type Tensor } from '../graph/ir.ts';
import type { Change } from './upgrade.ts';
import { attributesOf, changed, type Rewrite, type Writer } from './writer.ts';

const ints = (a: Attribute | undefined): number[] | undefined =>
  a?.type === 'ints' ? a.value.map(Number) : undefined;
const number = (a: Attribute | undefined): number | undefined =>
  a?.type === 'int' || a?.type === 'float' ? Number(a.value) : undefined;

/** The attribute `name` (a list) becomes input `position`. */
const listToInput =
  (name: string, position: number): Rewrite =>
  (node, w) => {
    const list = ints(node.attributes[name]);
    const inputs = [...node.inputs];
    while (inputs.length < position) inputs.push('');
    if (list) inputs[position] = w.ints(node, name, list);
    return [changed(node, { inputs, attributes: { [name]: undefined } })];
  };

const axesToInput: Rewrite = listToInput('axes', 1);
const reduction: readonly Change[] = [{ since: 18, rewrite: axesToInput }];

/** A scalar of the dtype of the node's first input. */
function scalarLike(node: Node, w: Writer, value: number): Tensor {
  const dtype = w.typeOf(node.inputs[0] as string)?.dtype ?? 'float32';
  if (dtype === 'float32') return float32([], [value]);
  if (dtype === 'float64') return { dtype, dims: [], data: Float64Array.of(value) };
  if (dtype === 'float16')
    return w.fail(node, 'has float16 bounds as attributes; upgrade it with onnx.version_converter');
  return w.fail(node, `has bounds as attributes and an input of dtype ${dtype}`);
}

/** Clip(x; min, max) -> Clip(x, min, max). */
const clip: Rewrite = (node, w) => {
  const bounds = ['min', 'max'].map(name => {
    const value = number(node.attributes[name]);
    return value === undefined ? '' : w.constant(node, name, scalarLike(node, w, value));
  });
  return [
    changed(node, {
      inputs: [node.inputs[0] as string, ...bounds],
      attributes: { min: undefined, max: undefined },
    }),
  ];
};

/** Slice(x; starts, ends, axes) -> Slice(x, starts, ends, axes). */
const slice: Rewrite = (node, w) => {
  const lists = ['starts', 'ends', 'axes'].map(name => {
    const list = ints(node.attributes[name]);
    return list ? w.ints(node, name, list) : '';
  });
  return [
    changed(node, {
      inputs: [node.inputs[0] as string, ...lists],
      attributes: { starts: undefined, ends: undefined, axes: undefined },
    }),
  ];
};

/** Pad(x; pads, value) -> Pad(x, pads, value). */
const pad: Rewrite = (node, w) => {
  const pads = w.ints(node, 'pads', ints(node.attributes.pads) ?? []);
  const value = number(node.attributes.value) ?? 0;
  const fill = value === 0 ? '' : w.constant(node, 'value', scalarLike(node, w, value));
  return [
    changed(node, {
      inputs: [node.inputs[0] as string, pads, fill],
      attributes: { pads: undefined, value: undefined },
    }),
  ];
};

/** Split(x; split) -> Split(x, split). */
const splitSizes: Rewrite = listToInput('split', 1);

/** Equal parts are asked for by number from opset 18 on. */
const splitCount: Rewrite = node => {
  if (node.inputs[1]) return [node];
  return [changed(node, { attributes: attributesOf({ num_outputs: node.outputs.length }) })];
};

/** TopK(x; k) -> TopK(x, [k]). */
const topK: Rewrite = (node, w) => {
  const k = w.ints(node, 'k', [number(node.attributes.k) ?? 0]);
  return [changed(node, { inputs: [node.inputs[0] as string, k], attributes: { k: undefined } })];
};

/** DFT-17's axis attribute (default 1) -> an input (default -2). */
const dft: Rewrite = (node, w) => {
  const axis = w.constant(node, 'axis', int64([], [number(node.attributes.axis) ?? 1]));
  return [
    changed(node, {
      inputs: [node.inputs[0] as string, node.inputs[1] ?? '', axis],
      attributes: { axis: undefined },
    }),
  ];
};

export const ARGUMENT_CHANGES: Readonly<Record<string, readonly Change[]>> = {
  Squeeze: [{ since: 13, rewrite: axesToInput }],
  Unsqueeze: [{ since: 13, rewrite: axesToInput }],
  ReduceSum: [{ since: 13, rewrite: axesToInput }],
  ReduceMean: reduction,
  ReduceMax: reduction,
  ReduceMin: reduction,
  ReduceProd: reduction,
  ReduceL1: reduction,
  ReduceL2: reduction,
  ReduceSumSquare: reduction,
  ReduceLogSum: reduction,
  ReduceLogSumExp: reduction,
  Clip: [{ since: 11, rewrite: clip }],
  Slice: [{ since: 10, rewrite: slice }],
  Pad: [{ since: 11, rewrite: pad }],
  Split: [
    { since: 13, rewrite: splitSizes },
    { since: 18, rewrite: splitCount },
  ],
  TopK: [{ since: 10, rewrite: topK }],
  DFT: [{ since: 20, rewrite: dft }],
};
