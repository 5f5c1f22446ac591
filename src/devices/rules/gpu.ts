/** NVIDIA by TensorRT, and WebGPU by ONNX Runtime Web. */
import { CONVS, rule } from './common.ts';
import type { NodeView, RuleSet, Violation } from './rule.ts';

export const TENSORRT: RuleSet = {
  nodes: [
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
    rule(['If', 'Loop', 'Scan'], 'fallback', 'ort-web', v => ({
      why: `${v.key} runs in WebAssembly and copies its tensors`,
      fix: 'unroll it',
    })),
    rule(['LSTM', 'GRU', 'RNN', 'TopK', 'NonZero', 'ConvTranspose'], 'fallback', 'ort-web', v =>
      v.key === 'ConvTranspose' && v.type(0)?.shape?.length === 4
        ? undefined
        : { why: `${v.key} has no WebGPU kernel`, fix: 'keep it at the end, or replace it by convolutions' },
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
