/**
 * What ONNX Runtime 1.30's WebGPU provider computes wrongly without a word, said in other ops before it is compiled.
 *
 * 1. SimplifiedLayerNormalization's second output, 1/√(mean x² + ε), which gradients read: made from x by plain ops.
 */
import { type Graph, int64, type Node, opKey, typeOf } from '../../graph/ir.ts';

/** Replaces in place; names of new values are the replaced one's with a suffix. */
export function avoidWebgpuFaults(graph: Graph): void {
  graph.nodes = graph.nodes.flatMap(node =>
    opKey(node) === 'SimplifiedLayerNormalization' && node.outputs[1] ? statisticsApart(graph, node) : [node],
  );
}

function statisticsApart(graph: Graph, node: Node): Node[] {
  const [x, statistics] = [node.inputs[0] as string, node.outputs[1] as string];
  const { axis, epsilon } = node.attributes;
  const rank = typeOf(graph, x)?.shape?.length ?? 0;
  const first = axis?.type === 'int' ? Number(axis.value) : -1;
  const axes = Array.from({ length: first < 0 ? -first : rank - first }, (_, i) => -1 - i);
  const name = (part: string) => `${statistics}.${part}`;
  const make = (opType: string, inputs: string[], output: string): Node => ({
    name: name(opType),
    domain: '',
    opType,
    inputs,
    outputs: [output],
    attributes: {},
  });
  graph.initializers.set(name('axes'), int64([axes.length], axes));
  graph.initializers.set(name('epsilon'), {
    dtype: 'float32',
    dims: [],
    data: Float32Array.of(epsilon?.type === 'float' ? epsilon.value : 1e-5),
  });
  return [
    make('Mul', [x, x], name('square')),
    make('ReduceMean', [name('square'), name('axes')], name('mean')),
    make('Add', [name('mean'), name('epsilon')], name('sum')),
    make('Sqrt', [name('sum')], name('root')),
    make('Reciprocal', [name('root')], statistics),
    { ...node, outputs: node.outputs.slice(0, 1) },
  ];
}
