/**
 * The layers of a graph: nodes that multiply by weights, with what they take.
 *
 * 1. A weight behind DequantizeLinear counts with its integers, behind a Cast as what is cast: that is what is stored.
 * 2. Before and after are paired by the node's name, which every rewrite here keeps; a layer that is on one side alone was
 *    taken out or put in.
 */
import { bitsOf, type DType } from '../../graph/dtype.ts';
import { type Graph, type Node, opKey, sizeOf, staticDims, type Tensor, typeOf } from '../../graph/ir.ts';
import { batchOfOne } from '../../ops/bind-dims.ts';
import { COST_RULES } from '../../ops/cost.ts';
import { ruleContext } from '../../ops/infer.ts';
import { Qdq } from '../../ops/qdq.ts';

export interface Layer {
  readonly name: string;
  readonly op: string;
  /** Of the first output, for a batch of one. */
  readonly dims: readonly number[];
  readonly macs: number;
  /** Of the weight as it is stored. */
  readonly weightDtype: DType | (string & {});
  readonly weightBytes: number;
}

export interface LayerPair {
  readonly name: string;
  readonly op: string;
  readonly before?: Layer;
  readonly after?: Layer;
}

/** The layers in the order in which they run. Symbolic dims count 1. */
export function layersOf(given: Graph): Layer[] {
  const graph = batchOfOne(given);
  const stored = storedIn(graph);
  return graph.nodes.flatMap(node => {
    const weight = weightOf(stored, node);
    const macs = weight ? macsOf(graph, node) : 0;
    if (!weight || macs === 0) return [];
    return [
      {
        name: node.name,
        op: node.opType,
        dims: staticDims(typeOf(graph, node.outputs[0])?.shape) ?? [],
        macs,
        weightDtype: weight.dtype,
        weightBytes: Math.ceil((sizeOf(weight.dims) * bitsOf(weight.dtype)) / 8),
      },
    ];
  });
}

/** The constant that a name stands for, as it is stored. */
type Stored = (name: string) => Tensor | undefined;

function storedIn(graph: Graph): Stored {
  const qdq = new Qdq(graph);
  const casts = graph.nodes.filter(n => n.opType === 'Cast');
  const widened = new Map(casts.map(n => [n.outputs[0], n.inputs[0]]));
  return name =>
    graph.initializers.get(name) ??
    qdq.behind(name)?.tensor ??
    graph.initializers.get(widened.get(name) ?? '');
}

/** The largest constant that the node reads. */
function weightOf(stored: Stored, node: Node): Tensor | undefined {
  const constants = node.inputs.flatMap(name => stored(name) ?? []);
  const numeric = constants.filter(t => t.dtype !== 'string' && sizeOf(t.dims) > 1);
  return numeric.sort((a, b) => sizeOf(b.dims) - sizeOf(a.dims))[0];
}

function macsOf(graph: Graph, node: Node): number {
  if (!(opKey(node) in COST_RULES)) return 0;
  const context = ruleContext(graph, node);
  const outputs = node.outputs.map(name => typeOf(graph, name) ?? context.fail(`no type of "${name}"`));
  return COST_RULES[context.key]({ ...context, outputs }).macs;
}

/** Layers of both graphs by name, in the order of the first. */
export function pairLayers(before: Graph, after: Graph): LayerPair[] {
  const [old, now] = [layersOf(before), layersOf(after)];
  const left = new Map(now.map(layer => [layer.name, layer]));
  const pairs = old.map(layer => {
    const other = left.get(layer.name);
    left.delete(layer.name);
    return { name: layer.name, op: layer.op, before: layer, ...(other && { after: other }) };
  });
  return [...pairs, ...[...left.values()].map(layer => ({ name: layer.name, op: layer.op, after: layer }))];
}
