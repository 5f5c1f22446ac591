/** Couplings of ops that keep every channel in its place: elementwise, normalization, reduction. */
import { axisAttribute, axisOf } from '../shape/common.ts';
import { keepsDims, reducedAxes } from '../shape/reduce.ts';
import {
  aligned,
  allAxes,
  type Coupling,
  type Couplings,
  couple,
  inputPlace,
  outputPlace,
  type PruningContext,
  type PruningRule,
  same,
  shapeIn,
  shapeOut,
} from './coupling.ts';

const present = (c: PruningContext, inputs: readonly number[]): number[] => inputs.filter(i => c.inputs[i]);

const everyInput = (c: PruningContext): number[] =>
  present(
    c,
    c.inputs.map((_, i) => i),
  );

/** Dim i of the output is dim i of every input that does not broadcast there. */
export const pass =
  (inputs?: readonly number[]): PruningRule =>
  c =>
    couple(
      'pass',
      (inputs ? present(c, inputs) : everyInput(c)).flatMap(i => aligned(c, i)),
    );

/** As `pass`; channels of the axes from `axis` on (default -1) enter a statistic. */
export const normalized =
  (from: 'axis' | 'last'): PruningRule =>
  c => {
    const rank = shapeIn(c, 0).length;
    const first = from === 'last' ? rank - 1 : axisAttribute(c, -1, rank);
    const mixing = allAxes(shapeIn(c, 0), axis => inputPlace(0, axis)).filter(p => p.axis >= first);
    return couple('pass', [...everyInput(c).flatMap(i => aligned(c, i)), ...moreOutputs(c)], { mixing });
  };

/** Outputs beyond the first line up with the first. */
function moreOutputs(c: PruningContext): Coupling[] {
  const first = shapeOut(c);
  return c.outputs
    .slice(1)
    .flatMap((type, i) =>
      (type.shape ?? []).flatMap((d, axis) =>
        d === 1 && first[axis] !== 1 ? [] : [same(outputPlace(axis), outputPlace(axis, i + 1))],
      ),
    );
}

export const softmaxed: PruningRule = c => {
  const axis = axisAttribute(c, -1, shapeIn(c, 0).length);
  return couple('pass', aligned(c, 0), { mixing: [inputPlace(0, axis)] });
};

/** Axes that stay, from input to output. */
function keptAxes(c: PruningContext, axes: readonly number[], keep: boolean): Coupling[] {
  let out = 0;
  return shapeIn(c, 0).flatMap((_, axis) => {
    const gone = axes.includes(axis);
    const at = gone && !keep ? -1 : out++;
    return gone ? [] : [same(inputPlace(0, axis), outputPlace(at))];
  });
}

/** Sums lose nothing when a channel that is zero goes; `statistic` marks means and extremes, which do. */
export const reduced =
  (statistic: boolean): PruningRule =>
  c => {
    const axes = reducedAxes(c, shapeIn(c, 0).length);
    if (!axes) return fixedAll(c);
    const places = axes.map(axis => inputPlace(0, axis));
    return couple('product', keptAxes(c, axes, keepsDims(c)), { mixing: statistic ? places : [] });
  };

/** ArgMax, ArgMin: the output holds positions along the axis, which must therefore stay. */
export const positions: PruningRule = c => {
  const axis = axisAttribute(c, 0, shapeIn(c, 0).length);
  return couple('product', keptAxes(c, [axis], keepsDims(c)), { fixed: [inputPlace(0, axis)] });
};

/** Every output like input 0, whose `axis` must stay. */
export const axisStays =
  (defaultAxis: number): PruningRule =>
  c => {
    const axis = axisOf(c, c.attributes.int('axis', defaultAxis), shapeIn(c, 0).length);
    const kept = c.outputs.flatMap((_, o) => aligned(c, 0, o)).filter(p => p.from.axis !== axis);
    return couple('pass', kept, { fixed: [inputPlace(0, axis)] });
  };

/** The last two axes stay: their positions decide what is kept. */
export const triangular: PruningRule = c => {
  const rank = shapeIn(c, 0).length;
  const kept = aligned(c, 0).filter(p => p.from.axis < rank - 2);
  return couple('pass', kept, { fixed: [inputPlace(0, rank - 2), inputPlace(0, rank - 1)] });
};

/** No channel of the inputs matters to the output's dims. */
export const free: PruningRule = () => couple('pass', []);

/** All axes of input 0 must stay. */
export const fixedAll = (c: PruningContext): Couplings =>
  couple('pass', [], { fixed: allAxes(shapeIn(c, 0), axis => inputPlace(0, axis)) });
