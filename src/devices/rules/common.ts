/** Rules that many devices have, each a function of what differs. */
import type { OpType } from '../../ops/schema.ts';
import type { SourceKey } from '../sources.ts';
import type { OpList } from './op-lists.ts';
import type { NodeRule, NodeView, Severity, Violation } from './rule.ts';

const ACTIVATION_FIX = 'decompose-activation' as const;

/** Ops that carry quantization and constants: no device runs them as such. */
const CARRIERS: readonly OpType[] = ['QuantizeLinear', 'DequantizeLinear', 'Constant', 'Identity'];

/** Ops that have a rewrite into plainer ones. */
const DECOMPOSABLE: readonly OpType[] = ['HardSwish', 'HardSigmoid', 'Swish', 'Mish', 'Softplus', 'Softsign'];

/** What is not in the list runs elsewhere, or nowhere. */
export function onlyOps({ ops, source, confidence }: OpList, unit: string, severity: Severity): NodeRule {
  const known: ReadonlySet<OpType> = new Set([...ops, ...CARRIERS]);
  return lacking(key => !known.has(key), unit, severity, { source, confidence });
}

/** What is in the list runs elsewhere, or nowhere. */
export function withoutOps({ ops, source, confidence }: OpList, unit: string, severity: Severity): NodeRule {
  const missing: ReadonlySet<OpType> = new Set(ops);
  return lacking(key => missing.has(key), unit, severity, { source, confidence });
}

const lacking = (
  lacks: (key: OpType) => boolean,
  unit: string,
  severity: Severity,
  evidence: Pick<NodeRule, 'source' | 'confidence'>,
): NodeRule => ({
  ops: 'all',
  severity,
  ...evidence,
  test: v =>
    lacks(v.key)
      ? { why: `${unit} has no ${v.key}`, fix: replacementOf(v.key), ...rewriteOf(v.key) }
      : undefined,
});

const rewriteOf = (key: OpType): Pick<Violation, 'rewrite'> => {
  if (DECOMPOSABLE.includes(key)) return { rewrite: ACTIVATION_FIX };
  return REWRITES[key] === undefined ? {} : { rewrite: REWRITES[key] };
};

const REWRITES: { readonly [K in OpType]?: Violation['rewrite'] } = {
  ReduceMean: 'mean-to-pool',
  Sub: 'constant-arithmetic',
  Div: 'constant-arithmetic',
  Pow: 'constant-arithmetic',
};

const REPLACEMENTS: { readonly [K in OpType]?: string } = {
  Gelu: 'use Relu or HardSwish and train again',
  Erf: 'write the whole activation as one Gelu, or use Relu and train again',
  LayerNormalization: 'use BatchNormalization and train again, or leave the block to the processor',
  BatchNormalization: 'fold it into the convolution before it',
  LSTM: 'leave it to the processor, or use a convolution over time',
  GRU: 'leave it to the processor, or use a convolution over time',
  ReduceMean: 'use GlobalAveragePool',
};

function replacementOf(key: OpType): string {
  if (DECOMPOSABLE.includes(key)) return 'write it as products, sums, Clip and Sigmoid';
  return REPLACEMENTS[key] ?? 'replace it by an op that the device has, or cut the graph there';
}

export const CONV: readonly OpType[] = ['Conv'];
export const CONVS: readonly OpType[] = ['Conv', 'ConvTranspose'];
export const POOLS: readonly OpType[] = ['MaxPool', 'AveragePool'];

/** A rule of nodes of `ops`. */
export const rule = (
  ops: NodeRule['ops'],
  severity: Severity,
  source: SourceKey,
  test: NodeRule['test'],
): NodeRule => ({ ops, severity, source, test });

/** Rules that no table of the maker states: from examples and the literature. */
export const lowConfidence = (...rules: readonly NodeRule[]): NodeRule[] =>
  rules.map(made => ({ ...made, confidence: 'low' }));

/** Batch above 1. */
export const batchOne = (unit: string, severity: Severity, source: SourceKey): NodeRule =>
  rule([...CONVS, ...POOLS], severity, source, v => {
    const batch = v.dims()?.[0];
    return batch === undefined || batch === 1
      ? undefined
      : {
          why: `batch ${batch}, and ${unit} takes 1`,
          fix: 'export the model with batch 1 and call it once a sample',
        };
  });

/** Loops and branches: compilers of static graphs have none. */
export const noControlFlow = (unit: string, source: SourceKey): NodeRule =>
  rule(['If', 'Loop', 'Scan'], 'error', source, v => ({
    why: `${unit} compiles one fixed sequence of layers, and ${v.key} decides at run time`,
    fix: 'unroll it or fold its condition when exporting',
  }));

/** One-dimensional convolutions and pools where only two-dimensional ones exist. */
export const noConv1d = (unit: string, severity: Severity, source: SourceKey): NodeRule =>
  rule([...CONV, ...POOLS], severity, source, v =>
    v.type(0)?.shape?.length === 3
      ? {
          why: `${unit} has two-dimensional windows only, this one slides along one axis`,
          fix: 'give it a second axis of length 1',
          rewrite: 'conv-1d-to-2d',
        }
      : undefined,
  );

/** Three-dimensional windows. */
export const noConv3d = (unit: string, severity: Severity, source: SourceKey): NodeRule =>
  rule([...CONVS, ...POOLS], severity, source, v =>
    v.type(0)?.shape?.length === 5
      ? {
          why: `${unit} has two-dimensional windows only, this one has three axes`,
          fix: 'split it into convolutions over frames',
        }
      : undefined,
  );

/** Softmax over another axis than the last. */
export const softmaxLastAxis = (unit: string, severity: Severity, source: SourceKey): NodeRule =>
  rule(['Softmax', 'LogSoftmax'], severity, source, v => {
    const rank = v.type(0)?.shape?.length;
    const axis = v.int('axis', -1);
    return rank === undefined || axis === -1 || axis === rank - 1
      ? undefined
      : {
          why: `${unit} sums along the last axis, axis is ${axis} of ${rank}`,
          fix: 'transpose before and after it',
          rewrite: 'softmax-last-axis',
        };
  });

/** `[3,3]` */
export const list = (values: readonly number[]): string => `[${values.join(',')}]`;

/** Whether all entries are in `allowed`. */
export const among = (values: readonly number[], allowed: readonly number[]): boolean =>
  values.every(value => allowed.includes(value));

/** The sum of magnitudes that one output channel of a stored weight [O, ...] has at most. */
export function largestWeightSum(v: NodeView, i: number): number {
  const tensor = v.stored(i);
  if (!tensor || tensor.dims.length === 0) return 0;
  const [channels] = tensor.dims as [number];
  const each = tensor.data.length / channels;
  const data = tensor.data as ArrayLike<number>; // numeric: weights are no strings
  let most = 0;
  for (let channel = 0; channel < channels; channel++) {
    let sum = 0;
    for (let j = channel * each; j < (channel + 1) * each; j++) sum += Math.abs(Number(data[j]));
    most = Math.max(most, sum);
  }
  return most;
}
