/**
 * RNN, GRU and LSTM. Gates are ordered as ONNX orders them: GRU z r h, LSTM i o f c.
 *
 * 1. A step works on one sample; rows past a sample's sequence length leave its state alone and put out zeros.
 * 2. The reverse direction walks each sample's own sequence from its end.
 */
import type { Tensor } from '../../../graph/ir.ts';
import { directionOf } from '../../../ops/shape/recurrent.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { range, transposed } from '../layout.ts';
import { sigmoid, softplus } from '../math.ts';
import { doubles, integers, store } from '../tensor.ts';

type Activation = (x: number) => number;

/** Activations by ONNX's names in lower case; alpha and beta where they have some. */
const ACTIVATIONS: Readonly<Record<string, (alpha?: number, beta?: number) => Activation>> = {
  relu: () => x => Math.max(0, x),
  tanh: () => Math.tanh,
  sigmoid: () => sigmoid,
  affine:
    (a = 1, b = 0) =>
    x =>
      a * x + b,
  leakyrelu:
    (a = 0.01) =>
    x =>
      x < 0 ? a * x : x,
  thresholdedrelu:
    (a = 1) =>
    x =>
      x > a ? x : 0,
  scaledtanh:
    (a = 1, b = 1) =>
    x =>
      a * Math.tanh(b * x),
  hardsigmoid:
    (a = 0.2, b = 0.5) =>
    x =>
      Math.min(1, Math.max(0, a * x + b)),
  elu:
    (a = 1) =>
    x =>
      x < 0 ? a * Math.expm1(x) : x,
  softsign: () => x => x / (1 + Math.abs(x)),
  softplus: () => softplus,
};

/** How many alphas and betas each of them consumes. */
const PARAMETERS: Readonly<Record<string, readonly [number, number]>> = {
  affine: [1, 1],
  leakyrelu: [1, 0],
  thresholdedrelu: [1, 0],
  scaledtanh: [1, 1],
  hardsigmoid: [1, 1],
  elu: [1, 0],
};

/** The activations of every direction, `count` each, in the order of the attribute. */
function activationsOf(
  c: KernelContext,
  count: number,
  defaults: readonly string[],
  directions: number,
): Activation[] {
  const names = c.attributes.strings('activations') ?? range(directions).flatMap(() => defaults);
  if (names.length < count * directions)
    c.fail(`${names.length} activations for ${directions} directions of ${count}`);
  const alphas = [...(c.attributes.floats('activation_alpha') ?? [])];
  const betas = [...(c.attributes.floats('activation_beta') ?? [])];
  return names.map(name => {
    const make = ACTIVATIONS[name.toLowerCase()] ?? c.fail(`activation "${name}" is not known`);
    const [takesAlpha, takesBeta] = PARAMETERS[name.toLowerCase()] ?? [0, 0];
    return make(takesAlpha ? alphas.shift() : undefined, takesBeta ? betas.shift() : undefined);
  });
}

/** One direction's weights and what a cell needs to step. */
interface Cell {
  readonly hidden: number;
  readonly w: Float64Array;
  readonly r: Float64Array;
  /** Biases of both products, [gates·H] each. */
  readonly wb: Float64Array;
  readonly rb: Float64Array;
  readonly peepholes: Float64Array;
  readonly f: readonly Activation[];
  readonly clip: (x: number) => number;
  readonly c: KernelContext;
}

/** Next hidden (and cell) state from x [input], h [H] and cell state [H]. */
type Step = (
  cell: Cell,
  x: Float64Array,
  h: Float64Array,
  state: Float64Array,
) => [Float64Array, Float64Array];

/** m · v + bias over rows of v's length, rows `from`… */
function product(
  m: Float64Array,
  v: Float64Array,
  bias: Float64Array,
  from: number,
  rows: number,
): Float64Array {
  return Float64Array.from(range(rows), i => {
    const row = (from + i) * v.length;
    let sum = bias[from + i];
    for (let j = 0; j < v.length; j++) sum += m[row + j] * v[j];
    return sum;
  });
}

