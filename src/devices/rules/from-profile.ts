/** Rules that follow from the figures of a profile alone: formats, precision, opset, shapes, scales, alignment, memory. */
import { byteLength } from '../../graph/dtype.ts';
import { type Graph, opKey, sizeOf, staticDims, type TensorType, typeOf } from '../../graph/ir.ts';
import { type LiveMoment, memoryOverTime } from '../../graph/liveness.ts';
import { symbolsOf } from '../../ops/bind-dims.ts';
import { type AffineQuantization, withoutQdq } from '../../ops/qdq.ts';
import { isOpType } from '../../ops/schema.ts';
import { bytes } from '../../report/format.ts';
import { GaslawError } from '../../util/errors.ts';
import type { Confidence, DeviceProfile, Figure, Quantization } from '../profile.ts';
import type { SourceKey } from '../sources.ts';
import { CONV, rule } from './common.ts';
import type { GraphRule, GraphView, NodeRule, NodeView, RuleSet, Severity, Violation } from './rule.ts';

/** The rules that the profile's own figures make. */
export const rulesOf = (device: DeviceProfile): RuleSet => ({
  nodes: [
    ...(device.maxRank ? [rankRule(device.maxRank)] : []),
    ...(device.channelAlignment ? [alignmentRule(device.channelAlignment)] : []),
    ...(device.quantization ? quantizationRules(device.quantization) : []),
  ],
  graphs: [
    unknownOps,
    ...(device.staticShapes.value ? [staticShapes(device)] : []),
    ...(device.opset ? [opsetRule(device.opset)] : []),
    formatRule(device),
    precisionRule(device),
    ...memoryRules(device),
  ],
});

/** Where a figure was read, for the rule that it makes; the schema of profiles checked the name. */
const evidence = ({ source, confidence }: { source: string; confidence: Confidence }) => ({
  source: source as SourceKey,
  confidence,
});

const whole = (violation: Violation, node = '', op = ''): (Violation & { node: string; op: string })[] => [
  { ...violation, node, op },
];

/** Ops that no op list has: custom ones. */
const unknownOps: GraphRule = {
  severity: 'error',
  source: 'onnx',
  test: ({ graph }) =>
    graph.nodes
      .filter(node => !isOpType(opKey(node)))
      .map(node => ({
        node: node.name,
        op: opKey(node),
        why: `${opKey(node)} is a custom op: no device compiler knows it`,
        fix: 'write it with standard ops when exporting, or cut the graph before it',
      })),
};

const staticShapes = (device: DeviceProfile): GraphRule => ({
  severity: 'error',
  ...evidence(device.staticShapes),
  test: ({ graph }) =>
    graph.inputs
      .filter(input => !graph.initializers.has(input.name) && !staticDims(input.shape))
      .flatMap(input =>
        whole(
          {
            why: `input "${input.name}" has shape [${input.shape?.join(',') ?? '?'}], and shapes must be fixed`,
            fix: `give dimension ${symbolsOf([input])[0] ?? 'NAME'} a number`,
            rewrite: 'bind-dims',
          },
          input.name,
          'input',
        ),
      ),
});

const opsetRule = (opset: NonNullable<DeviceProfile['opset']>): GraphRule => ({
  severity: 'error',
  ...evidence(opset),
  test: ({ opset: found }) => {
    const { min, max } = opset.value;
    if (found === undefined) return [];
    if (found > max)
      return whole({
        why: `the file is of opset ${found}, the importer reads up to ${max}`,
        fix: `export with opset ${max}`,
        rewrite: 'set-opset',
      });
    return found < min
      ? whole({
          why: `the file is of opset ${found}, the importer reads from ${min} on`,
          fix: 'raise the opset',
          rewrite: 'set-opset',
        })
      : [];
  },
});

const formatRule = (device: DeviceProfile): GraphRule => ({
  severity: 'advice',
  ...evidence(device.formats),
  test: ({ opset }) => {
    const formats = device.formats.value;
    const taken = opset === undefined ? 'tflite' : 'onnx';
    if (formats.some(format => format.startsWith(taken))) return [];
    return whole({
      why: `the device takes ${formats.join(' and ')}, not ${taken === 'onnx' ? 'ONNX' : 'TFLite'}`,
      fix: `write it as ${formats[0]}`,
    });
  },
});

const precisionRule = (device: DeviceProfile): GraphRule => ({
  severity: 'error',
  ...evidence(device.precisions),
  test: ({ qdq }) => {
    const { value } = device.precisions;
    if (qdq.quantized || value.some(p => p.startsWith('float')) || !needsQuantized(device)) return [];
    return whole({
      why: `the model is float, and ${device.engine} computes in ${value.join(' and ')}`,
      fix: 'quantize it to int8 first',
    });
  },
});

