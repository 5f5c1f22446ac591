/** Texas Instruments TIDL: each rule is a constraint of its operator table. What breaks one runs on the Cortex-A. */
import { among, CONV, list, noControlFlow, noConv1d, onlyOps, POOLS, rule } from './common.ts';
import { TIDL_OPS } from './op-lists.ts';
import type { NodeView, RuleSet, Violation } from './rule.ts';

const SOURCE = 'tidl-ops';
const UNIT = 'TIDL';

const small = (v: NodeView): boolean => /am62a|am67a/.test(v.device.id);

export const TIDL: RuleSet = {
  nodes: [
    onlyOps(TIDL_OPS, UNIT, 'fallback'),
    noControlFlow(UNIT, SOURCE),
    noConv1d(UNIT, 'fallback', SOURCE),
    rule(CONV, 'fallback', SOURCE, convolution),
    rule(CONV, 'fallback', SOURCE, v =>
      v.variable(1)
        ? { why: 'its weight is computed, and only one input may be', fix: 'make the weight a constant' }
        : undefined,
    ),
    rule(['ConvTranspose'], 'fallback', SOURCE, transposed),
    rule(POOLS, 'fallback', SOURCE, pool),
    rule(['GlobalAveragePool'], 'fallback', SOURCE, v => {
      const plane = (v.dims() ?? []).slice(2).reduce((a, b) => a * b, 1);
      return plane > 1024
        ? {
            why: `a plane of ${plane} elements, at most 1024 are averaged`,
            fix: 'average by steps: AveragePool of 2×2 or 3×3 first',
          }
        : undefined;
    }),
    rule(['Resize'], 'fallback', SOURCE, resize),
    rule(['Softmax'], 'fallback', SOURCE, v => {
      const rank = v.type(0)?.shape?.length ?? 0;
      const axis = v.int('axis', -1);
      return among([axis < 0 ? axis : axis - rank], [-1, -2])
        ? undefined
        : {
            why: `axis ${axis}, and only height and width are summed over`,
            fix: 'transpose before and after it',
            rewrite: 'softmax-last-axis',
          };
    }),
    rule(['Gemm'], 'fallback', SOURCE, v =>
      v.int('transA', 0) !== 0 ||
      v.c.attributes.float('alpha', 1) !== 1 ||
      v.c.attributes.float('beta', 1) !== 1
        ? {
            why: 'transA must be 0, alpha and beta 1',
            fix: 'fold them into the weight and bias',
            rewrite: 'plain-gemm',
          }
        : undefined,
    ),
    rule(['Concat'], 'fallback', SOURCE, v => {
      const rank = v.type(0)?.shape?.length ?? 0;
      const axis = v.int('axis', 0);
      return among([axis < 0 ? axis : axis - rank], [-1, -2, -3])
        ? undefined
        : {
            why: `axis ${axis} of ${rank}, and only channel, height and width are joined`,
            fix: 'join along channels',
          };
    }),
    rule(['Slice'], 'fallback', SOURCE, v => {
      const steps = v.c.shapeValue(4);
      return steps?.some(step => step !== 1)
        ? {
            why: `steps [${steps}], and every element must be taken`,
            fix: 'use a pool or convolution with a stride',
          }
        : undefined;
    }),
    rule(['Sub'], 'fallback', SOURCE, v =>
      v.variable(0) && v.variable(1)
        ? { why: 'both sides are computed, and one must be constant', fix: 'multiply one by -1 and add' }
        : undefined,
    ),
    rule(['Gather'], 'fallback', SOURCE, v => {
      const indices = v.type(1)?.shape?.length ?? 1;
      return indices > 1
        ? {
            why: `indices of rank ${indices}, and at most 1 is taken`,
            fix: 'flatten the indices and reshape after it',
          }
        : undefined;
    }),
    rule(['Clip'], 'fallback', SOURCE, clip),
    rule(['Cast'], 'fallback', SOURCE, v =>
      v.graph.inputs.some(i => v.node.inputs.includes(i.name)) ||
      v.graph.outputs.some(o => v.node.outputs.includes(o.name))
        ? undefined
        : {
            why: 'a cast inside the network, and only inputs and outputs are cast',
            fix: 'keep one type throughout',
          },
    ),
    rule(['Erf'], 'fallback', SOURCE, () => ({
      why: 'known only as part of a Gelu',
      fix: 'export the activation as one Gelu',
    })),
    rule(['ReduceMean'], 'fallback', SOURCE, () => ({
      why: 'known only as part of a LayerNormalization',
      fix: 'use GlobalAveragePool for a mean over the plane',
      rewrite: 'mean-to-pool',
    })),
    rule(['Sigmoid', 'HardSigmoid', 'Gelu', 'Tanh', 'Softmax', 'Elu'], 'slow', SOURCE, v =>
      /am62a/.test(v.device.id)
        ? { why: `no table look-ups on AM62A: ${v.key} is slow there`, fix: 'use Relu or Clip' }
        : undefined,
    ),
  ],
};

