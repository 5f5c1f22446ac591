/**
 * Channel coupling: which channels of a node's tensors can only be removed together.
 *
 * 1. A place is an axis of an input or output of the node, or a `unit`: an index that no tensor has as an axis, such
 *    as the heads of a fused attention.
 * 2. A coupling says that channel c of `from` stands for these channels of `to`, one for each choice of the r_i:
 *
 *        offset + stride c + Σ_i r_i step_i        0 <= r_i < count_i
 *
 *    so `same` is stride 1, concatenation adds an offset, and axes merged by Reshape ([H,D] -> H*D) are stride D with
 *    repeats D x 1 for H, and stride 1 with repeats H x D for D. Channels of `to` outside `from`'s image are free.
 * 3. A dependency graph joins (value, axis, channel) triples along couplings in both directions; a group of the
 *    closure is removed as one. Where couplings with different `factor` lead to one merged axis they are alternatives:
 *    heads (factor 0) or channels within every head (factor 1). A closure that enters the merged axis by a factor
 *    follows that one; a closure that starts on the merged axis chooses one.
 * 4. Removing whole groups leaves the other channels' values as they were, except along `mixing` axes, where the op
 *    takes statistics over the channels (normalization, softmax, mean).
 * Source: Fang et al., DepGraph: Towards Any Structural Pruning (2023), for the grouping.
 */
import type { Dim, Shape } from '../../graph/ir.ts';
import type { CostContext, None } from '../rule.ts';

export interface Place {
  readonly side: 'input' | 'output' | 'unit';
  readonly index: number;
  /** Counted from the front. */
  readonly axis: number;
}

export interface ChannelMap {
  readonly offset: number;
  readonly stride: number;
  readonly repeats: readonly (readonly [count: number, step: number])[];
}

export interface Coupling {
  readonly from: Place;
  readonly to: Place;
  readonly map: ChannelMap;
  /** Which factor of the merged axis `to` this is, outermost 0; absent where there is no choice. */
  readonly factor?: number;
}

/** What states sizes and must be rewritten when an axis shrinks. */
export type SizeSource = { readonly input: number } | { readonly attribute: string };

/** pass: elementwise; product: has contracted and produced axes; move: channels change place. */
export type CouplingKind = 'pass' | 'product' | 'move';

export interface Couplings {
  readonly kind: CouplingKind;
  readonly couplings: readonly Coupling[];
  /** Axes whose channels enter a statistic: they may shrink, but the remaining outputs change. */
  readonly mixing: readonly Place[];
  /** Axes that must keep their length. */
  readonly fixed: readonly Place[];
  readonly sizes: readonly SizeSource[];
}

/** Sees the node's input and output types; dims that can be pruned are numbers. */
export type PruningContext = CostContext;
export type PruningRule = ((c: PruningContext) => Couplings) | None;

export const inputPlace = (index: number, axis: number): Place => ({ side: 'input', index, axis });
export const outputPlace = (axis: number, index = 0): Place => ({ side: 'output', index, axis });
export const unitPlace = (index = 0): Place => ({ side: 'unit', index, axis: 0 });

export const SAME: ChannelMap = { offset: 0, stride: 1, repeats: [] };
export const shifted = (offset: number, stride = 1): ChannelMap => ({ offset, stride, repeats: [] });
/** Channel c stands for the run c*length .. c*length + length - 1. */
export const runs = (length: number): ChannelMap => ({ offset: 0, stride: length, repeats: [[length, 1]] });

/** Channels of `to` that channel c of `from` stands for, ascending. */
export function imageOf({ offset, stride, repeats }: ChannelMap, c: number): number[] {
  let image = [offset + stride * c];
  for (const [count, step] of repeats) {
    image = image.flatMap(at => Array.from({ length: count }, (_, r) => at + r * step));
  }
  return image.sort((a, b) => a - b);
}

/** The channel of `from` whose image holds channel `c` of `to`, or undefined when there is none below `size`. */
export function sourceOf(map: ChannelMap, c: number, size: number): number | undefined {
  const offsets = imageOf({ ...map, offset: 0, stride: 0 }, 0);
  for (const o of offsets) {
    const source = (c - map.offset - o) / map.stride;
    if (Number.isInteger(source) && source >= 0 && source < size) return source;
  }
  return undefined;
}

/** Couplings with the lists that are not given empty. */
export const couple = (
  kind: CouplingKind,
  couplings: readonly Coupling[],
  more: Partial<Omit<Couplings, 'kind' | 'couplings'>> = {},
): Couplings => ({
  kind,
  couplings,
  mixing: more.mixing ?? [],
  fixed: more.fixed ?? [],
  sizes: more.sizes ?? [],
});

export const same = (from: Place, to: Place): Coupling => ({ from, to, map: SAME });

export const shapeIn = (c: PruningContext, i: number): Shape =>
  c.inputs[i]?.shape ?? c.fail(`coupling needs the shape of input ${i}`);
export const shapeOut = (c: PruningContext, i = 0): Shape =>
  c.outputs[i]?.shape ?? c.fail(`coupling needs the shape of output ${i}`);

/** Axes of input i and output o that elementwise work lines up, from the back; broadcast axes of length 1 are free. */
export function aligned(c: PruningContext, i: number, o = 0): Coupling[] {
  const [from, to] = [shapeIn(c, i), shapeOut(c, o)];
  return alignedPlaces(
    from,
    to,
    axis => inputPlace(i, axis),
    axis => outputPlace(axis, o),
  );
}

export function alignedPlaces(
  from: Shape,
  to: Shape,
  fromPlace: (axis: number) => Place,
  toPlace: (axis: number) => Place,
): Coupling[] {
  return from.flatMap((d, axis) => {
    const other = axis + to.length - from.length;
    return d === 1 && to[other] !== 1 ? [] : [same(fromPlace(axis), toPlace(other))];
  });
}

/** All axes of a shape as places. */
export const allAxes = (shape: Shape, place: (axis: number) => Place): Place[] =>
  shape.map((_, i) => place(i));

/** The number that a dim must be for its channels to be counted. */
export const countOf = (c: PruningContext, dim: Dim | undefined): number =>
  typeof dim === 'number' ? dim : c.fail(`channels of the dim "${dim}" cannot be counted`);