/** Devices whose own compiler quantizes take float files. */
const needsQuantized = ({ formats }: DeviceProfile): boolean =>
  !formats.value.some(format => format === 'onnx' || format === 'tflite');

const isQdq = (key: string): boolean => key === 'QuantizeLinear' || key === 'DequantizeLinear';

const rankRule = ({ value: most, ...from }: NonNullable<DeviceProfile['maxRank']>): NodeRule => ({
  ...rule('all', 'fallback', 'onnx', v => {
    if (isQdq(v.key)) return undefined; // its neighbours are told
    const ranks = [...v.c.inputs, ...v.node.outputs.map(name => typeOf(v.graph, name))].map(
      t => t?.shape?.length ?? 0,
    );
    const rank = Math.max(0, ...ranks);
    return rank > most
      ? {
          why: `a tensor of rank ${rank}, and at most ${most} are taken`,
          fix: 'merge axes with Reshape before and after',
        }
      : undefined;
  }),
  ...evidence(from),
});

const alignmentRule = ({
  value: multiple,
  ...from
}: NonNullable<DeviceProfile['channelAlignment']>): NodeRule => ({
  ...rule(CONV, 'slow', 'onnx', v => {
    const channels = v.outDims()?.[1];
    if (channels === undefined || channels % multiple === 0) return undefined;
    const padded = Math.ceil(channels / multiple) * multiple;
    const waste = Math.round(100 * (1 - channels / padded));
    return waste < 20
      ? undefined
      : {
          why: `${channels} output channels take the place of ${padded}: ${waste} % is padding`,
          fix: `use a multiple of ${multiple} channels: ${padded} cost the same`,
        };
  }),
  ...evidence(from),
});

// ---- quantization ----

const WEIGHTED: NodeRule['ops'] = ['Conv', 'ConvTranspose', 'MatMul', 'Gemm'];

function quantizationRules(q: Quantization): NodeRule[] {
  const made = (ops: NodeRule['ops'], severity: Severity, test: NodeRule['test']): NodeRule => ({
    ops,
    severity,
    test,
    ...evidence(q),
  });
  return [
    made(WEIGHTED, 'fallback', v => weightViolation(v, q)),
    made('all', 'fallback', v => activationViolation(v, q)),
    ...(q.unifiedScaleOps.length > 0 ? [made('all', 'slow', v => unifiedViolation(v, q))] : []),
  ];
}

function weightViolation(v: NodeView, q: Quantization): Violation | undefined {
  const weight = v.qdq.behind(v.node.inputs[1] ?? '');
  if (!weight?.tensor) return undefined;
  const { dtype, scale, zeroPoint } = weight.quantization;
  const most = v.key.startsWith('Conv') ? q.granularity.conv : q.granularity.matmul;
  if (!(q.weights as readonly string[]).includes(dtype))
    return {
      why: `weights are ${dtype}, taken are ${q.weights.join(', ')}`,
      fix: `quantize weights to ${q.weights[0]}`,
    };
  if (most === 'per-tensor' && scale.length > 1)
    return {
      why: `weights have ${scale.length} scales, one a channel, and one for all is taken`,
      fix: 'quantize with one scale a tensor (equalize channels first to lose less)',
    };
  return q.weightZeroPoint === 'zero' && zeroPoint.some(z => z !== 0)
    ? {
        why: `weights have zero point ${zeroPoint.find(z => z !== 0)}, and it must be 0`,
        fix: 'quantize weights symmetrically',
      }
    : scaleViolation(weight.quantization, q, 'weights');
}

function activationViolation(v: NodeView, q: Quantization): Violation | undefined {
  for (const name of v.node.inputs) {
    const value = v.qdq.behind(name);
    if (!value || value.tensor) continue;
    const violation = valueViolation(value.quantization, q, name);
    if (violation) return violation;
  }
  return undefined;
}

function valueViolation(a: AffineQuantization, q: Quantization, name: string): Violation | undefined {
  if (!(q.activations as readonly string[]).includes(a.dtype))
    return {
      why: `"${name}" is ${a.dtype}, taken are ${q.activations.join(', ')}`,
      fix: `quantize activations to ${q.activations[0]}`,
    };
  if (a.scale.length > 1)
    return {
      why: `"${name}" has ${a.scale.length} scales, and activations have one`,
      fix: 'quantize activations with one scale a tensor',
    };
  return mustBeZero(q, a) && a.zeroPoint.some(z => z !== 0)
    ? {
        why: `"${name}" has zero point ${a.zeroPoint[0]}, and it must be 0`,
        fix: 'quantize activations symmetrically',
      }
    : scaleViolation(a, q, `"${name}"`);
}

