/**
 * How well a model predicts a text: mean −log p a token over consecutive windows, perplexity, bits per byte.
 */
import { lower } from '../autodiff/lower.ts';
import { consecutiveWindows } from '../data/windows.ts';
import { float32, int32, modelOf } from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import type { ParameterStore } from '../nn/parameters.ts';
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

/** Scores `ids` in windows of `length`; every token but the first is predicted once. */
export async function scoreText(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  ids: Int32Array,
  options: TextScoreOptions,
): Promise<TextScore> {
  const length = Math.min(options.length ?? model.maxPositions, model.maxPositions);
  const traced = traceLoss(model, c => ({
    loss: c.scores({ exact: true }).logProb.mul(c.token('weights')).sum(undefined, false),
  }));
  traced.b.output(traced.loss, 'sum');
  using program = await runtime.compile(modelOf(lower(traced.b.graph)));
  const weights = Object.fromEntries(traced.trace.values().map(v => [v.name, store.tensor(v.name)]));
  let nats = 0;
  let tokens = 0;
  for (const batch of consecutiveWindows(ids, { rows: options.rows ?? 16, length })) {
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
    nats -= sum[0] as number;
    tokens += batch.tokens;
  }
  const natsPerToken = nats / Math.max(1, tokens);
  return {
    tokens,
    natsPerToken,
    perplexity: Math.exp(natsPerToken),
    bitsPerByte: nats / Math.LN2 / options.bytes,
  };
}
