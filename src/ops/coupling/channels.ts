/**
 * Couplings of channels-first ops: convolutions, pools, normalizations by channel, recurrent cells.
 *
 * 1. With groups the unit is a group, since all groups have one size: its input channels, weight rows and outputs go
 *    together. A depthwise convolution is the case of one channel a group.
 * 2. Spatial axes stay: windows count positions.
 */
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
  unitPlace,
} from './coupling.ts';

const spatial = (rank: number, place: (axis: number) => Place): Place[] =>
  Array.from({ length: Math.max(0, rank - 2) }, (_, i) => place(i + 2));

/** Spatial axes of x, of the weight and of the output. */
const spatialPlaces = (c: PruningContext, weight?: number): Place[] => [
  ...spatial(shapeIn(c, 0).length, axis => inputPlace(0, axis)),
  ...(weight === undefined ? [] : spatial(shapeIn(c, weight).length, axis => inputPlace(weight, axis))),
  ...spatial(shapeOut(c).length, axis => outputPlace(axis)),
];

const batch = same(inputPlace(0, 0), outputPlace(0));

/** Inputs that have one entry a channel and are given so. */
const tables = (c: PruningContext, inputs: readonly number[]): number[] =>
  inputs.filter(i => c.inputs[i]?.shape?.length === 1 && c.inputs[i]?.shape?.[0] !== 1);

const GROUP = unitPlace();
const fromGroup = (to: Place, size: number): Coupling => ({
  from: GROUP,
  to,
  map: size === 1 ? SAME : runs(size),
});

interface Roles {
  readonly weight: number;
  /** Inputs with one entry an output channel: bias, scales, zero points. */
  readonly tables: readonly number[];
  /** Weight axes of input and output channels. */
  readonly ins: 0 | 1;
}

/** A convolution whose weight is [M,C/group,..] (`ins` 1) or [C,M/group,..] (`ins` 0). */
export const convolved =
  ({ weight, tables: along, ins }: Roles): PruningRule =>
  c => {
    const outs = 1 - ins;
    const rows = tables(c, along).map(i => same(inputPlace(i, 0), outputPlace(1)));
    const fixed = spatialPlaces(c, weight);
    if (c.attributes.int('group', 1) > 1) {
      return couple('product', [...groupCouplings(c, weight), batch, ...rows], {
        fixed: [...fixed, inputPlace(weight, 1)],
        sizes: [{ attribute: 'group' }],
      });
    }
    return couple(
      'product',
      [
        same(inputPlace(0, 1), inputPlace(weight, ins)),
        same(inputPlace(weight, outs), outputPlace(1)),
        batch,
        ...rows,
      ],
      { fixed },
    );
  };

function groupCouplings(c: PruningContext, weight: number): Coupling[] {
  const group = c.attributes.int('group', 1);
  const [ins, outs, rows] = [shapeIn(c, 0)[1], shapeOut(c)[1], shapeIn(c, weight)[0]];
  return [
    fromGroup(inputPlace(0, 1), countOf(c, ins) / group),
    fromGroup(outputPlace(1), countOf(c, outs) / group),
    fromGroup(inputPlace(weight, 0), countOf(c, rows) / group),
  ];
}

/** Channels pass, spatial axes stay; `tables` are inputs with one entry a channel. */
export const byChannel =
  (along: readonly number[] = []): PruningRule =>
  c => {
    const rows = tables(c, along).map(i => same(inputPlace(i, 0), inputPlace(0, 1)));
    const outputs = c.outputs.flatMap((_, o) =>
      [0, 1].map(axis => same(inputPlace(0, axis), outputPlace(axis, o))),
    );
    return couple('pass', [...outputs, ...rows], { fixed: spatialPlaces(c) });
  };

/** Every channel is normalized by itself over batch and space. */
export const batchNormalized: PruningRule = c => {
  const training = c.attributes.int('training_mode', 0) !== 0;
  const rows = tables(c, [1, 2, 3, 4]).map(i => same(inputPlace(i, 0), inputPlace(0, 1)));
  const running = c.outputs.slice(1).map((_, i) => same(inputPlace(0, 1), outputPlace(0, i + 1)));
  const others = allAxes(shapeIn(c, 0), axis => inputPlace(0, axis)).filter(p => p.axis !== 1);
  return couple('pass', [...aligned(c, 0), ...rows, ...running], { mixing: training ? others : [] });
};

/** Every channel is normalized by itself over space. */
export const instanceNormalized: PruningRule = c => {
  const rows = tables(c, [1, 2]).map(i => same(inputPlace(i, 0), inputPlace(0, 1)));
  const mixing = spatial(shapeIn(c, 0).length, axis => inputPlace(0, axis));
  return couple('pass', [...aligned(c, 0), ...rows], { mixing });
};

/** Groups of channels are normalized together: the unit is a group. */
export const groupNormalized: PruningRule = c => {
  const size = countOf(c, shapeIn(c, 0)[1]) / c.attributes.int('num_groups', 1);
  const rows = tables(c, [1, 2]).map(i => fromGroup(inputPlace(i, 0), size));
  const mixing = spatial(shapeIn(c, 0).length, axis => inputPlace(0, axis));
  const rest = aligned(c, 0).filter(p => p.from.axis !== 1);
  return couple(
    'pass',
    [fromGroup(inputPlace(0, 1), size), fromGroup(outputPlace(1), size), ...rest, ...rows],
    {
      mixing,
      sizes: [{ attribute: 'num_groups' }],
    },
  );
};

