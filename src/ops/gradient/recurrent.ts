/**
 * Gradients of RNN, GRU and LSTM: the cell is unrolled into plain ops, which are differentiated in turn.
 *
 * 1. The number of steps must be known. Products with W are made for all steps at once, those with R step by step.
 * 2. Samples of unequal length: a step past a sample's end keeps its state and puts out 0. The reverse direction then
 *    starts from a ReverseSequence of the input and ends in one of the output.
 */
import type { Dim } from '../../graph/ir.ts';
import type { Value } from '../builder.ts';
import type { GradientContext } from '../rule.ts';
import { directionOf } from '../shape/recurrent.ts';
import { decomposedAll, dimsVector, filled, input, range, extentOf as sizeAt } from './common.ts';
import type { Family } from './family.ts';

type Activation = (x: Value) => Value;

/** Activations by ONNX's names in lower case, with alpha and beta. */
const ACTIVATIONS: Readonly<Record<string, (alpha?: number, beta?: number) => Activation>> = {
  relu: () => x => x.builder.op('Relu', [x], {}),
  tanh: () => x => x.tanh(),
  sigmoid: () => x => x.sigmoid(),
  affine:
    (a = 1, b = 0) =>
    x =>
      x.mul(a).add(b),
  leakyrelu:
    (alpha = 0.01) =>
    x =>
      x.builder.op('LeakyRelu', [x], { alpha }),
  thresholdedrelu:
    (alpha = 1) =>
    x =>
      x.builder.op('ThresholdedRelu', [x], { alpha }),
  scaledtanh:
    (a = 1, b = 1) =>
    x =>
      x.mul(b).tanh().mul(a),
  hardsigmoid:
    (alpha = 0.2, beta = 0.5) =>
    x =>
      x.builder.op('HardSigmoid', [x], { alpha, beta }),
  elu:
    (alpha = 1) =>
    x =>
      x.builder.op('Elu', [x], { alpha }),
  softsign: () => x => x.builder.op('Softsign', [x], {}),
  softplus: () => x => x.builder.op('Softplus', [x], {}),
};

/** Which activations consume an alpha, and which a beta. */
const TAKES_ALPHA = ['affine', 'leakyrelu', 'thresholdedrelu', 'scaledtanh', 'hardsigmoid', 'elu'];
const TAKES_BETA = ['affine', 'scaledtanh', 'hardsigmoid'];

function activationsOf(c: GradientContext, defaults: readonly string[], directions: number): Activation[] {
  const names = c.attributes.strings('activations') ?? range(directions).flatMap(() => defaults);
  const alphas = [...(c.attributes.floats('activation_alpha') ?? [])];
  const betas = [...(c.attributes.floats('activation_beta') ?? [])];
  return names.map(text => {
    const name = text.toLowerCase();
    const make = ACTIVATIONS[name] ?? c.fail(`activation "${text}" is not known`);
    return make(
      TAKES_ALPHA.includes(name) ? alphas.shift() : undefined,
      TAKES_BETA.includes(name) ? betas.shift() : undefined,
    );
  });
}

/** One direction's parameters. */
interface Cell {
  readonly c: GradientContext;
  readonly hidden: number;
  /** R as [H, gates·H]. */
  readonly r: Value;
  /** Biases of the products with W and R, [gates·H]. */
  readonly rb: Value | undefined;
  readonly peepholes: readonly Value[] | undefined;
  readonly f: readonly Activation[];
  readonly clip: (x: Value) => Value;
}

interface State {
  readonly h: Value;
  readonly cell: Value | undefined;
}

/** Next state from the product with W [N, gates·H], its bias included. */
type Step = (cell: Cell, x: Value, state: State) => State;

/** Parts of [.., gates·H], one a gate. */
const gatesOf = (v: Value, count: number, hidden: number): Value[] =>
  count === 1
    ? [v]
    : v.split(
        range(count).map(() => hidden),
        -1,
      );

const plus = (x: Value, bias: Value | undefined): Value => (bias ? x.add(bias) : x);

const rnnStep: Step = ({ r, rb, f, clip }, x, { h }) => ({
  h: (f[0] as Activation)(clip(plus(x.add(h.matmul(r)), rb))),
  cell: undefined,
});