/** Gate `g` before its activation: W_g x + Wb_g + R_g h + Rb_g. */
function gate({ w, r, wb, rb, hidden }: Cell, g: number, x: Float64Array, h: Float64Array): Float64Array {
  const mine = product(w, x, wb, g * hidden, hidden);
  const theirs = product(r, h, rb, g * hidden, hidden);
  return mine.map((v, i) => v + theirs[i]);
}

/** H = f(W x + R h + b). */
const rnnStep: Step = (cell, x, h, state) => [gate(cell, 0, x, h).map(v => cell.f[0](cell.clip(v))), state];

/** z, r = f(..); h~ = g(W_h x + r∘(R_h h)) or g(W_h x + R_h (r∘h)); H = (1 − z)∘h~ + z∘h. */
const gruStep: Step = (cell, x, h, state) => {
  const { f, clip, hidden } = cell;
  const z = gate(cell, 0, x, h).map(v => f[0](clip(v)));
  const r = gate(cell, 1, x, h).map(v => f[0](clip(v)));
  const mine = product(cell.w, x, cell.wb, 2 * hidden, hidden);
  const late = cell.c.attributes.int('linear_before_reset', 0) !== 0;
  const theirs = product(cell.r, late ? h : h.map((v, i) => v * r[i]), cell.rb, 2 * hidden, hidden);
  const candidate = mine.map((v, i) => f[1](clip(v + (late ? r[i] * theirs[i] : theirs[i]))));
  return [candidate.map((v, i) => (1 - z[i]) * v + z[i] * h[i]), state];
};

/** i, f, o = f(.. + P∘C); C = f∘C + i∘g(..); H = o∘h(C). */
const lstmStep: Step = (cell, x, h, state) => {
  const { f, clip, hidden, peepholes: p } = cell;
  const [i0, o0, f0, c0] = [0, 1, 2, 3].map(g => gate(cell, g, x, h));
  const coupled = cell.c.attributes.int('input_forget', 0) !== 0;
  const i = i0.map((v, k) => f[0](clip(v + p[k] * state[k])));
  const forget = coupled ? i.map(v => 1 - v) : f0.map((v, k) => f[0](clip(v + p[2 * hidden + k] * state[k])));
  const next = c0.map((v, k) => forget[k] * state[k] + i[k] * f[1](clip(v)));
  const o = o0.map((v, k) => f[0](clip(v + p[hidden + k] * next[k])));
  return [o.map((v, k) => v * f[2](next[k])), next];
};

interface Architecture {
  readonly gates: number;
  readonly activations: readonly string[];
  readonly step: Step;
  /** Whether there is a cell state beside the hidden state. */
  readonly hasCell: boolean;
}

const clipper = (c: KernelContext): ((x: number) => number) => {
  const bound = c.attributes.has('clip') ? c.attributes.float('clip', Infinity) : Infinity;
  return x => Math.min(bound, Math.max(-bound, x));
};

/** The parts of input `i` that belong to direction d; zeros where it is left out. */
function partOf(c: KernelContext, i: number, d: number, size: number): Float64Array {
  const t = c.inputs[i];
  return t ? doubles(t).subarray(d * size, (d + 1) * size) : new Float64Array(size);
}

function cellOf(c: KernelContext, a: Architecture, d: number, f: readonly Activation[]): Cell {
  const [, rows, width] = c.input(1).dims;
  const hidden = rows / a.gates;
  const bias = partOf(c, 3, d, 2 * rows);
  return {
    hidden,
    w: partOf(c, 1, d, rows * width),
    r: partOf(c, 2, d, rows * hidden),
    wb: bias.subarray(0, rows),
    rb: bias.subarray(rows),
    peepholes: a.hasCell ? partOf(c, 7, d, 3 * hidden) : new Float64Array(0),
    f,
    clip: clipper(c),
    c,
  };
}

