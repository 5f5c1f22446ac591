/**
 * Gradients of normalizations of channels-first tensors. x̂ is the normalized input, r the reciprocal deviation.
 *
 * BatchNormalization in training mode takes its statistics from the batch, and the gradient goes through them; the
 * running statistics that it also makes are for inference and carry none, but at momentum 0, where they are the batch's.
 */
import type { Value } from '../builder.ts';
import type { GradientContext, GradientRule } from '../rule.ts';
import {
  decomposed,
  dimsVector,
  type Gradients,
  input,
  range,
  reshapeLike,
  extentOf as sizeAt,
} from './common.ts';
import type { Family } from './family.ts';

/** A vector over channels, made to broadcast against [N,C,..]. */
export const perChannel = (v: Value, rank: number): Value =>
  v.reshape([1, -1, ...range(rank - 2).map(() => 1)]);

const otherAxes = (rank: number): number[] => range(rank).filter(axis => axis !== 1);

/** x̂ and r over `axes`: x̂ = (x − mean)·r, r = 1/√(variance + ε). */
export function standardized(x: Value, axes: readonly number[], epsilon: number): { hat: Value; r: Value } {
  const shifted = x.sub(x.mean(axes));
  const r = shifted.mul(shifted).mean(axes).add(epsilon).sqrt().reciprocal();
  return { hat: shifted.mul(r), r };
}

const epsilonOf = (c: GradientContext): number => c.attributes.float('epsilon', 1e-5);

/** scale·(x − mean)/√(variance + ε) + bias with given statistics. */
function givenStatistics(c: GradientContext): Value {
  const x = input(c, 0);
  const at = (i: number) => perChannel(input(c, i), x.rank);
  const factor = at(1).div(at(4).add(epsilonOf(c)).sqrt());
  return x.sub(at(3)).mul(factor).add(at(2));
}

/** Per channel: factor·(x − mean)/√(variance + ε) + shift, in one pass over x. */
function affine(x: Value, factor: Value, shift: Value, mean: Value, variance: Value, epsilon: number): Value {
  return x.builder.op('BatchNormalization', [x, factor, shift, mean, variance], { epsilon });
}

/**
 * The same from statistics that the forward pass leaves behind, which it does at momentum 0: x̂ once, then dx as the sum of
 * g and x̂, each scaled and shifted by channel.
 */
function givenBatchStatistics(c: GradientContext, g: Value, mean: Value, variance: Value): Gradients {
  const [x, scale] = [input(c, 0), input(c, 1)];
  const axes = otherAxes(x.rank);
  const [zero, one] = [scale.mul(0), scale.mul(0).add(1)];
  const hat = affine(x, one, zero, mean, variance, epsilonOf(c));
  const product = g.mul(hat);
  const [along, sum] = [product.sum(axes, false), g.sum(axes, false)];
  const dx = (): Value => {
    const a = scale.mul(variance.add(epsilonOf(c)).sqrt().reciprocal());
    const size = countOf(x, axes);
    const [meanG, meanAlong] = [sum.div(size), along.div(size)];
    const first = affine(g, a, a.mul(meanG).neg(), zero, one, 0);
    return first.add(affine(hat, a.mul(meanAlong).neg(), zero, zero, one, 0));
  };
  return [c.wants(0) ? dx() : undefined, c.wants(1) ? along : undefined, c.wants(2) ? sum : undefined];
}

/** Elements along `axes`, as a scalar. */
function countOf(x: Value, axes: readonly number[]): Value {
  const known = axes.map(axis => x.shape[axis]);
  if (known.every(d => typeof d === 'number'))
    return x.builder.scalar(
      known.reduce((a, b) => a * b, 1),
      x.dtype,
    );
  return axes
    .map(axis => x.builder.op('Shape', [x], { start: axis, end: axis + 1 }))
    .reduce((a, b) => a.mul(b))
    .cast(x.dtype);
}

