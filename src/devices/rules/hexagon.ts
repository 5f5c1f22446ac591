/** Qualcomm HTP by QNN: the guidelines of its manual, and constraints of the QNN provider of ONNX Runtime. */
import { CONVS, noControlFlow, onlyOps, rule } from './common.ts';
import { HTP_OPS } from './op-lists.ts';
import type { NodeView, RuleSet, Violation } from './rule.ts';

const UNIT = 'HTP';
export const HEXAGON: RuleSet = {
  nodes: [
    onlyOps(HTP_OPS, UNIT, 'fallback'),
    noControlFlow(UNIT, 'ort-qnn'),
    rule(['Conv'], 'slow', 'htp-depth', v => {
      const channels = v.dims()?.[1];
      const plane = (v.dims() ?? []).slice(2).reduce((a, b) => a * b, 1);
      return channels !== undefined && channels < 16 && plane >= 112 * 112
        ? {
            why: `${channels} input channels on a plane of ${plane}: vectors of 32 are mostly empty`,
            fix: 'fold 2×2 pixels into channels first (SpaceToDepth), with the kernel to match',
          }
        : undefined;
    }),
    rule(['Conv', 'MatMul', 'Gemm'], 'slow', 'htp-int4', fourBits),
    rule([...CONVS, 'MatMul', 'Gemm'], 'slow', 'ai-hub', v =>
      v.device.id === 'sa8775p' && v.qdq.behind(v.node.inputs[0] ?? '')?.quantization.dtype === 'uint16'
        ? {
            why: '16-bit activations were slower than float16 on this chip (MobileNetV2: 4.31 against 1.25 ms)',
            fix: 'use 8-bit activations',
          }
        : undefined,
    ),
    rule(['Sigmoid', 'Tanh'], 'advice', 'ort-qnn-config', fixedScale),
    rule(['MatMul'], 'fallback', 'executorch-htp-rules', v => {
      const weight = v.qdq.behind(v.node.inputs[1] ?? '');
      return weight && v.variable(1) && weight.quantization.dtype === 'uint16'
        ? {
            why: 'both inputs are 16 bits, and the second must be 8',
            fix: 'quantize the second input to uint8',
          }
        : undefined;
    }),
  ],
};

function fourBits(v: NodeView): Violation | undefined {
  const weight = v.qdq.behind(v.node.inputs[1] ?? '')?.tensor;
  if (weight?.dtype !== 'int4') return undefined;
  const window = v.key === 'Conv' ? v.window() : undefined;
  const outputs = v.outDims()?.at(v.key === 'Conv' ? 1 : -1) ?? 0;
  const plain = window ? window.kernel.every(k => k === 1) && window.strides.every(s => s === 1) : true;
  return plain && outputs > 32
    ? undefined
    : {
        why: '4-bit weights save nothing here: only 1×1 convolutions of stride 1 and products with more than 32 outputs gain',
        fix: 'keep 8-bit weights in this node',
      };
}

/** 16-bit Sigmoid and Tanh have fixed output scales. */
function fixedScale(v: NodeView): Violation | undefined {
  const out = v.qdq.becoming(v.node.outputs[0] ?? '')?.quantization;
  if (out?.dtype !== 'uint16') return undefined;
  const [scale, zero] = v.key === 'Sigmoid' ? [1 / 65536, 0] : [1 / 32768, 32768];
  return Math.abs((out.scale[0] as number) - scale) < 1e-9 && out.zeroPoint[0] === zero
    ? undefined
    : {
        why: `output scale ${out.scale[0]}, zero point ${out.zeroPoint[0]}`,
        fix: `set scale ${scale}, zero point ${zero}`,
      };
}