function convolution(v: NodeView): Violation | undefined {
  const window = v.window();
  if (window?.kernel.length !== 2) return undefined;
  const { kernel, strides } = window;
  const [height, width] = kernel as [number, number];
  const [down, across] = strides as [number, number];
  if (down !== across) return { why: `strides ${list(strides)} differ`, fix: 'use one stride for both axes' };
  if (v.depthwise && (!among(kernel, [3, 5, 7]) || !among(strides, [1, 2])))
    return {
      why: `a depthwise kernel ${list(kernel)} of stride ${down}; 3×3, 5×5 and 7×7 of stride 1 and 2 are taken`,
      fix: 'use one of those',
    };
  if (down === 4 && (height !== 11 || width !== 11))
    return {
      why: `stride 4 with kernel ${list(kernel)}: only 11×11 is taken`,
      fix: 'use two convolutions of stride 2',
    };
  if (down === 2 && Math.max(height, width) > 7)
    return {
      why: `stride 2 with kernel ${list(kernel)}: at most 7 is taken`,
      fix: 'use a kernel of at most 7',
    };
  return small(v) && down === 3 && height === 3 && width === 3
    ? { why: '3×3 of stride 3 is not taken by this chip', fix: 'use stride 2, or space-to-depth' }
    : undefined;
}

function transposed(v: NodeView): Violation | undefined {
  const window = v.window();
  if (!window) return undefined;
  const { kernel, strides } = window;
  const square = kernel.every(k => k === kernel[0]);
  if (v.int('group', 1) !== 1)
    return { why: 'groups in a transposed convolution', fix: 'use group 1, or Resize and a convolution' };
  return square && among(kernel, [2, 4]) && among(strides, [2])
    ? undefined
    : {
        why: `kernel ${list(kernel)} of stride ${list(strides)}; 2×2 and 4×4 of stride 2 are taken`,
        fix: 'use one of those, or Resize and a convolution',
      };
}

function pool(v: NodeView): Violation | undefined {
  const window = v.window();
  if (window?.kernel.length !== 2) return undefined;
  const { kernel, strides, dilations } = window;
  const plane = v.dims()?.slice(2);
  if (v.key === 'AveragePool' && plane?.every((size, i) => size === kernel[i]))
    return {
      why: `a pool over the whole plane ${list(kernel)}`,
      fix: 'write it as GlobalAveragePool',
      rewrite: 'pool-to-global',
    };
  if (!among(dilations, [1]))
    return { why: `dilations ${list(dilations)}`, fix: 'use a pool without dilation' };
  return among(kernel, [1, 2, 3]) && kernel[0] === kernel[1] && among(strides, [1, 2])
    ? undefined
    : {
        why: `kernel ${list(kernel)} of stride ${list(strides)}; 1×1, 2×2 and 3×3 of stride 1 and 2 are taken`,
        fix: 'use two smaller pools',
      };
}

function resize(v: NodeView): Violation | undefined {
  const mode = v.c.attributes.string('mode', 'nearest');
  if (mode !== 'nearest' && mode !== 'linear') return { why: `mode ${mode}`, fix: 'use nearest or linear' };
  const [from, to] = [v.dims(), v.outDims()];
  if (!from || !to) return undefined;
  const [up, along] = [2, 3].map(i => (to[i] as number) / (from[i] as number)) as [number, number];
  if (up !== along)
    return { why: `height grows ${up} times, width ${along}`, fix: 'use one factor for both' };
  return up >= 1 && Number.isInteger(Math.log2(up))
    ? undefined
    : { why: `a factor of ${up}, and powers of two from 1 on are taken`, fix: 'use 2 or 4' };
}

function clip(v: NodeView): Violation | undefined {
  const bound = (i: number, otherwise: number): number => Number(v.c.constant(i)?.data[0] ?? otherwise);
  const [low, high] = [bound(1, Number.NEGATIVE_INFINITY), bound(2, Number.POSITIVE_INFINITY)];
  return low <= 0 && high > 0
    ? undefined
    : {
        why: `bounds ${low} and ${high}; the lower must be at most 0, the upper above it`,
        fix: 'shift with an Add before and after',
      };
}