/** dx = scale·r·(g − mean(g) − x̂·mean(g·x̂)). */
function batchStatistics(c: GradientContext, g: Value): Gradients {
  const [x, scale] = [input(c, 0), input(c, 1)];
  const [, mean, variance] = c.outputs;
  if (mean && variance && c.attributes.float('momentum', 0.9) === 0)
    return givenBatchStatistics(c, g, mean, variance);
  const axes = otherAxes(x.rank);
  const { hat, r } = standardized(x, axes, epsilonOf(c));
  const centred = () => g.sub(g.mean(axes)).sub(hat.mul(g.mul(hat).mean(axes)));
  return [
    c.wants(0) ? centred().mul(r.mul(perChannel(scale, x.rank))) : undefined,
    c.wants(1) ? g.mul(hat).sum(axes, false) : undefined,
    c.wants(2) ? g.sum(axes, false) : undefined,
  ];
}

/** What flows to x through the statistics themselves, which outputs 1 and 2 are at momentum 0: 1/n and 2(x − mean)/n. */
function throughStatistics(c: GradientContext): Value | undefined {
  const [, mean, variance] = c.grads;
  if (!mean && !variance) return undefined;
  const x = input(c, 0);
  if (c.attributes.float('momentum', 0.9) !== 0) c.fail('has no gradient through its running statistics');
  const axes = otherAxes(x.rank);
  const size = countOf(x, axes);
  const toMean = mean && perChannel(mean.div(size), x.rank).add(x.mul(0));
  const toVariance = variance && x.sub(x.mean(axes)).mul(perChannel(variance.mul(2).div(size), x.rank));
  return toMean && toVariance ? toMean.add(toVariance) : (toMean ?? toVariance);
}

const batchNormalization: GradientRule = c => {
  const [g] = c.grads;
  if (c.attributes.int('training_mode', 0) === 0) return c.differentiate(() => [givenStatistics(c)], [g]);
  const [x, ...rest] = g ? batchStatistics(c, g) : [];
  const added = c.wants(0) ? throughStatistics(c) : undefined;
  return [x && added ? x.add(added) : (x ?? added), ...rest];
};

/** Every run of channels of `groups` normalized by itself. */
function grouped(c: GradientContext, groups: number | undefined): Value {
  const x = input(c, 0);
  const [scale, bias] = [perChannel(input(c, 1), x.rank), perChannel(input(c, 2), x.rank)];
  if (groups === undefined)
    return standardized(x, range(x.rank - 2, 2), epsilonOf(c))
      .hat.mul(scale)
      .add(bias);
  const rows = x.reshapeTo(dimsVector(x, [sizeAt(x, 0), groups, -1]));
  return reshapeLike(standardized(rows, [2], epsilonOf(c)).hat, x)
    .mul(scale)
    .add(bias);
}

/** x/(bias + alpha·mean of x² over `size` channels)^beta; the mean is an AveragePool along channels. */
function localResponse(c: GradientContext): Value {
  const x = input(c, 0);
  const size = c.attributes.int('size', 1);
  const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  const columns = x.mul(x).reshapeTo(dimsVector(x, [sizeAt(x, 0), 1, sizeAt(x, 1), -1]));
  const near = c.b.op('AveragePool', [columns], {
    kernel_shape: [size, 1],
    pads: [before, 0, after, 0],
    count_include_pad: 1,
  });
  const base = reshapeLike(near, x).mul(c.attributes.float('alpha', 1e-4)).add(c.attributes.float('bias', 1));
  return x.mul(base.pow(-c.attributes.float('beta', 0.75)));
}

/** (x − mean)/(deviation + 1e-9). */
function meanVariance(c: GradientContext): Value {
  const x = input(c, 0);
  const axes = c.attributes.ints('axes') ?? [0, 2, 3];
  const shifted = x.sub(x.mean(axes));
  return shifted.div(shifted.mul(shifted).mean(axes).sqrt().add(1e-9));
}

/** x/‖x‖_p. */
function lpNormalization(c: GradientContext): Value {
  const x = input(c, 0);
  const axes = [c.attributes.int('axis', -1)];
  return x.div(c.attributes.int('p', 2) === 1 ? x.abs().sum(axes) : x.mul(x).sum(axes).sqrt());
}

export const CHANNEL_NORMALIZATION = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: decomposed(c => grouped(c, undefined)),
  GroupNormalization: decomposed(c => grouped(c, c.attributes.int('num_groups', 1))),
  LRN: decomposed(localResponse),
  MeanVarianceNormalization: decomposed(meanVariance),
  LpNormalization: decomposed(lpNormalization),
} satisfies Family;
