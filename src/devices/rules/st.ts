/** STMicroelectronics: Neural-ART of STM32N6 and H7P, and the NPU of STM32MP2. */
import {
  batchOne,
  CONV,
  CONVS,
  list,
  lowConfidence,
  noControlFlow,
  noConv1d,
  noConv3d,
  onlyOps,
  POOLS,
  rule,
  softmaxLastAxis,
} from './common.ts';
import { NEURAL_ART_OPS, VIP_OPS } from './op-lists.ts';
import type { NodeView, RuleSet, Violation } from './rule.ts';

export const NEURAL_ART: RuleSet = {
  nodes: [
    onlyOps(NEURAL_ART_OPS, 'Neural-ART', 'fallback'),
    noControlFlow('ST Edge AI Core', 'st-neuralart'),
    batchOne('Neural-ART', 'error', 'st-neuralart'),
    ...lowConfidence(
      noConv1d('Neural-ART', 'fallback', 'st-neuralart'),
      noConv3d('Neural-ART', 'fallback', 'st-neuralart'),
      softmaxLastAxis('Neural-ART', 'fallback', 'st-neuralart'),
      rule(['Softmax'], 'advice', 'st-neuralart', () => ({
        why: 'runs in software on the Cortex-M',
        fix: 'leave it out: the largest score is the same',
      })),
    ),
    rule([...CONVS, ...POOLS, 'Gemm', 'MatMul', 'Add', 'Mul'], 'fallback', 'st-neuralart', v =>
      v.qdq.quantized && !quantizedAround(v)
        ? { why: 'a float layer: it runs on the Cortex-M', fix: 'give it Q/DQ pairs on inputs and output' }
        : undefined,
    ),
  ],
};

/** Whether every computed input comes from integers. */
const quantizedAround = (v: NodeView): boolean =>
  v.node.inputs
    .slice(0, 2)
    .every((name, i) => name === '' || v.qdq.behind(name) !== undefined || v.stored(i) !== undefined);

export const VIP_NPU: RuleSet = {
  nodes: [
    onlyOps(VIP_OPS, 'The NPU', 'fallback'),
    noControlFlow('OpenVX', 'st-mp2-npu'),
    ...lowConfidence(rule(CONV, 'fallback', 'st-mp2-npu', grouped)),
  ],
};

function grouped(v: NodeView): Violation | undefined {
  const group = v.int('group', 1);
  return group > 1 && !v.depthwise
    ? {
        why: `${group} groups of weights ${list(v.dims(1) ?? [])}: plain and depthwise convolutions run on the NPU`,
        fix: 'use depthwise and 1×1 convolutions',
      }
    : undefined;
}
