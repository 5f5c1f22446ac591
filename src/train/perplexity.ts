/**
 * How well a model predicts a text: mean −log p a token over consecutive windows, perplexity, bits per byte.
 */
import { lower } from '../autodiff/lower.ts';
import { windowsOfTexts } from '../data/windows.ts';
import { float32, type Graph, int32, type Tensor, type ValueInfo } from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import { modelFor } from '../ops/opset.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { traceLoss } from './learner.ts';

export interface TextScore {
  /** Tokens predicted. */
  readonly tokens: number;
  readonly natsPerToken: number;
  readonly perplexity: number;
  readonly bitsPerByte: number;
}

export interface TextScoreOptions {
  /** Context length; the model's longest when absent. */
  readonly length?: number;
  /** Rows scored together. */
  readonly rows?: number;
  /** UTF-8 bytes that the predicted tokens stand for. */
  readonly bytes: number;
}

/**
 * Where weights come from: a store, whose values are inputs, or what turns the weight inputs of a graph into constants of
 * its own (packed ones).
 */
export type ScoredWeights =
  | ParameterStore
  | ((graph: Graph, weights: readonly ValueInfo[]) => Promise<unknown>);

/** Sums −log p of every token of `texts` but their first, in windows of `length`. */
export type TextScorer = (
  runtime: Runtime,
  texts: readonly Int32Array[],
  length: number,
) => Promise<{ readonly nats: number; readonly tokens: number }>;

/** Scores `ids` in windows of `length`; every token but the first is predicted once. */
export async function scoreText(
  runtime: Runtime,
  model: CausalModel,
  from: ScoredWeights,
  ids: Int32Array,
  options: TextScoreOptions,
): Promise<TextScore> {
  const length = Math.min(options.length ?? model.maxPositions, model.maxPositions);
  const { nats, tokens } = await weightsScorer(model, from, options.rows)(runtime, [ids], length);
  return textScore(nats, tokens, options.bytes);
}

export function textScore(nats: number, tokens: number, bytes: number): TextScore {
  const natsPerToken = nats / Math.max(1, tokens);
  return {
    tokens,
    natsPerToken,
    perplexity: Math.exp(natsPerToken),
    bitsPerByte: nats / Math.LN2 / bytes,
  };
}

/** Scores with the training form of a model, `rows` windows at once. */
export const weightsScorer =
  (model: CausalModel, from: ScoredWeights, rows = 16): TextScorer =>
  async (runtime, texts, length) => {
    let [nats, tokens] = [0, 0];
    for await (const batch of scoredBatches(runtime, model, from, texts, { rows, length })) {
      nats += batch.nats;
      tokens += batch.tokens;
    }
    return { nats, tokens };
  };

/** The same batch by batch, for differences that need an error of their own. */
export async function* scoredBatches(
  runtime: Runtime,
  model: CausalModel,
  from: ScoredWeights,
  texts: readonly Int32Array[],
  { rows, length }: { readonly rows: number; readonly length: number },
): AsyncGenerator<{ readonly nats: number; readonly tokens: number }> {
  const { graph, weights } = await scoringGraph(model, from);
  using program = await runtime.compile(modelFor(lower(graph)));
  for (const batch of windowsOfTexts(texts, { rows, length })) {
    const dims = [batch.rows, batch.length];
    const sum = new Float32Array(1);
    using binding = program.bind({
      ids: int32(dims, batch.ids),
      positions: int32(dims, batch.positions),
      targets: int32(dims, batch.targets),
      weights: float32(dims, batch.weights),
      sum: float32([], sum),
      ...weights,
    });
    await binding.run();
    yield { nats: -(sum[0] as number), tokens: batch.tokens };
  }
}

/** The graph of a batch's summed log-probability, and what its weight inputs are bound to. */
async function scoringGraph(
  model: CausalModel,
  from: ScoredWeights,
): Promise<{ graph: Graph; weights: Record<string, Tensor> }> {
  const { b, trace, loss } = traceLoss(model, c => ({
    loss: c.scores({ exact: true }).logProb.mul(c.token('weights')).sum(undefined, false),
  }));
  b.output(loss, 'sum');
  const names = trace.values().map(v => v.name);
  if (typeof from !== 'function')
    return { graph: b.graph, weights: Object.fromEntries(names.map(n => [n, from.tensor(n)])) };
  await from(
    b.graph,
    b.graph.inputs.filter(({ name }) => names.includes(name)),
  );
  return { graph: b.graph, weights: {} };
}
