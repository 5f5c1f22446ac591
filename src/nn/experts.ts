/**
 * Routed experts: SwiGLU networks of which each token sees K.
 *
 * 1. Tokens are sorted by expert, so that each expert multiplies the tokens that came to it and no others; none is dropped.
 *    How many came is known when the graph runs: a Split by counts. Experts without a token multiply empty matrices.
 * 2. Sorting is one scatter of rows each way with indices that occur once, whose gradients are gathers. Gathers would
 *    have scatter-additions for gradients, element by element.
 * 3. `fusedExperts` is ONNX Runtime's MoE op, for inference with fixed weights: FC1 holds gate and up interleaved, which
 *    the runtime folds once when it loads the weights. It has no gradient.
 * 4. All experts' matrices are one tensor where they lie side by side: gate and up of expert 0, of expert 1, …, then all
 *    down matrices.
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
  /** Gate and up [E, 2w, d]. */
  readonly up: Value;
  /** [E, d, w]. */
  readonly down: Value;
}

/** The experts' matrices under `scope` (`mlp.experts`). */
export function expertMatrices(scope: Scope, e: Experts): ExpertMatrices {
  const each = Array.from({ length: e.count }, (_, j) => j);
  const up = each.flatMap(j => [`${j}.gate_proj.weight`, `${j}.up_proj.weight`]);
  const down = each.map(j => `${j}.down_proj.weight`);
  return {
    up: joined(scope, up, e.width, e.hiddenSize, e.init.in).reshape([e.count, 2 * e.width, e.hiddenSize]),
    down: joined(scope, down, e.hiddenSize, e.width, e.init.out).reshape([e.count, e.hiddenSize, e.width]),
  };
}

function joined(scope: Scope, names: readonly string[], rows: number, columns: number, init: Init): Value {
  const all = names.map(() => rows);
  if (canStack(all, columns)) return scope.stacked(names, all, columns, init);
  return scope.builder.concat(
    names.map(name => scope.parameter(name, [rows, columns], init)),
    0,
  );
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
  function each(rows: Value, stacked: Value): Value {
    const [, m, n] = stacked.shape as [number, number, number];
    const parts = b.ops('Split', [rows, counts], { axis: 0 }, count);
    const own = stacked.reshape([count * m, n]).split(Array(count).fill(m), 0);
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

/** The same by ONNX Runtime's kernel; gates of any size come out because their sum is taken out before and put back. */
export function fusedExperts(scope: Scope, e: Experts, x: Value, { chosen, gates }: Routing): Value {
  const b = x.builder;
  const { up, down } = expertMatrices(scope, e);
  const woven = up
    .reshape([e.count, 2, e.width, e.hiddenSize])
    .transpose([0, 2, 1, 3])
    .reshape([e.count, 2 * e.width, e.hiddenSize]);
  const weights = oneHot(chosen, e.count)
    .mul(gates.unsqueeze([2]))
    .sum([1], false);
  const out = b.op('com.microsoft.MoE', [x, weights.add(1e-30).log(), woven, undefined, down], {
    k: e.topK,
    activation_type: 'swiglu',
    activation_alpha: 1,
    activation_beta: 0,
    swiglu_fusion: 1,
    normalize_routing_weights: 1,
  });
  return out.mul(gates.sum([1]));
}