/** Sizes of one run: steps, samples, input width, hidden size, directions. */
interface Run {
  readonly time: number;
  readonly batch: number;
  readonly width: number;
  readonly hidden: number;
  readonly directions: number;
  readonly lengths: readonly number[];
}

/** Walks one sample in one direction, writing into Y [T,dirs,N,H]; returns the last states. */
function walk(
  run: Run,
  cell: Cell,
  step: Step,
  place: Walk,
  x: Float64Array,
  y: Float64Array,
): [Float64Array, Float64Array] {
  const { batch, width, hidden, directions } = run;
  const steps = range(run.lengths[place.sample]);
  let [h, state] = [place.h, place.state];
  for (const t of place.reverse ? steps.reverse() : steps) {
    const row = (t * batch + place.sample) * width;
    [h, state] = step(cell, x.subarray(row, row + width), h, state);
    y.set(h, ((t * directions + place.direction) * batch + place.sample) * hidden);
  }
  return [h, state];
}

interface Walk {
  readonly sample: number;
  readonly direction: number;
  readonly reverse: boolean;
  readonly h: Float64Array;
  readonly state: Float64Array;
}

function runOf(c: KernelContext, x: Tensor, gates: number, directions: number): Run {
  const [time, batch, width] = x.dims;
  const lengths = c.inputs[4] ? integers(c.inputs[4]) : range(batch).map(() => time);
  return { time, batch, width, hidden: c.input(2).dims[1] / gates, directions, lengths };
}

/** The initial state at input `i` [dirs,N,H] (batch first with layout 1), or zeros. */
function initialState(c: KernelContext, i: number, run: Run, batchFirst: boolean): Float64Array {
  const t = c.inputs[i];
  if (!t) return new Float64Array(run.directions * run.batch * run.hidden);
  return doubles(batchFirst ? transposed(t, [1, 0, 2]) : t);
}

const recurrent =
  (a: Architecture): Kernel =>
  c => {
    const batchFirst = c.attributes.int('layout', 0) !== 0;
    const direction = directionOf(c);
    const x = batchFirst ? transposed(c.input(0), [1, 0, 2]) : c.input(0);
    const run = runOf(c, x, a.gates, direction === 'bidirectional' ? 2 : 1);
    const { time, batch, hidden, directions } = run;
    const y = new Float64Array(time * directions * batch * hidden);
    const states = (a.hasCell ? [5, 6] : [5]).map(i => initialState(c, i, run, batchFirst).slice());
    const f = activationsOf(c, a.activations.length, a.activations, directions);
    for (const d of range(directions)) {
      const cell = cellOf(c, a, d, f.slice(d * a.activations.length));
      for (const sample of range(batch)) {
        const at = (d * batch + sample) * hidden;
        const [h, state] = states.map(s => s.slice(at, at + hidden));
        const place = { sample, direction: d, reverse: direction === 'reverse' || d === 1, h, state };
        const last = walk(run, cell, a.step, place, doubles(x), y);
        states.forEach((s, k) => void s.set(last[k], at));
      }
    }
    return outputs(x, y, states, run, batchFirst);
  };

function outputs(
  x: Tensor,
  y: Float64Array,
  states: readonly Float64Array[],
  run: Run,
  batchFirst: boolean,
): Tensor[] {
  const { time, batch, hidden, directions } = run;
  const all = store(x.dtype, [time, directions, batch, hidden], y);
  const last = states.map(s => store(x.dtype, [directions, batch, hidden], s));
  if (!batchFirst) return [all, ...last];
  return [transposed(all, [2, 0, 1, 3]), ...last.map(s => transposed(s, [1, 0, 2]))];
}

export const RECURRENT = {
  RNN: recurrent({ gates: 1, activations: ['Tanh'], step: rnnStep, hasCell: false }),
  GRU: recurrent({ gates: 3, activations: ['Sigmoid', 'Tanh'], step: gruStep, hasCell: false }),
  LSTM: recurrent({ gates: 4, activations: ['Sigmoid', 'Tanh', 'Tanh'], step: lstmStep, hasCell: true }),
} as const satisfies KernelFamily;
