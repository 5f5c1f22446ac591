/**
 * Gradients of layer and RMS normalization. In formulas x̂ is the normalized input, r the reciprocal deviation,
 * w the weight, and mean the average over the normalized axes.
 *
 * Mean and InvStdDev are reused where the node gives them in x's dtype, else recomputed.
 */
import type { Value } from '../builder.ts';
import type { GradientContext } from '../rule.ts';
import { axisOf, type Gradients, input, range, shaped, sumTo } from './common.ts';
import type { Family } from './family.ts';

interface Normalized {
  readonly hat: Value;
  readonly r: Value;
  readonly axes: readonly number[];
  readonly centred: boolean;
}

const reciprocalDeviation = (variance: Value, epsilon: number): Value =>
  variance.add(epsilon).sqrt().reciprocal();

interface Statistics {
  readonly mean?: Value;
  readonly r?: Value;
}

/** x̂ = (x − mean)·r with r = 1/√(var + ε); RMS normalization leaves the mean out. */
function normalize(x: Value, axis: number, epsilon: number, centred: boolean, given: Statistics): Normalized {
  const from = axisOf(axis, x.rank);
  const axes = range(x.rank - from, from);
  const shifted = centred ? x.sub(given.mean ?? x.mean(axes)) : x;
  const r = given.r ?? reciprocalDeviation(shifted.mul(shifted).mean(axes), epsilon);
  return { hat: shifted.mul(r), r, axes, centred };
}

/** dx = r·(gw − mean(gw) − x̂·mean(gw·x̂)), without the middle term for RMS. */
function inputGradient(g: Value, w: Value | undefined, { hat, r, axes, centred }: Normalized): Value {
  const gw = w ? g.mul(w) : g;
  const rest = gw.sub(hat.mul(gw.mul(hat).mean(axes)));
  return (centred ? rest.sub(gw.mean(axes)) : rest).mul(r);
}

/**
 * Both gradients of RMS normalization over the last axis (D wide) from one product p = g·x: mean(gw·x̂) = r/D · p·w and
 * dw = r·p are products of p with a vector, so dx = r·gw − x·(r³/D · p·w) takes five passes over x in place of nine.
 */
function rmsGradients(
  c: GradientContext,
  g: Value,
  x: Value,
  w: Value,
  { r, width }: { readonly r: Value; readonly width: number },
): { readonly dx: () => Value; readonly dw: () => Value } {
  const p = g.mul(x);
  return {
    dx() {
      const dot = p.matmul(w.reshape([width, 1]));
      const share = dot.mul(
        r
          .mul(r)
          .mul(r)
          .mul(1 / width),
      );
      return g.mul(w).mul(r).sub(x.mul(share));
    },
    dw() {
      const rows = c.b.op('Flatten', [p], { axis: p.rank - 1 });
      return shaped(r.reshape([1, -1]).matmul(rows).reshape([width]), w.shape);
    },
  };
}

/** Which inputs and outputs of an op play which part. */
interface Roles {
  readonly centred: boolean;
  readonly weight: number;
  readonly bias?: number;
  /** Added to input 0 before normalizing. */
  readonly addends?: readonly number[];
  readonly meanOutput?: number;
  readonly rOutput?: number;
  /** The output that is the sum of input 0 and the addends. */
  readonly sumOutput?: number;
}

/** The value that is normalized: input 0 plus the addends. */
function summed(c: GradientContext, roles: Roles): Value {
  const given = roles.sumOutput === undefined ? undefined : c.outputs[roles.sumOutput];
  const addends = (roles.addends ?? []).flatMap(i => c.inputs[i] ?? []);
  return given ?? addends.reduce((a, v) => a.add(v), input(c, 0));
}

function normalizedOf(c: GradientContext, roles: Roles): Normalized {
  const { dtype } = input(c, 0);
  const out = (i: number | undefined) => {
    const v = i === undefined ? undefined : c.outputs[i];
    return v?.dtype === dtype ? v : undefined;
  };
  const given = { mean: out(roles.meanOutput), r: out(roles.rOutput) };
  const epsilon = c.attributes.float('epsilon', roles.addends ? 1e-12 : 1e-5);
  return normalize(summed(c, roles), c.attributes.int('axis', -1), epsilon, roles.centred, given);
}

/** The cheaper form, for a plain RMS normalization of known width whose reciprocal deviation the node gives. */
function lastAxisRms(c: GradientContext, roles: Roles, g: Value) {
  const [x, w, r] = [input(c, 0), c.inputs[roles.weight], c.outputs[roles.rOutput ?? -1]];
  const width = w?.shape[0];
  const last = axisOf(c.attributes.int('axis', -1), x.rank) === x.rank - 1;
  const plain = !roles.centred && !roles.addends && last && w?.rank === 1 && typeof width === 'number';
  if (!plain || !r || r.dtype !== x.dtype) return undefined;
  return rmsGradients(c, g, x, w, { r, width });
}

const add = (a: Value | undefined, b: Value | undefined): Value | undefined => (a && b ? a.add(b) : (a ?? b));

const normalization =
  (roles: Roles) =>
  (c: GradientContext): Gradients => {
    const stray = c.grads.findIndex((v, i) => v && i !== 0 && i !== roles.sumOutput);
    if (stray > 0) c.fail(`has no gradient through output ${stray}; use its output 0 alone, or stopGradient`);
    const [g, gSum] = [c.grads[0], roles.sumOutput === undefined ? undefined : c.grads[roles.sumOutput]];
    const grads: (Value | undefined)[] = [];
    const fast = g && gSum === undefined ? lastAxisRms(c, roles, g) : undefined;
    if (fast) return [c.wants(0) ? fast.dx() : undefined, c.wants(roles.weight) ? fast.dw() : undefined];
    const n = g && normalizedOf(c, roles);
    const [w, bias] = [c.inputs[roles.weight], roles.bias === undefined ? undefined : c.inputs[roles.bias]];
    const sources = [0, ...(roles.addends ?? [])].filter(i => c.inputs[i] && c.wants(i));
    const dx = sources.length ? add(n && inputGradient(g, w, n), gSum) : undefined;
    for (const i of sources) grads[i] = dx && sumTo(dx, input(c, i));
    if (w && n && c.wants(roles.weight)) grads[roles.weight] = sumTo(g.mul(n.hat), w);
    if (bias && g && c.wants(roles.bias as number)) grads[roles.bias as number] = sumTo(g, bias);
    return Array.from(grads);
  };

export const NORMALIZATION = {
  LayerNormalization: normalization({ centred: true, weight: 1, bias: 2, meanOutput: 1, rOutput: 2 }),
  RMSNormalization: normalization({ centred: false, weight: 1 }),
  SimplifiedLayerNormalization: normalization({ centred: false, weight: 1, rOutput: 1 }),
  'com.microsoft.SkipLayerNormalization': normalization({
    centred: true,
    weight: 2,
    bias: 3,
    addends: [1, 4],
    sumOutput: 3,
  }),
  'com.microsoft.SkipSimplifiedLayerNormalization': normalization({
    centred: false,
    weight: 2,
    addends: [1, 3],
    sumOutput: 3,
  }),
} satisfies Family;