/** z, r = f(..); h~ = g(..); h = (1 − z)∘h~ + z∘h = h~ + z∘(h − h~). */
const gruStep: Step = ({ c, hidden, r, rb, f, clip }, x, { h }) => {
  const late = c.attributes.int('linear_before_reset', 0) !== 0;
  const [xz, xr, xh] = gatesOf(x, 3, hidden) as [Value, Value, Value];
  const [gateR, candidateR] = [r.slice(1, 0, 2 * hidden), r.slice(1, 2 * hidden, 3 * hidden)];
  const [gateB, candidateB] = [rb?.slice(0, 0, 2 * hidden), rb?.slice(0, 2 * hidden, 3 * hidden)];
  const [hz, hr] = gatesOf(plus(h.matmul(gateR), gateB), 2, hidden) as [Value, Value];
  const [gate, squash] = f as [Activation, Activation];
  const [z, reset] = [gate(clip(xz.add(hz))), gate(clip(xr.add(hr)))];
  const theirs = late
    ? reset.mul(plus(h.matmul(candidateR), candidateB))
    : plus(reset.mul(h).matmul(candidateR), candidateB);
  const candidate = squash(clip(xh.add(theirs)));
  return { h: candidate.add(z.mul(h.sub(candidate))), cell: undefined };
};

/** i, o, f by peepholes; c = f∘c + i∘g(..); h = o∘h(c). */
const lstmStep: Step = ({ c, hidden, r, rb, peepholes, f, clip }, x, { h, cell }) => {
  const sums = gatesOf(plus(x.add(h.matmul(r)), rb), 4, hidden) as [Value, Value, Value, Value];
  const [i0, o0, f0, c0] = sums;
  const before = cell as Value;
  const [gate, squash, put] = f as [Activation, Activation, Activation];
  const peek = (v: Value, k: number, state: Value) =>
    peepholes ? v.add(state.mul(peepholes[k] as Value)) : v;
  const i = gate(clip(peek(i0, 0, before)));
  const coupled = c.attributes.int('input_forget', 0) !== 0;
  const forget = coupled ? i.neg().add(1) : gate(clip(peek(f0, 2, before)));
  const next = forget.mul(before).add(i.mul(squash(clip(c0))));
  const o = gate(clip(peek(o0, 1, next)));
  return { h: o.mul(put(next)), cell: next };
};

interface Architecture {
  readonly gates: number;
  readonly activations: readonly string[];
  readonly step: Step;
  readonly hasCell: boolean;
}

/** Row `d` of a tensor whose first axis counts directions. */
const ofDirection = (v: Value, d: number): Value => v.gather(v.builder.scalar(d, 'int64'), 0);

function clipper(c: GradientContext): (x: Value) => Value {
  if (!c.attributes.has('clip')) return x => x;
  const bound = c.attributes.float('clip', 0);
  return x => c.b.op('Clip', [x, c.b.scalar(-bound, x.dtype), c.b.scalar(bound, x.dtype)], {});
}

/** Products with W for all steps, [T, N, gates·H], and what the steps need. */
function cellOf(
  c: GradientContext,
  a: Architecture,
  x: Value,
  d: number,
  f: readonly Activation[],
): { cell: Cell; xs: Value } {
  const [w, r] = [ofDirection(input(c, 1), d), ofDirection(input(c, 2), d)];
  const hidden = Number(r.shape[1]);
  const bias = c.inputs[3] && ofDirection(c.inputs[3], d);
  const [wb, rb] = bias ? bias.split([a.gates * hidden, a.gates * hidden], 0) : [];
  const p = a.hasCell && c.inputs[7] ? ofDirection(c.inputs[7], d) : undefined;
  const peepholes = p?.split([hidden, hidden, hidden], 0);
  const xs = plus(x.matmul(w.transpose([1, 0])), wb);
  return { xs, cell: { c, hidden, r: r.transpose([1, 0]), rb, peepholes, f, clip: clipper(c) } };
}

