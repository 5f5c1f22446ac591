/**
 * Gradient checking: derivatives from the graph against central differences in float64.
 *
 * 1. Outputs are weighted by fixed random numbers and summed, so that one scalar tests the whole Jacobian.
 * 2. The step is 1e-5·max(1, |x|): truncation (h²) and rounding (1e-16/h) are then both near 1e-10.
 * 3. This folder may not import a runtime: the caller says how a graph is evaluated.
 */
import type { Graph, Tensor } from '../graph/ir.ts';
import { cloneGraph } from '../graph/walk.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { GaslawError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { type GradientOptions, gradients } from './gradients.ts';
import { lower } from './lower.ts';

export type Feeds = Readonly<Record<string, Tensor>>;
export type Evaluate = (graph: Graph, feeds: Feeds) => Feeds | Promise<Feeds>;

export interface GradientCheckOptions extends Omit<GradientOptions, 'seeds'> {
  /** Graph outputs that take part; all when absent. */
  readonly outputs?: readonly string[];
  readonly seed?: number;
}

/** The worst element of one input. */
export interface GradientCheck {
  readonly input: string;
  /** |derivative − difference| / max(1, |derivative|, |difference|). */
  readonly error: number;
  readonly index: number;
  readonly derivative: number;
  readonly difference: number;
}

/**
 * Compares the gradients of the graph inputs `wrt` (float64) with finite differences at `feeds`.
 * The graph is not changed. Returns the worst element of each input.
 */
export async function checkGradients(
  graph: Graph,
  wrt: readonly string[],
  feeds: Feeds,
  evaluate: Evaluate,
  options: GradientCheckOptions = {},
): Promise<GradientCheck[]> {
  const { loss, backward } = await withLoss(graph, wrt, feeds, evaluate, options);
  const derivatives = await evaluate(backward, feeds);
  const lossAt = async (at: Feeds) => Number((await evaluate(loss, at))['check:loss'].data[0]);
  const checks: GradientCheck[] = [];
  for (const name of wrt) {
    checks.push(await worstElement(name, derivatives[`check:${name}`] as Tensor, feeds, lossAt));
  }
  return checks;
}

/** Two graphs: one with the scalar output `check:loss`, one with outputs `check:` + input. */
async function withLoss(
  graph: Graph,
  wrt: readonly string[],
  feeds: Feeds,
  evaluate: Evaluate,
  options: GradientCheckOptions,
): Promise<{ loss: Graph; backward: Graph }> {
  const values = await evaluate(graph, feeds);
  const random = new Random(options.seed ?? 1);
  const b = new Builder(cloneGraph(graph));
  const names = options.outputs ?? graph.outputs.map(o => o.name);
  const loss = names
    .map(name => weighted(b.value(name), values[name] as Tensor, random))
    .reduce((s, v) => s.add(v));
  b.graph.outputs = [];
  const scalar = b.output(loss, 'check:loss');
  const forward = lower(b.graph);
  b.graph.outputs = [];
  const inputs = wrt.map(name => b.value(name));
  gradients(b, scalar, inputs, options).forEach((g, i) => void b.output(g, `check:${wrt[i]}`));
  return { loss: forward, backward: lower(b.graph) };
}

/** Σ w·y with w uniform in [−1, 1), as a scalar. */
function weighted(y: Value, value: Tensor, random: Random): Value {
  if (y.dtype !== 'float64')
    throw new GaslawError(`output "${y.name}" is ${y.dtype}; gradients are checked in float64`);
  const weights = Float64Array.from(value.data as Float64Array, () => 2 * random.uniform() - 1);
  return y
    .mul(y.builder.constant({ dtype: 'float64', dims: value.dims, data: weights }))
    .sum(undefined, false);
}

async function worstElement(
  input: string,
  derivative: Tensor,
  feeds: Feeds,
  lossAt: (feeds: Feeds) => Promise<number>,
): Promise<GradientCheck> {
  let worst: GradientCheck = { input, error: 0, index: -1, derivative: 0, difference: 0 };
  const tensor = feeds[input] as Tensor;
  const count = (tensor.data as Float64Array).length;
  if (derivative.dims.join() !== tensor.dims.join()) {
    throw new GaslawError(`the gradient of "${input}" is [${derivative.dims}], the input [${tensor.dims}]`);
  }
  for (let index = 0; index < count; index++) {
    const difference = await centralDifference(input, index, feeds, lossAt);
    const d = Number(derivative.data[index]);
    const error = Math.abs(d - difference) / Math.max(1, Math.abs(d), Math.abs(difference));
    if (!(error <= worst.error)) worst = { input, error, index, derivative: d, difference };
  }
  return worst;
}

/** (f(x + h) − f(x − h)) / 2h in one element. */
async function centralDifference(
  input: string,
  index: number,
  feeds: Feeds,
  lossAt: (feeds: Feeds) => Promise<number>,
): Promise<number> {
  const tensor = feeds[input] as Tensor;
  const at = Number(tensor.data[index]);
  const h = 1e-5 * Math.max(1, Math.abs(at));
  const moved = (x: number): Feeds => {
    const data = (tensor.data as Float64Array).slice();
    data[index] = x;
    return { ...feeds, [input]: { ...tensor, data } };
  };
  return ((await lossAt(moved(at + h))) - (await lossAt(moved(at - h)))) / (2 * h);
}
