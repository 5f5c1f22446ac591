/** Arm Ethos-U by Vela: its table of supported operators. What breaks a rule runs on the Cortex-M beside it. */
import {
  batchOne,
  CONV,
  CONVS,
  largestWeightSum,
  list,
  noControlFlow,
  noConv1d,
  noConv3d,
  onlyOps,
  POOLS,
  rule,
  softmaxLastAxis,
} from './common.ts';
import { ETHOS_U55_OPS, ETHOS_U85_OPS, type OpList } from './op-lists.ts';
import type { NodeView, RuleSet, Violation } from './rule.ts';

const SOURCE = 'vela-ops';

const MOST_WEIGHTS = 127 * 65536;

const rules = (unit: string, ops: OpList): RuleSet => ({
  nodes: [
    onlyOps(ops, unit, 'fallback'),
    noControlFlow(unit, SOURCE),
    noConv1d(unit, 'fallback', SOURCE),
    noConv3d(unit, 'fallback', SOURCE),
    batchOne(unit, 'fallback', SOURCE),
    softmaxLastAxis(unit, 'fallback', SOURCE),
    rule(CONVS, 'fallback', SOURCE, window),
    rule([...CONVS, 'Gemm', 'MatMul'], 'fallback', SOURCE, weights),
    rule(POOLS, 'fallback', SOURCE, pool),
    rule(CONV, 'fallback', SOURCE, v => {
      const group = v.int('group', 1);
      const outputs = v.outDims()?.[1] ?? 0;
      return v.depthwise && outputs > group
        ? {
            why: `${outputs / group} outputs a channel: with more than one input channel only 1 is taken`,
            fix: 'use as many outputs as inputs, then a 1×1 convolution',
          }
        : undefined;
    }),
    rule(CONV, 'fallback', SOURCE, v => {
      const group = v.int('group', 1);
      return group > 1 && !v.depthwise
        ? {
            why: `${group} groups: TFLite has plain and depthwise convolutions`,
            fix: 'split channels, convolve each part, and join them',
          }
        : undefined;
    }),
    ...(unit === 'Ethos-U85'
      ? []
      : [
          rule(['ArgMax'], 'fallback', 'vela-report', argMax),
          rule(['ConvTranspose'], 'fallback', 'vela-report', transposed),
          rule(['Resize'], 'fallback', 'vela-report', resize),
          rule(['Div'], 'fallback', SOURCE, () => ({
            why: `${unit} does not divide`,
            fix: 'multiply by the reciprocal',
            rewrite: 'constant-arithmetic',
          })),
        ]),
  ],
});

export const ETHOS_U55: RuleSet = rules('Ethos-U55 and U65', ETHOS_U55_OPS);
export const ETHOS_U85: RuleSet = rules('Ethos-U85', ETHOS_U85_OPS);

function window(v: NodeView): Violation | undefined {
  const w = v.window();
  if (w?.kernel.length !== 2) return undefined;
  const [height, width] = w.kernel.map((k, i) => (k - 1) * (w.dilations[i] as number) + 1) as [
    number,
    number,
  ];
  const dilated = w.dilations.some(d => d !== 1);
  const padded = w.pads.some(p => p !== 0) || w.autoPad.startsWith('SAME');
  if (w.strides.some(s => s > 3) && (v.depthwise || dilated || padded))
    return {
      why: `stride ${list(w.strides)}: above 3 only without padding, dilation and groups`,
      fix: 'use a stride of at most 3',
    };
  if (height > 64)
    return { why: `a kernel ${height} high, at most 64 is taken`, fix: 'use a smaller kernel' };
  return height * width > 4096
    ? { why: `a kernel of ${height}×${width}, at most 4096 elements are taken`, fix: 'use a smaller kernel' }
    : undefined;
}

function weights(v: NodeView): Violation | undefined {
  if (v.variable(1) && v.key.startsWith('Conv'))
    return { why: 'its weight is computed', fix: 'make the weight a constant' };
  const integer = v.qdq.behind(v.node.inputs[1] ?? '')?.tensor;
  if (!integer) return undefined;
  const sum = largestWeightSum(v, 1);
  return sum > MOST_WEIGHTS
    ? {
        why: `weights of one output add up to ${sum}, at most ${MOST_WEIGHTS} is taken`,
        fix: 'split its input channels over two nodes',
      }
    : undefined;
}

function pool(v: NodeView): Violation | undefined {
  const w = v.window();
  if (w?.kernel.length !== 2) return undefined;
  const [height, width] = w.kernel as [number, number];
  const padded = w.pads.some(p => p !== 0) || w.autoPad.startsWith('SAME');
  if (v.key === 'AveragePool' && padded && Math.max(height, width) > 8)
    return {
      why: `an average of ${height}×${width} with padding, at most 8×8 is taken`,
      fix: 'pool without padding',
    };
  if (height > 256 || height * width > 256 * 256)
    return { why: `a window of ${height}×${width}`, fix: 'pool in two steps' };
  return w.strides.some(s => s > 3) && padded
    ? { why: `stride ${list(w.strides)} with padding, at most 3 is taken`, fix: 'pool without padding' }
    : undefined;
}

function argMax(v: NodeView): Violation | undefined {
  const axis = v.int('axis', 0);
  const shape = v.dims();
  const depth = shape?.[1];
  if (shape && axis !== 1 && axis !== 1 - shape.length)
    return {
      why: `the largest along axis ${axis}, and only channels are compared`,
      fix: 'transpose before it',
    };
  return depth !== undefined && depth > 127
    ? {
        why: `the largest of ${depth} channels, at most 127 are taken`,
        fix: 'leave it out: the processor finds it',
      }
    : undefined;
}

function transposed(v: NodeView): Violation | undefined {
  const strides = v.window()?.strides;
  return strides && (strides.some(s => s > 2) || strides[0] !== strides[1])
    ? {
        why: `a transposed convolution of stride ${list(strides)}; 1×1 and 2×2 are taken`,
        fix: 'use stride 2, twice where needed',
      }
    : undefined;
}

function resize(v: NodeView): Violation | undefined {
  const [from, to] = [v.dims(), v.outDims()];
  if (!from || !to || from.length !== 4) return undefined;
  const [up, along] = [2, 3].map(i => (to[i] as number) / (from[i] as number)) as [number, number];
  return up === along && [1, 2, 4, 8].includes(up)
    ? undefined
    : { why: `grows ${up}×${along} times; 2, 4 and 8 times on both axes are taken`, fix: 'use one of those' };
}
