/** CPUs by ONNX Runtime (x86) and XNNPACK or TFLite (Arm). */
import { CONVS, rule } from './common.ts';
import type { NodeView, RuleSet, Violation } from './rule.ts';

const PRODUCTS = [...CONVS, 'MatMul', 'Gemm'] as const;

export const CPU_X86: RuleSet = {
  nodes: [
    rule(PRODUCTS, 'error', 'ort-quantize', v => {
      const [input, weight] = pairOf(v);
      return input === 'int8' && weight === 'uint8'
        ? { why: 'int8 activations with uint8 weights have no kernel', fix: 'quantize weights to int8' }
        : undefined;
    }),
    rule(PRODUCTS, 'slow', 'ort-quantize', v => {
      const [input] = pairOf(v);
      return input === 'int16' || input === 'uint16'
        ? {
            why: '16-bit activations have no integer kernel: the node runs in float',
            fix: 'use 8-bit activations',
          }
        : undefined;
    }),
    rule(PRODUCTS, 'slow', 'ort-quantize', saturates),
  ],
};

export const CPU_ARM64: RuleSet = {
  nodes: [
    rule(PRODUCTS, 'slow', 'executorch-xnnpack', v => {
      const [input, weight] = pairOf(v);
      return weight !== undefined && input === undefined && weight !== 'int4'
        ? { why: 'stored integers with float activations run in float', fix: 'quantize its input too' }
        : undefined;
    }),
  ],
};

/** Integer types of activations and weights. */
const pairOf = (v: NodeView): (string | undefined)[] =>
  [0, 1].map(i => v.qdq.behind(v.node.inputs[i] ?? '')?.quantization.dtype);

/** Without VNNI, sums of two 8-bit products saturate at 16 bits: per-channel weights must keep to 7 bits. */
function saturates(v: NodeView): Violation | undefined {
  const weight = v.qdq.behind(v.node.inputs[1] ?? '');
  if (v.device.id !== 'cpu-x86-avx2' || !weight?.tensor || weight.quantization.scale.length === 1)
    return undefined;
  const most = Array.from(weight.tensor.data as ArrayLike<number>).reduce(
    (a, x) => Math.max(a, Math.abs(Number(x))),
    0,
  ); // numeric
  return most > 64
    ? {
        why: `weights up to ${most}: sums of two products saturate without VNNI`,
        fix: 'quantize with reduced range (7 bits)',
      }
    : undefined;
}
