/** NVIDIA by TensorRT, and WebGPU by ONNX Runtime Web. */
import { CONVS, onlyOps, rule, withoutOps } from './common.ts';
import { TENSORRT_LACKS, WEBGPU_OPS } from './op-lists.ts';
import type { NodeView, RuleSet, Violation } from './rule.ts';

export const TENSORRT: RuleSet = {
  nodes: [
    withoutOps(TENSORRT_LACKS, 'TensorRT', 'fallback'),
    rule('all', 'fallback', 'onnx-tensorrt', v =>
      v.key.startsWith('com.microsoft.')
        ? {
            why: `TensorRT reads ONNX's own operators, and ${v.key} is ONNX Runtime's`,
            fix: 'export plain operators, or leave the node to ONNX Runtime beside it',
          }
        : undefined,
    ),
    rule(['DequantizeLinear'], 'error', 'modelopt-placement', v => {
      const integer = v.type(0)?.dtype;
      return integer === 'int32'
        ? { why: 'a quantized bias: TensorRT adds biases in float', fix: 'keep biases float, without Q/DQ' }
        : undefined;
    }),
    rule(['QuantizeLinear'], 'error', 'ort-quantize', v => {
      const zero = v.c.constant(2);
      return zero && Array.from(zero.data, Number).some(z => z !== 0)
        ? {
            why: `zero point ${zero.data[0]}, and TensorRT quantizes symmetrically`,
            fix: 'calibrate with zero point 0',
          }
        : undefined;
    }),
    rule(['Add'], 'slow', 'modelopt-placement', v => {
      const behind = v.node.inputs.filter(name => v.qdq.behind(name) !== undefined);
      return behind.length === 2 && v.variable(0) && v.variable(1)
        ? {
            why: 'both inputs of a residual sum are quantized: it does not fuse into the convolution before it',
            fix: 'quantize the shortcut only',
          }
        : undefined;
    }),
    rule(['Loop', 'Scan'], 'slow', 'modelopt', () => ({
      why: 'a loop breaks the engine into pieces',
      fix: 'unroll it',
    })),
  ],
};

export const WEBGPU: RuleSet = {
  nodes: [
    rule([...CONVS, 'MatMul', 'Gemm'], 'slow', 'ort-web', v =>
      v.qdq.behind(v.node.inputs[0] ?? '')
        ? {
            why: 'integers are turned back to float here: nothing is saved',
            fix: 'use float16, or 4-bit weights alone (MatMulNBits)',
          }
        : undefined,
    ),
    rule('all', 'fallback', 'ort-web', wide),
    onlyOps(WEBGPU_OPS, 'The WebGPU provider', 'fallback'),
    rule(['Conv', 'ConvTranspose'], 'fallback', 'ort-web-ops', v =>
      v.type(0)?.shape?.length === 5
        ? { why: 'a three-dimensional convolution has no WebGPU kernel', fix: 'split it over frames' }
        : undefined,
    ),
  ],
};

/** Arithmetic on 64-bit integers or doubles: WGSL has neither. */
function wide(v: NodeView): Violation | undefined {
  const arithmetic = ['Add', 'Sub', 'Mul', 'Div', 'MatMul', 'Max', 'Min', 'ReduceSum', 'Pow'].includes(v.key);
  const dtype = v.type(0)?.dtype;
  return arithmetic && (dtype === 'int64' || dtype === 'float64') && v.variable(0)
    ? { why: `${dtype} arithmetic: shaders have 32 bits`, fix: 'use int32 or float32 inside the graph' }
    : undefined;
}
