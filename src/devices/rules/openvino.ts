/** Intel by OpenVINO. CPU and GPU take nearly everything; the NPU wants static graphs with unified scales. */
import { CONVS, rule, withoutOps } from './common.ts';
import { OPENVINO_LACKS } from './op-lists.ts';
import type { RuleSet } from './rule.ts';

export const OPENVINO_CPU: RuleSet = {
  nodes: [
    withoutOps(OPENVINO_LACKS, 'OpenVINO', 'error'),
    rule([...CONVS, 'MatMul', 'Gemm'], 'slow', 'nncf-cpu', v => {
      const [input, weight] = [v.qdq.behind(v.node.inputs[0] ?? ''), v.qdq.behind(v.node.inputs[1] ?? '')];
      return weight?.tensor && !input && weight.tensor.dtype !== 'int4'
        ? {
            why: '8-bit weights with float activations: the product runs in float',
            fix: 'quantize its input too',
          }
        : undefined;
    }),
  ],
};

export const OPENVINO_GPU: RuleSet = {
  nodes: [
    ...OPENVINO_CPU.nodes,
    rule(['Loop', 'Scan', 'NonZero', 'NonMaxSuppression' as never], 'slow', 'nncf-gpu', v => ({
      why: `${v.key} gives the GPU shapes that it learns at run time`,
      fix: 'cut the graph before it',
    })),
  ],
};

export const OPENVINO_NPU: RuleSet = {
  nodes: [
    ...OPENVINO_CPU.nodes,
    rule(['Loop', 'Scan', 'If', 'NonZero'], 'error', 'openvino-npu', v => ({
      why: `${v.key} decides shapes at run time, and the NPU compiles fixed ones`,
      fix: 'unroll it, or cut the graph there',
    })),
    rule('all', 'slow', 'openvino-npu', v =>
      v.type(0)?.dtype === 'float64'
        ? { why: 'float64 is computed elsewhere', fix: 'use float32 or float16' }
        : undefined,
    ),
  ],
};