/** Each element sees others along `axes`. */
export const mixedAlong =
  (axes: (c: PruningContext) => readonly number[]): PruningRule =>
  c =>
    couple('pass', aligned(c, 0), { mixing: axes(c).map(axis => inputPlace(0, axis)) });

/** DepthToSpace: output channel d is channels d + k·C (DCR) or d·b² + k (CRD) of the input. */
export const depthMoved: PruningRule = c => {
  const count = c.attributes.int('blocksize', 1) ** 2;
  const depth = countOf(c, shapeOut(c)[1]);
  const map: ChannelMap =
    c.attributes.string('mode', 'DCR') === 'DCR'
      ? { offset: 0, stride: 1, repeats: [[count, depth]] }
      : runs(count);
  return couple('move', [batch, { from: outputPlace(1), to: inputPlace(0, 1), map }], {
    fixed: spatialPlaces(c),
  });
};

/** SpaceToDepth: input channel d is channels d + k·C of the output. */
export const spaceMoved: PruningRule = c => {
  const count = c.attributes.int('blocksize', 1) ** 2;
  const depth = countOf(c, shapeIn(c, 0)[1]);
  const map: ChannelMap = { offset: 0, stride: 1, repeats: [[count, depth]] };
  return couple('move', [batch, { from: inputPlace(0, 1), to: outputPlace(1), map }], {
    fixed: spatialPlaces(c),
  });
};

/** Axes that keep their length pass, others stay. The list at input `sizes` states the lengths of `axes`, or of all. */
export const stretched =
  (sizes: number): PruningRule =>
  c => {
    const [from, to] = [shapeIn(c, 0), shapeOut(c)];
    const named = c.attributes.ints('axes')?.map(a => (a < 0 ? a + from.length : a));
    const passes = (axis: number) => from[axis] === to[axis] && !named?.includes(axis);
    const axes = from.map((_, axis) => axis);
    return couple(
      'move',
      axes.filter(passes).map(axis => same(inputPlace(0, axis), outputPlace(axis))),
      {
        fixed: axes.filter(axis => !passes(axis)).flatMap(axis => [inputPlace(0, axis), outputPlace(axis)]),
        sizes: named ? [] : [{ input: sizes }],
      },
    );
  };

/** Every output is elementwise in input 0. */
export const toEveryOutput: PruningRule = c =>
  couple(
    'pass',
    c.outputs.flatMap((_, o) => aligned(c, 0, o)),
  );

/** Samples and channels pass to the output; positions come from input 1, whose first axis is `rows` of the output. */
export const sampled =
  (rows: 'batch' | 'regions'): PruningRule =>
  c => {
    const channels = same(inputPlace(0, 1), outputPlace(1));
    const fixed = [...spatialPlaces(c), ...allAxes(shapeIn(c, 1), axis => inputPlace(1, axis)).slice(1)];
    if (rows === 'batch')
      return couple('pass', [channels, batch, same(inputPlace(1, 0), batch.to)], { fixed });
    const regions = [1, 2].filter(i => c.inputs[i]).map(i => same(inputPlace(i, 0), outputPlace(0)));
    return couple('pass', [channels, ...regions], { fixed: [...fixed, inputPlace(0, 0)] });
  };

/** Hidden unit h is row h of every gate, column h of R, and channel h of every state. */
export const recurrentCell =
  (gates: number): PruningRule =>
  c => {
    const hidden = countOf(c, shapeIn(c, 2)[2]);
    const time = c.attributes.int('layout', 0) === 0 ? 0 : 1;
    const ofGates = (count: number): ChannelMap => ({ offset: 0, stride: 1, repeats: [[count, hidden]] });
    const unit = (to: Place, map = SAME): Coupling => ({ from: unitPlace(), to, map });
    const optional = (i: number, coupling: Coupling): Coupling[] => (c.inputs[i]?.shape ? [coupling] : []);
    return couple(
      'product',
      [
        unit(inputPlace(2, 2)),
        unit(inputPlace(1, 1), ofGates(gates)),
        unit(inputPlace(2, 1), ofGates(gates)),
        ...optional(3, unit(inputPlace(3, 1), ofGates(2 * gates))),
        ...optional(5, unit(inputPlace(5, 2))),
        ...optional(6, unit(inputPlace(6, 2))),
        ...optional(7, unit(inputPlace(7, 1), ofGates(3))),
        ...c.outputs.map((_, o) => unit(outputPlace(o === 0 ? 3 : 2, o))),
        same(inputPlace(0, 2), inputPlace(1, 2)),
      ],
      {
        fixed: [inputPlace(0, time), inputPlace(1, 0), inputPlace(2, 0)],
        sizes: [{ attribute: 'hidden_size' }],
      },
    );
  };

/** Channels of the weight, state and both outputs of CausalConvWithState are those of x. */
export const causallyConvolved: PruningRule = c => {
  const x = (axis: number) => inputPlace(0, axis);
  const rows = [1, 2].filter(i => c.inputs[i]).map(i => same(x(1), inputPlace(i, 0)));
  const states = c.inputs[3] ? [same(x(0), inputPlace(3, 0)), same(x(1), inputPlace(3, 1))] : [];
  const outputs = c.outputs.flatMap((_, o) => [0, 1].map(axis => same(x(axis), outputPlace(axis, o))));
  return couple('product', [...rows, ...states, ...outputs], { fixed: spatialPlaces(c, 1) });
};
