/**
 * What a student may take over from a teacher besides labels: losses on logits, on features and on relations between examples.
 *
 * 1. The teacher's side is held constant in every one.
 * 2. Losses on logits and features return one value an example, relations (which are between examples) a scalar.
 * 3. Where published code and paper differ the code counts, as the papers' figures come from it (mdistiller, RepDistiller).
 * Shapes: N examples, C classes or channels, d embedding width.
 */
import type { Value } from '../ops/builder.ts';
import { divergence } from './losses.ts';
import { type Init, normal } from './parameters.ts';

export interface LogitOptions {
  /** Softens both distributions; losses are scaled by its square. */
  readonly temperature?: number;
}

/** T² KL(teacher ‖ student) at temperature T (Hinton et al. 2015, arXiv:1503.02531): logits [N, C] → [N]. */
export function logitDistillation(
  student: Value,
  teacher: Value,
  { temperature = 4 }: LogitOptions = {},
): Value {
  return divergence('forward', student, teacher, { temperature }).mul(temperature ** 2);
}

export interface DecoupledOptions extends LogitOptions {
  /** Weight of how sure the teacher is of the label. */
  readonly alpha?: number;
  /** Weight of how it ranks everything else. */
  readonly beta?: number;
}

/**
 * T² (α KL of (label, others) + β KL among the others) (Zhao et al. 2022, arXiv:2203.08679): logits [N, C], labels [N]
 * (int64 or int32) → [N].
 */
export function decoupledDistillation(
  student: Value,
  teacher: Value,
  labels: Value,
  { temperature = 4, alpha = 1, beta = 8 }: DecoupledOptions = {},
): Value {
  const index = labels.unsqueeze([1]);
  const s = decoupled(student.div(temperature), index);
  const t = decoupled(teacher.div(temperature).stopGradient(), index);
  const target = binaryKl(t.label, s.label, t.others, s.others);
  const others = t.among.exp().mul(t.among.sub(s.among)).sum([1], false);
  return target
    .mul(alpha)
    .add(others.mul(beta))
    .mul(temperature ** 2);
}

interface Decoupled {
  /** log p(label) and log p(any other), [N]. */
  readonly label: Value;
  readonly others: Value;
  /** log p of each class given that it is not the label [N, C]; very small at the label. */
  readonly among: Value;
}

/** Takes a class out of a softmax in float32 without an infinity that would make 0 · ∞. */
const TAKEN_OUT = -1000;

function decoupled(logits: Value, index: Value): Decoupled {
  const b = logits.builder;
  const all = b.op('ReduceLogSumExp', [logits, b.ints([1])], { keepdims: 1 });
  const shift = b.scalar(TAKEN_OUT, logits.dtype).expandTo(index.dims());
  const rest = b.op('ScatterElements', [logits, index, shift], { axis: 1, reduction: 'add' });
  const withoutLabel = b.op('ReduceLogSumExp', [rest, b.ints([1])], { keepdims: 1 });
  return {
    label: b.op('GatherElements', [logits, index], { axis: 1 }).sub(all).squeeze([1]),
    others: withoutLabel.sub(all).squeeze([1]),
    among: rest.sub(withoutLabel),
  };
}

/** Σ p (log p − log q) over an event and its opposite, from logarithms. */
const binaryKl = (logP: Value, logQ: Value, logNotP: Value, logNotQ: Value): Value =>
  logP
    .exp()
    .mul(logP.sub(logQ))
    .add(logNotP.exp().mul(logNotP.sub(logNotQ)));

/** Makes a parameter of the loss: [dims] with initial values. */
export type MakeParameter = (dims: readonly number[], init: Init) => Value;

/**
 * `x` with as many channels as the teacher has, by a learned 1×1 convolution [N, C, …] (rank above 3) or a linear map of the
 * last axis: the regressor of feature hints.
 */
