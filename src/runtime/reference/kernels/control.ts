/** If, Loop and Scan. Bodies also see the values of the graph around them. */
import type { Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { axisOf, range, reshaped, takeAlong } from '../layout.ts';
import { doubles, emptyElements, indices64, pack, scalar } from '../tensor.ts';
import { concatenated } from './movement.ts';

const branch: Kernel = c => c.body(scalar(c.input(0)) !== 0 ? 'then_branch' : 'else_branch', []);

/** Tensors of one shape joined along a new axis; `axisFor` places it in their rank. */
function stacked(parts: readonly Tensor[], axisFor: (rank: number) => number): Tensor {
  const { dims } = parts[0];
  const axis = axisFor(dims.length + 1);
  const around = (n: number) => [...dims.slice(0, axis), n, ...dims.slice(axis)];
  return concatenated(
    parts.map(t => reshaped(t, around(1))),
    axis,
    around(parts.length),
  );
}

/** What output k of the body, stacked zero times, is: symbolic dims count as 0. */
function nothing(c: KernelContext, k: number): Tensor {
  const { dtype, shape } = c.attributes.graph('body')?.outputs[k] ?? c.fail(`the body has no output ${k}`);
  const dims = (shape ?? []).map(d => (typeof d === 'number' ? d : 0));
  return pack(dtype, [0, ...dims], emptyElements(dtype, 0));
}

const truth = (t: Tensor): boolean => doubles(t)[0] !== 0;
const bool = (value: boolean): Tensor => ({ dtype: 'bool', dims: [], data: Uint8Array.of(value ? 1 : 0) });

/** Runs the body while fewer than M rounds are done and the condition holds. */
const loop: Kernel = c => {
  const most = c.inputs[0] ? scalar(c.inputs[0]) : Infinity;
  let going = c.inputs[1] ? truth(c.inputs[1]) : true;
  let carried = c.inputs.slice(2).map((_, i) => c.input(i + 2));
  const rounds: (readonly Tensor[])[] = [];
  for (let i = 0; i < most && going; i++) {
    const [next, ...made] = c.body('body', [indices64([], [i]), bool(going), ...carried]);
    going = truth(next);
    carried = made.slice(0, carried.length);
    rounds.push(made.slice(carried.length));
  }
  const scanned = range(Math.max(0, c.outputCount - carried.length));
  const first = 1 + carried.length;
  const all = (k: number) =>
    stacked(
      rounds.map(r => r[k]),
      () => 0,
    );
  return [...carried, ...scanned.map(k => (rounds.length === 0 ? nothing(c, first + k) : all(k)))];
};

/** One slice of each scanned input a round, forwards or backwards. */
const scan: Kernel = c => {
  const scanned = c.attributes.int('num_scan_inputs', 1);
  const states = c.inputs.length - scanned;
  const inputs = range(scanned).map(k => slicesOf(c, k, c.input(states + k)));
  let carried = range(states).map(i => c.input(i));
  const rounds: (readonly Tensor[])[] = [];
  for (let i = 0; i < inputs[0].length; i++) {
    const made = c.body('body', [...carried, ...inputs.map(s => s[i])]);
    carried = made.slice(0, states);
    rounds.push(made.slice(states));
  }
  return [...carried, ...range(c.outputCount - states).map(k => joined(c, rounds, k))];
};

function slicesOf(c: KernelContext, k: number, t: Tensor): Tensor[] {
  const axis = axisOf(c, c.attributes.ints('scan_input_axes')?.[k] ?? 0, t.dims.length);
  const dims = t.dims.filter((_, i) => i !== axis);
  const slices = range(t.dims[axis]).map(i => reshaped(takeAlong(t, axis, [i]), dims));
  return c.attributes.ints('scan_input_directions')?.[k] ? slices.reverse() : slices;
}

function joined(c: KernelContext, rounds: readonly (readonly Tensor[])[], k: number): Tensor {
  const parts = rounds.map(r => r[k]);
  if (parts.length === 0) return nothing(c, c.inputs.length - c.attributes.int('num_scan_inputs', 1) + k);
  const axis = c.attributes.ints('scan_output_axes')?.[k] ?? 0;
  const backwards = c.attributes.ints('scan_output_directions')?.[k];
  return stacked(backwards ? parts.reverse() : parts, rank => axisOf(c, axis, rank));
}

export const CONTROL = { If: branch, Loop: loop, Scan: scan } as const satisfies KernelFamily;
