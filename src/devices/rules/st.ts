/** STMicroelectronics: Neural-ART of STM32N6 and H7P, and the NPU of STM32MP2. */
import type { OpType } from '../../ops/schema.ts';
import {
  batchOne,
  CONV,
  CONVS,
  list,
  noControlFlow,
  noConv1d,
  noConv3d,
  onlyOps,
  POOLS,
  rule,
  softmaxLastAxis,
} from './common.ts';
import type { NodeView, RuleSet, Violation } from './rule.ts';

const OPS: readonly OpType[] = [
  'Abs',
  'Add',
  'ArgMax',
  'ArgMin',
  'AveragePool',
  'BatchNormalization',
  'Clip',
  'Concat',
  'Conv',
  'ConvTranspose',
  'Div',
  'Exp',
  'Flatten',
  'Gather',
  'Gemm',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'HardSigmoid',
  'HardSwish',
  'LeakyRelu',
  'MatMul',
  'Max',
  'MaxPool',
  'Min',
  'Mul',
  'Neg',
  'PRelu',
  'Pad',
  'ReduceMean',
  'Relu',
  'Reshape',
  'Resize',
  'Sigmoid',
  'Slice',
  'Softmax',
  'Split',
  'Sqrt',
  'Squeeze',
  'Sub',
  'Tanh',
  'Transpose',
  'Unsqueeze',
];

export const NEURAL_ART: RuleSet = {
  nodes: [
    onlyOps(OPS, 'Neural-ART', 'fallback', 'st-neuralart'),
    noControlFlow('ST Edge AI Core', 'st-neuralart'),
    noConv1d('Neural-ART', 'fallback', 'st-neuralart'),
    noConv3d('Neural-ART', 'fallback', 'st-neuralart'),
    batchOne('Neural-ART', 'error', 'st-neuralart'),
    softmaxLastAxis('Neural-ART', 'fallback', 'st-neuralart'),
    rule([...CONVS, ...POOLS, 'Gemm', 'MatMul', 'Add', 'Mul'], 'fallback', 'st-neuralart', v =>
      v.qdq.quantized && !quantizedAround(v)
        ? { why: 'a float layer: it runs on the Cortex-M', fix: 'give it Q/DQ pairs on inputs and output' }
        : undefined,
    ),
    rule(['Softmax'], 'advice', 'st-neuralart', () => ({
      why: 'runs in software on the Cortex-M',
      fix: 'leave it out: the largest score is the same',
    })),
  ],
};

/** Whether every computed input comes from integers. */
const quantizedAround = (v: NodeView): boolean =>
  v.node.inputs
    .slice(0, 2)
    .every((name, i) => name === '' || v.qdq.behind(name) !== undefined || v.stored(i) !== undefined);

const VIP_OPS: readonly OpType[] = OPS.filter(op => !(['ArgMin', 'Gather', 'Exp'] as OpType[]).includes(op));

export const VIP_NPU: RuleSet = {
  nodes: [
    onlyOps(VIP_OPS, 'The NPU', 'fallback', 'st-mp2-npu'),
    noControlFlow('OpenVX', 'st-mp2-npu'),
    noConv3d('The NPU', 'fallback', 'st-mp2-npu'),
    rule(CONV, 'fallback', 'st-mp2-npu', grouped),
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
