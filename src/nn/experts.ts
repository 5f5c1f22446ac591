/**
 * Routed experts: SwiGLU networks of which each token sees K.
 *
 * 1. Tokens are sorted by expert, so that each expert multiplies the tokens that came to it and no others; none is dropped.
 *    How many came is known when the graph runs: a Split by counts. Experts without a token multiply empty matrices.
 * 2. Sorting is one scatter of rows each way with indices that occur once, whose gradients are gathers. Gathers would
 *    have scatter-additions for gradients, element by element.
 * 3. Weights that change are one input a layer where they lie side by side (gate and up of expert 0, of expert 1, …; then all
 *    down matrices), split when the graph runs. Fixed weights are a constant an expert, which runtimes prepack and
 *    quantizers find.
 * 4. ONNX Runtime 1.30 has a kernel for all of this, MoE. On CPU it takes as long as computing every expert for every token
 *    (`npm run bench -- experts`), and knows softmax gates alone, so it is not used.
 * Shapes: M tokens, d width, E experts, K chosen ones, N = M·K, w inner width.
 */
import type { Value } from '../ops/builder.ts';
import { project, silu } from './layers.ts';
import { canStack, type Init, type Scope } from './parameters.ts';
import { oneHot, type Routing } from './routing.ts';

export interface Experts {
  readonly count: number;
  readonly topK: number;
  readonly hiddenSize: number;
  readonly width: number;
  readonly init: { readonly in: Init; readonly out: Init };
}

interface ExpertMatrices {
  /** Gate over up of each expert [2w, d]. */
  readonly up: readonly Value[];
  /** [d, w] of each expert. */
  readonly down: readonly Value[];
}

/** The experts' matrices under `scope` (`mlp.experts`). */
export function expertMatrices(scope: Scope, e: Experts): ExpertMatrices {
  const { count, width, hiddenSize, init } = e;
  const each = Array.from({ length: count }, (_, j) => j);
  const up = each.map(j => [`${j}.gate_proj.weight`, `${j}.up_proj.weight`]);
  const down = each.map(j => [`${j}.down_proj.weight`]);
  return {
    up: matricesOf(scope, up, width, hiddenSize, init.in),
    down: matricesOf(scope, down, hiddenSize, width, init.out),
  };
}

/** A matrix for each group of parameters [rows, columns] under each other. */
function matricesOf(
  scope: Scope,
  groups: readonly (readonly string[])[],
  rows: number,
  columns: number,
  init: Init,
): readonly Value[] {
  const names = groups.flat();
  const all = names.map(() => rows);
  const tall = (groups[0]?.length ?? 1) * rows;
  if (scope.trace.fixed && canStack(all, columns)) {
    return groups.map(group =>
      scope.stacked(
        group,
        group.map(() => rows),
        columns,
        init,
      ),
    );
  }
  if (canStack(all, columns)) {
    return scope.stacked(names, all, columns, init).split(Array(groups.length).fill(tall), 0);
  }
  return groups.map(group => {
    const parts = group.map(name => scope.parameter(name, [rows, columns], init));
    return parts.length > 1 ? scope.builder.concat(parts, 0) : (parts[0] as Value);
  });
}

/** Σ_k g_k FFN_{e_k}(x) of x [M, d] → [M, d]. */
export function sortedExperts(scope: Scope, e: Experts, x: Value, routing: Routing): Value {
  const b = x.builder;
  const { count, topK, hiddenSize } = e;
  const { order, place, counts } = sorted(routing.chosen, count);
  const copies = x
    .unsqueeze([1])
    .expandTo(b.ints([1, topK, 1]))
    .reshape([-1, hiddenSize]);
  const matrices = expertMatrices(scope, e);
  const hidden = each(rowsTo(copies, place), matrices.up);
  const [gate, up] = hidden.split([e.width, e.width]) as [Value, Value];
  const out = each(silu(gate).mul(up), matrices.down);
  const back = rowsTo(out, order).reshape([-1, topK, hiddenSize]);
  return back.mul(routing.gates.unsqueeze([2])).sum([1], false);

  /** Rows [N, n], sorted by expert, times each expert's own matrix [m, n] → [N, m]. */
  function each(rows: Value, own: readonly Value[]): Value {
    const parts = b.ops('Split', [rows, counts], { axis: 0 }, count);
    return b.concat(
      parts.map((part, j) => project(part, own[j] as Value)),
      0,
    );
  }
}

interface Sorted {
  /** Which of the N rows stands at each sorted place [N]. */
  readonly order: Value;
  /** The sorted place of each row [N]. */
  readonly place: Value;
  /** Rows of each expert [E], int64. */
  readonly counts: Value;
}

function sorted(chosen: Value, experts: number): Sorted {
  const b = chosen.builder;
  const flat = chosen.reshape([-1]);
  const length = b.op('Shape', [flat], {});
  const order = b
    .ops('TopK', [flat.cast('float32'), length], { axis: 0, largest: 0 }, 2)[1]!
    .reshapeTo(length);
  const index = b.op('Range', [b.scalar(0, 'int64'), length.squeeze([0]), b.scalar(1, 'int64')], {});
  const place = b.op('ScatterElements', [flat, order, index.reshapeTo(length)], { axis: 0 });
  const counts = oneHot(flat, experts).sum([0], false).cast('int64');
  return { order, place, counts };
}

/** Row i of x [N, n] moved to row to[i], `to` a permutation. */
function rowsTo(x: Value, to: Value): Value {
  const empty = x.builder.op('ConstantOfShape', [x.dims()], {});
  return x.builder.op('ScatterND', [empty, to.unsqueeze([1]), x], {});
}
