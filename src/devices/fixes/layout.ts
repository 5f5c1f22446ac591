/** Rewrites that change axes or windows. */
import type { Attribute, Node, Tensor } from '../../graph/ir.ts';
import { attributesOf, changed, type Rewrite, type Writer } from '../../import/writer.ts';
import { Attributes } from '../../ops/rule.ts';

/** A mean over height and width that keeps them as 1 is a global pool. */
export const meanToPool: Rewrite = (node, w) => {
  const a = new Attributes(node.attributes);
  const rank = w.typeOf(node.inputs[0] as string)?.shape?.length;
  const axes = Array.from(w.tensorOf(node.inputs[1] ?? '')?.data ?? [], Number).map(axis =>
    axis < 0 ? axis + (rank ?? 0) : axis,
  );
  const plane = rank === 4 && axes.length === 2 && axes.includes(2) && axes.includes(3);
  if (!plane) return [node];
  const pool = (output: string): Node =>
    w.beside(node, 'GlobalAveragePool', [node.inputs[0] as string], {}, [output]);
  const [output] = node.outputs as [string];
  if (a.int('keepdims', 1) === 1) return [pool(output)];
  const pooled = pool(w.fresh(`${node.name}/pooled`));
  return [
    pooled,
    w.beside(node, 'Flatten', [pooled.outputs[0] as string], attributesOf({ axis: 1 }), [output]),
  ];
};

/** A pool whose window is the whole plane, without padding, is a global one. */
export const poolToGlobal: Rewrite = (node, w) => {
  const a = new Attributes(node.attributes);
  const plane = w.typeOf(node.inputs[0] as string)?.shape?.slice(2);
  const covers = plane?.every((size, i) => size === a.ints('kernel_shape')?.[i]);
  const padded = (a.ints('pads') ?? []).some(p => p !== 0);
  if (!covers || padded) return [node];
  const opType = node.opType === 'MaxPool' ? 'GlobalMaxPool' : 'GlobalAveragePool';
  return [w.beside(node, opType, node.inputs, {}, node.outputs)];
};

/** Softmax along another axis: that axis goes last and back. */
export const softmaxLastAxis: Rewrite = (node, w) => {
  const rank = w.typeOf(node.inputs[0] as string)?.shape?.length;
  if (rank === undefined) return [node];
  const axis = new Attributes(node.attributes).int('axis', -1);
  const place = axis < 0 ? axis + rank : axis;
  const perm = Array.from({ length: rank }, (_, i) => i);
  [perm[place], perm[rank - 1]] = [rank - 1, place];
  const before = w.beside(node, 'Transpose', node.inputs, attributesOf({ perm }));
  const middle = w.beside(node, node.opType, before.outputs, attributesOf({ axis: -1 }));
  return [before, middle, w.beside(node, 'Transpose', middle.outputs, attributesOf({ perm }), node.outputs)];
};

/** A window along one axis of [N,C,W] is one along the second axis of [N,C,1,W]. */
export const conv1dTo2d: Rewrite = (node, w) => {
  const weight = node.opType === 'Conv' ? w.tensorOf(node.inputs[1] as string) : undefined;
  if (node.opType === 'Conv' && !weight) return [node];
  const axes = w.ints(node, 'axes', [2]);
  const up = w.beside(node, 'Unsqueeze', [node.inputs[0] as string, axes]);
  const inputs = [
    up.outputs[0] as string,
    ...(weight ? [widened(node, w, weight)] : []),
    ...node.inputs.slice(weight ? 2 : 1),
  ];
  const middle = changed(node, { inputs, attributes: planar(node) });
  const between = w.fresh(`${node.name}/planar`);
  const down = w.beside(node, 'Squeeze', [between, axes], {}, [node.outputs[0] as string]);
  return [up, { ...middle, outputs: [between, ...node.outputs.slice(1)] }, down];
};

function widened(node: Node, w: Writer, { dtype, dims, data }: Tensor): string {
  const [outputs, inputs, width] = dims as [number, number, number];
  return w.constant(node, 'weight', { dtype, data, dims: [outputs, inputs, 1, width] });
}

/** One-axis lists with the trivial entry of the new axis before them. */
function planar(node: Node): Record<string, Attribute> {
  const a = new Attributes(node.attributes);
  const lists = ['kernel_shape', 'strides', 'dilations'].flatMap((name): [string, number[]][] => {
    const list = a.ints(name);
    return list ? [[name, [1, ...list]]] : [];
  });
  const pads = a.ints('pads');
  return attributesOf({
    ...Object.fromEntries(lists),
    ...(pads && { pads: [0, pads[0] as number, 0, pads[1] as number] }),
  });
}
