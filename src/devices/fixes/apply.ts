/** Applying rewrites to named nodes, and the opset that a device reads. */
import { type Graph, type Model, type Node, opKey, typeOf } from '../../graph/ir.ts';
import { cloneModel, FreshNames } from '../../graph/walk.ts';
import { upgrade } from '../../import/upgrade.ts';
import { Writer } from '../../import/writer.ts';
import { isOpType, OPS, type OpType } from '../../ops/schema.ts';
import { type FixName, NODE_FIXES } from './index.ts';

/** The model with the rewrite `fix` applied to each node that `nodes` names, types inferred anew. */
export function applyFixes(model: Model, fixes: ReadonlyMap<string, FixName>): Model {
  const fixed = cloneModel(model);
  const { graph } = fixed;
  const writer = new Writer(graph, new FreshNames(graph));
  graph.nodes = [...graph.nodes].flatMap(node => {
    const fix = fixes.get(node.name);
    return fix === undefined || !(fix in NODE_FIXES)
      ? [node]
      : NODE_FIXES[fix as keyof typeof NODE_FIXES](node, writer); // asked
  });
  return inferredAnew(fixed);
}

/** Upgrading a model of today's form changes nothing and infers its types. */
function inferredAnew(model: Model): Model {
  model.graph.types.clear();
  return upgrade(model);
}

/** Ops whose latest versions only took more dtypes or attributes: the form without those is as old as this. */
const FORMS_SINCE: { readonly [K in OpType]?: number } = {
  Cast: 13,
  ConstantOfShape: 9,
  Constant: 13,
  Flatten: 13,
  Identity: 13,
  Pad: 13,
  QuantizeLinear: 13,
  DequantizeLinear: 13,
  Reshape: 14,
  Shape: 13,
  Size: 13,
  Squeeze: 13,
  Transpose: 13,
  Unsqueeze: 13,
  Relu: 6,
  Add: 7,
  Mul: 7,
  Sub: 7,
  Div: 7,
  Resize: 13,
  AveragePool: 11,
  ReduceMax: 18,
};

/** The lowest opset in which all nodes have the form that they have, as far as the op list tells. */
export function lowestOpset(graph: Graph): number {
  const versions = graph.nodes.map(node => {
    const key = opKey(node);
    if (isPair(node) && needsNewPairs(graph, node)) return OPS[key as OpType].since;
    return !isOpType(key) || node.domain !== '' ? 7 : (FORMS_SINCE[key] ?? OPS[key].since);
  });
  return Math.max(7, ...versions);
}

const isPair = ({ opType }: Node): boolean => opType === 'QuantizeLinear' || opType === 'DequantizeLinear';

/** Pairs took 8 bits and int32 alone, and no blocks, before opset 21. */
function needsNewPairs(graph: Graph, { inputs, outputs, opType, attributes }: Node): boolean {
  const name = opType === 'QuantizeLinear' ? outputs[0] : inputs[0];
  const dtype = graph.initializers.get(name ?? '')?.dtype ?? typeOf(graph, name ?? '')?.dtype ?? 'int8';
  return attributes.block_size !== undefined || !['int8', 'uint8', 'int32'].includes(dtype);
}

/** The model with opset `max` when its nodes allow that; IR version 8, which readers of that age know. */
export function withOpset(model: Model, max: number): Model {
  if (lowestOpset(model.graph) > max || (model.opsets.get('') ?? 0) <= max) return model;
  const opsets = new Map(model.opsets).set('', max);
  return { ...model, opsets, irVersion: max <= 18 ? 8 : 9 };
}