export function projection(x: Value, channels: number, parameter: MakeParameter): Value {
  const spatial = x.rank > 3;
  const own = x.shape[spatial ? 1 : x.rank - 1] as number;
  const init = normal(1 / Math.sqrt(own));
  if (!spatial) return x.matmul(parameter([own, channels], init));
  const ones = new Array<number>(x.rank - 2).fill(1);
  return x.builder.op('Conv', [x, parameter([channels, own, ...ones], init)], {});
}

/** Mean squared difference of an example's features (FitNets, Romero et al. 2015): [N, …] twice → [N]. */
export function featureHint(student: Value, teacher: Value): Value {
  const difference = student.sub(teacher.stopGradient());
  return difference.mul(difference).mean(axesFrom(1, student.rank), false);
}

/**
 * Mean squared difference of where features are large: mean of squares over channels, of length 1 over positions
 * (Zagoruyko and Komodakis 2017, arXiv:1612.03928). [N, C, …] and [N, C', …] of equal positions → [N].
 */
export function attentionTransfer(student: Value, teacher: Value): Value {
  const map = (x: Value) => unit(x.mul(x).mean([1], false).reshape([0, -1]));
  const difference = map(student).sub(map(teacher).stopGradient());
  return difference.mul(difference).mean([1], false);
}

/**
 * Smooth L1 between the distances of all pairs, each in units of the mean distance (relational distillation, Park et al. 2019,
 * arXiv:1904.05068): embeddings [N, d] and [N, d'] → scalar.
 */
export function relationalDistance(student: Value, teacher: Value): Value {
  return smoothL1(relativeDistances(student), relativeDistances(teacher).stopGradient()).mean(
    undefined,
    false,
  );
}

/** Smooth L1 between the cosines at each example towards each pair of others: embeddings [N, d] and [N, d'] → scalar. */
export function relationalAngle(student: Value, teacher: Value): Value {
  const cosines = (x: Value) => {
    const e = unit(x.unsqueeze([0]).sub(x.unsqueeze([1])));
    return e.matmul(e.transpose([0, 2, 1]));
  };
  return smoothL1(cosines(student), cosines(teacher).stopGradient()).mean(undefined, false);
}

/**
 * −log of the chance to pick the same example's teacher embedding among the batch's (InfoNCE, as CRD and CLIP use it with
 * the batch as negatives): embeddings of equal width [N, d] → [N].
 */
export function contrastive(
  student: Value,
  teacher: Value,
  { temperature = 0.07 }: LogitOptions = {},
): Value {
  const similarity = unit(student)
    .matmul(unit(teacher).stopGradient().transpose([1, 0]))
    .div(temperature);
  const same = similarity.logSoftmax(-1).mul(identity(similarity));
  return same.sum([1], false).neg();
}

/** Distances of all pairs [N, N] over their mean; 0 on the diagonal. */
function relativeDistances(x: Value): Value {
  const difference = x.unsqueeze([0]).sub(x.unsqueeze([1]));
  const squares = difference.mul(difference).sum([2], false);
  const other = identity(squares).neg().add(1);
  // the root has no gradient at 0, where an example meets itself
  const distances = squares.add(identity(squares)).max(1e-12).sqrt().mul(other);
  return distances.div(distances.sum(undefined, false).div(other.sum(undefined, false)));
}

/** Rows of length 1 over the last axis; zero rows stay zero. */
const unit = (x: Value): Value => x.div(x.mul(x).sum([-1]).max(1e-24).sqrt());

function smoothL1(a: Value, b: Value): Value {
  const size = a.sub(b).abs();
  const near = size.min(1);
  return near.mul(near).mul(0.5).add(size.sub(near));
}

/** 1 on the diagonal of a square matrix. */
const identity = (square: Value): Value => square.builder.op('EyeLike', [square], {});

const axesFrom = (first: number, rank: number): number[] =>
  Array.from({ length: rank - first }, (_, i) => first + i);
