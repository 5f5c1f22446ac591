/** Couplings of gathers and scatters: an axis that indices point into must stay, the others pass. */

import type { Dim } from '../../graph/ir.ts';
import { axisAttribute, axisOf } from '../shape/common.ts';
import { sameDim } from '../shape/dims.ts';
import {
  aligned,
  allAxes,
  type ChannelMap,
  type Coupling,
  countOf,
  couple,
  inputPlace,
  outputPlace,
  type Place,
  type PruningContext,
  type PruningRule,
  runs,
  SAME,
  same,
  shapeIn,
  shapeOut,
} from './coupling.ts';

/** Gather(data, indices): the embedding's width is the output's. */
export const gathered: PruningRule = c => {
  const [data, indices] = [shapeIn(c, 0), shapeIn(c, 1)];
  const axis = axisAttribute(c, 0, data.length);
  const moved = (i: number) => (i < axis ? i : i + indices.length - 1);
  const rows = indices.map((_, i) => same(inputPlace(1, i), outputPlace(axis + i)));
  const rest = allAxes(data, i => inputPlace(0, i)).filter(p => p.axis !== axis);
  return couple('move', [...rest.map(p => same(p, outputPlace(moved(p.axis)))), ...rows], {
    fixed: [inputPlace(0, axis)],
  });
};

/** Axes of the listed inputs that pass to the output: those as long as there, but for `axis`. */
function elementwiseBut(c: PruningContext, inputs: readonly number[], axis: number) {
  const out = shapeOut(c);
  const couplings: Coupling[] = [];
  const fixed: Place[] = [];
  for (const i of inputs) {
    shapeIn(c, i).forEach((d, at) => {
      if (at !== axis && sameDim(d, out[at] as Dim)) couplings.push(same(inputPlace(i, at), outputPlace(at)));
      else fixed.push(inputPlace(i, at));
    });
  }
  return { couplings, fixed };
}

const elementwiseRule =
  (inputs: readonly number[], defaultAxis: number): PruningRule =>
  c => {
    const axis = axisOf(c, c.attributes.int('axis', defaultAxis), shapeIn(c, 0).length);
    const { couplings, fixed } = elementwiseBut(c, inputs, axis);
    return couple('move', couplings, { fixed });
  };

export const gatheredElements = elementwiseRule([0, 1], 0);
export const scatteredElements = elementwiseRule([0, 1, 2], 0);
/** TensorScatter(cache, update): positions stay, all else passes. */
export const cacheWritten = elementwiseRule([0, 1], -2);

const depthOf = (c: PruningContext): number => countOf(c, shapeIn(c, 1).at(-1));

/** Axes of data behind those that an index of GatherND or ScatterND names are the last ones of `place`. */
function trailing(
  c: PruningContext,
  named: number,
  rank: number,
  place: (axis: number) => Place,
): Coupling[] {
  const data = shapeIn(c, 0);
  return allAxes(data, i => inputPlace(0, i))
    .filter(p => p.axis >= named)
    .map(p => same(p, place(p.axis - data.length + rank)));
}

const leading = (c: PruningContext, named: number): Place[] =>
  allAxes(shapeIn(c, 0), i => inputPlace(0, i)).filter(p => p.axis < named);

/** Batch axes are the same in data, indices and output; the axes that an index names stay. */
export const gatheredND: PruningRule = c => {
  const batch = c.attributes.int('batch_dims', 0);
  const named = batch + depthOf(c);
  const rows = shapeIn(c, 1)
    .slice(0, -1)
    .map((_, i) => same(inputPlace(1, i), outputPlace(i)));
  const batches = rows.slice(0, batch).map((_, i) => same(inputPlace(0, i), inputPlace(1, i)));
  const rest = trailing(c, named, shapeOut(c).length, axis => outputPlace(axis));
  return couple('move', [...rest, ...rows, ...batches], { fixed: leading(c, named).slice(batch) });
};

export const scatteredND: PruningRule = c => {
  const named = depthOf(c);
  const updates = trailing(c, named, shapeIn(c, 2).length, axis => inputPlace(2, axis));
  const data = trailing(c, named, shapeOut(c).length, axis => outputPlace(axis));
  return couple('move', [...data, ...updates], { fixed: leading(c, named) });
};

/** x passes; scales and zero points have one entry a channel or, block by block, one for a run of channels. */
export const scaled: PruningRule = c => {
  const tables = [1, 2].filter(i => c.inputs[i]?.shape?.length);
  return couple('pass', [...aligned(c, 0), ...tables.flatMap(i => scaleCouplings(c, i))]);
};

function scaleCouplings(c: PruningContext, i: number): Coupling[] {
  const [x, table] = [shapeIn(c, 0), shapeIn(c, i)];
  const axis = axisAttribute(c, 1, x.length);
  if (table.length === 1) return [same(inputPlace(i, 0), inputPlace(0, axis))];
  const map = (at: number): ChannelMap => (at === axis ? runs(c.attributes.int('block_size', 1)) : SAME);
  return table.map((_, at) => ({ from: inputPlace(i, at), to: inputPlace(0, at), map: map(at) }));
}
