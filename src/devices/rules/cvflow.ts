/** Ambarella CVflow. No operator table is public: these are advice from its model garden and export guides, no more. */
import { sizeOf } from '../../graph/ir.ts';
import { CONVS, lowConfidence, noControlFlow, rule } from './common.ts';
import type { NodeView, RuleSet, Violation } from './rule.ts';

export const CVFLOW: RuleSet = {
  nodes: lowConfidence(
    noControlFlow('CVflow', 'ultralytics-ambarella'),
    rule([...CONVS, 'MatMul', 'Gemm'], 'advice', 'cooper-garden', dense),
    rule(['DequantizeLinear'], 'advice', 'ultralytics-ambarella', v =>
      v.graph.nodes.find(node => node.opType === 'DequantizeLinear') === v.node
        ? {
            why: 'a Q/DQ graph: the toolchain quantizes by itself, from a float file',
            fix: 'give it the float ONNX file, pruned',
          }
        : undefined,
    ),
  ),
};

/** Weights without zeros, where zeros would save time. */
function dense(v: NodeView): Violation | undefined {
  const weight = v.stored(1);
  if (!weight || sizeOf(weight.dims) < 4096) return undefined;
  const zeros = Array.from(weight.data as ArrayLike<number>).filter(x => Number(x) === 0).length; // numeric weights
  const share = zeros / sizeOf(weight.dims);
  return share < 0.3
    ? {
        why: `${Math.round(100 * share)} % of its weights are zero; the maker's own models have 50 to 60 %`,
        fix: 'prune single weights to 50 % and train again',
      }
    : undefined;
}