const mustBeZero = ({ activationZeroPoint: asked }: Quantization, { dtype }: AffineQuantization): boolean =>
  asked === 'zero' || (asked === 'zero-in-int16' && dtype === 'int16');

function scaleViolation({ scale }: AffineQuantization, q: Quantization, what: string): Violation | undefined {
  const odd = q.scale === 'power-of-two' ? scale.find(s => !Number.isInteger(Math.log2(s))) : undefined;
  return odd === undefined
    ? undefined
    : {
        why: `${what} have scale ${odd}, and scales must be powers of two`,
        fix: 'quantize with power-of-two scales',
      };
}

/** Whether an op that wants one scale has one: all inputs, and the output of what moves values (sums have a range of their own). */
function unifiedViolation(v: NodeView, q: Quantization): Violation | undefined {
  if (!q.unifiedScaleOps.includes(v.key)) return undefined;
  const inputs = v.node.inputs.map(name => v.qdq.behind(name)).filter(value => value && !value.tensor);
  const moves = inputs.length === 1 || v.key === 'Concat';
  const all = [...inputs, ...(moves ? [v.qdq.becoming(v.node.outputs[0] ?? '')] : [])].filter(Boolean);
  const scales = new Set(all.map(value => `${value?.quantization.scale}/${value?.quantization.zeroPoint}`));
  return scales.size > 1
    ? {
        why: `${scales.size} different scales meet, and one is wanted: the compiler adds requantizations`,
        fix: 'calibrate its inputs and output to one range',
      }
    : undefined;
}

// ---- memory ----

function memoryRules({ memory: { ramBytes, flashBytes } }: DeviceProfile): GraphRule[] {
  const ram = 'lower the resolution or prune the widest layers';
  return [
    ...(ramBytes ? [limit(ramBytes, activationBytes, 'activations', ram)] : []),
    ...(flashBytes ? [limit(flashBytes, weightBytes, 'weights', 'quantize or prune it')] : []),
  ];
}

const limit = (
  most: Figure<number>,
  count: (v: GraphView) => number | undefined,
  what: string,
  fix: string,
): GraphRule => ({
  severity: 'error',
  ...evidence(most),
  test: v => {
    const needed = count(v);
    return needed !== undefined && needed > most.value
      ? whole({ why: `${what} need ${bytes(needed)}, and there are ${bytes(most.value)}`, fix })
      : [];
  },
});

/** Most bytes of activations alive at once, in a quantized model those of the widest integers; undefined where a dim is symbolic. */
export function activationBytes(view: Pick<GraphView, 'graph' | 'qdq'>): number | undefined {
  const moments = activationsOverTime(view);
  return moments && Math.max(0, ...moments.map(m => m.bytes));
}

/** Activations that convolution and matrix kernels apply before they store: TFLite's fused ones. */
const FUSED: ReadonlySet<string> = new Set(['Relu', 'Clip']);

/** The same for each node in the order of the graph, inputs included. */
export function activationsOverTime({
  graph,
  qdq,
}: Pick<GraphView, 'graph' | 'qdq'>): LiveMoment[] | undefined {
  try {
    const inputs = graph.inputs
      .filter(i => !graph.initializers.has(i.name))
      .reduce((sum, i) => sum + typeBytes(i), 0);
    const share = qdq.quantized ? 4 / activationWidth(graph) : 1;
    return memoryOverTime(withoutQdq(graph), { inPlace: FUSED }).map(m => ({
      ...m,
      bytes: (m.bytes + inputs) / share,
    }));
  } catch (error) {
    if (error instanceof GaslawError) return undefined;
    throw error;
  }
}

/** Bytes of the widest integer that a QuantizeLinear makes. */
const activationWidth = (graph: Graph): number =>
  graph.nodes
    .filter(node => node.opType === 'QuantizeLinear')
    .map(node => byteLength(typeOf(graph, node.outputs[0])?.dtype ?? 'int8', 1))
    .reduce((widest, width) => Math.max(widest, width), 1);

const typeBytes = ({ dtype, shape }: TensorType): number =>
  byteLength(dtype, sizeOf(staticDims(shape) ?? [0]));

/** Bytes of all stored tensors. */
export const weightBytes = ({ graph }: Pick<GraphView, 'graph'>): number =>
  [...graph.initializers.values()].reduce(
    (sum, t) => sum + (t.dtype === 'string' ? 0 : byteLength(t.dtype, sizeOf(t.dims))),
    0,
  );
