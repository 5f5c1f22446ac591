/** Cortex-M by TensorFlow Lite Micro with CMSIS-NN, or by ST Edge AI Core: C kernels of a fixed list. */
import { batchOne, CONV, CONVS, noControlFlow, noConv1d, noConv3d, onlyOps, rule } from './common.ts';
import { type OpList, ST_MICRO_OPS, TFLM_OPS } from './op-lists.ts';
import type { RuleSet } from './rule.ts';

const rules = (ops: OpList, unit: string): RuleSet => ({
  nodes: [
    onlyOps(ops, unit, 'error'),
    noControlFlow(unit, 'tflm'),
    noConv1d(unit, 'error', 'tflm'),
    noConv3d(unit, 'error', 'tflm'),
    batchOne('a microcontroller', 'slow', 'cmsis-nn'),
    rule(CONVS, 'slow', 'cmsis-nn', v =>
      v.qdq.quantized || v.qdq.behind(v.node.inputs[0] ?? '')
        ? undefined
        : {
            why: 'a float convolution: no CMSIS-NN kernel, plain C runs it',
            fix: 'quantize the model to int8',
          },
    ),
    rule(CONV, 'error', 'tflite-spec', v => {
      const group = v.int('group', 1);
      return group > 1 && !v.depthwise && v.device.family === 'arm'
        ? {
            why: `${group} groups: no microcontroller kernel has them`,
            fix: 'use plain or depthwise convolutions',
          }
        : undefined;
    }),
    rule(['Sigmoid', 'Tanh', 'Softmax'], 'advice', 'tflite-spec', v => {
      const out = v.qdq.becoming(v.node.outputs[0] ?? '')?.quantization;
      if (out?.dtype !== 'int8') return undefined;
      const [scale, zero] = v.key === 'Tanh' ? [1 / 128, 0] : [1 / 256, -128];
      return out.scale[0] === scale && out.zeroPoint[0] === zero
        ? undefined
        : {
            why: `output scale ${out.scale[0]} and zero point ${out.zeroPoint[0]}, kernels want ${scale} and ${zero}`,
            fix: 'write it as TFLite, which sets them and requantizes',
          };
    }),
  ],
});

export const CORTEX_M: RuleSet = rules(TFLM_OPS, 'TensorFlow Lite Micro');
export const ST_MICRO: RuleSet = rules(ST_MICRO_OPS, 'ST Edge AI Core');