/** The initial state at input `i`, or zeros [N, H]. */
function initial(c: GradientContext, i: number, d: number, x: Value, hidden: number): Value {
  const given = c.inputs[i];
  if (!given) return filled(x, dimsVector(x, [sizeAt(x, 1), hidden]));
  return ofDirection(c.attributes.int('layout', 0) ? given.transpose([1, 0, 2]) : given, d);
}

interface Unrolled {
  /** [T, N, H] */
  readonly y: Value;
  readonly state: State;
}

/** Steps 0, 1, … of one direction; a reversed one walks a reversed input. */
function unroll(
  c: GradientContext,
  a: Architecture,
  x: Value,
  d: number,
  reverse: boolean,
  f: readonly Activation[],
): Unrolled {
  const lengths = c.inputs[4];
  const turned = reverse && lengths ? c.b.op('ReverseSequence', [x, lengths], {}) : x;
  const { cell, xs } = cellOf(c, a, turned, d, f);
  const steps = range(stepsOf(c, x));
  let state: State = {
    h: initial(c, 5, d, x, cell.hidden),
    cell: a.hasCell ? initial(c, 6, d, x, cell.hidden) : undefined,
  };
  const outputs: Value[] = [];
  for (const t of reverse && !lengths ? steps.reverse() : steps) {
    const next = a.step(cell, xs.gather(c.b.scalar(t, 'int64'), 0), state);
    const kept = lengths ? within(c, lengths, t, next, state) : { state: next, y: next.h };
    state = kept.state;
    outputs[t] = kept.y.unsqueeze([0]);
  }
  const y = outputs.length === 1 ? (outputs[0] as Value) : c.b.concat(outputs, 0);
  return { y: reverse && lengths ? c.b.op('ReverseSequence', [y, lengths], {}) : y, state };
}

function stepsOf(c: GradientContext, x: Value): number {
  const steps: Dim | undefined = x.shape[0];
  return typeof steps === 'number'
    ? steps
    : c.fail('has no gradient while its number of steps is symbolic; bind it first');
}

/** The new state where sample n is longer than t, else the old one; outputs past the end are 0. */
function within(
  c: GradientContext,
  lengths: Value,
  t: number,
  next: State,
  old: State,
): { state: State; y: Value } {
  const alive = lengths.greater(t).unsqueeze([1]);
  const pick = (a: Value, b: Value) => c.b.where(alive, a, b);
  const cell = next.cell && old.cell ? pick(next.cell, old.cell) : undefined;
  return { state: { h: pick(next.h, old.h), cell }, y: c.b.where(alive, next.h, 0) };
}

const recurrent = (a: Architecture) =>
  decomposedAll(c => {
    const batchFirst = c.attributes.int('layout', 0) !== 0;
    const x = batchFirst ? input(c, 0).transpose([1, 0, 2]) : input(c, 0);
    const direction = directionOf(c);
    const directions = direction === 'bidirectional' ? 2 : 1;
    const f = activationsOf(c, a.activations, directions);
    const count = a.activations.length;
    const runs = range(directions).map(d =>
      unroll(c, a, x, d, direction === 'reverse' || d === 1, f.slice(d * count, (d + 1) * count)),
    );
    const stack = (parts: readonly Value[], axis: number) =>
      c.b.concat(
        parts.map(v => v.unsqueeze([axis])),
        axis,
      );
    const y = stack(
      runs.map(r => r.y),
      batchFirst ? 2 : 1,
    );
    const states = [runs.map(r => r.state.h), runs.flatMap(r => r.state.cell ?? [])];
    return [
      batchFirst ? y.transpose([1, 0, 2, 3]) : y,
      ...states.map(s => (s.length > 0 ? stack(s, batchFirst ? 1 : 0) : undefined)),
    ];
  });

export const RECURRENT = {
  RNN: recurrent({ gates: 1, activations: ['Tanh'], step: rnnStep, hasCell: false }),
  GRU: recurrent({ gates: 3, activations: ['Sigmoid', 'Tanh'], step: gruStep, hasCell: false }),
  LSTM: recurrent({ gates: 4, activations: ['Sigmoid', 'Tanh', 'Tanh'], step: lstmStep, hasCell: true }),
} satisfies Family;
