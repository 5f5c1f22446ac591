/** Perplexity of an exported graph, run as other programs run it: whole windows with empty caches. */
import type { Model, Tensor } from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { TextScorer } from '../train/perplexity.ts';
import { promptFeeds } from './calibration.ts';

/** Scores with an exported graph, window by window. */
export const exportedScorer =
  (exported: Model, model: CausalModel): TextScorer =>
  async (runtime, texts, length) => {
    using program = await runtime.compile(exported);
    let [nats, tokens] = [0, 0];
    for (const ids of texts)
      for (let start = 0; start + 1 < ids.length; start += length) {
        const targets = ids.subarray(start + 1, Math.min(start + length, ids.length - 1) + 1);
        const feeds = promptFeeds(model, [...ids.subarray(start, start + targets.length)]);
        const { logits } = await program.call(feeds, ['logits']);
        nats += natsOf((logits as Tensor).data as Float32Array, targets, model.vocabSize);
        tokens += targets.length;
      }
    return { nats, tokens };
  };

/** exp of the mean −log p over windows of `length` predictions side by side, as `scoreText` has them. */
export async function exportedPerplexity(
  runtime: Runtime,
  exported: Model,
  model: CausalModel,
  ids: Int32Array,
  length: number,
): Promise<number> {
  const { nats, tokens } = await exportedScorer(exported, model)(runtime, [ids], length);
  return Math.exp(nats / tokens);
}

/** −Σ log softmax(row)[target] over rows of logits. */
function natsOf(logits: Float32Array, targets: Int32Array, vocabSize: number): number {
  let sum = 0;
  targets.forEach((target, i) => {
    const row = logits.subarray(i * vocabSize, (i + 1) * vocabSize);
    let top = Number.NEGATIVE_INFINITY;
    for (const v of row) if (v > top) top = v;
    let total = 0;
    for (const v of row) total += Math.exp(v - top);
    sum += top + Math.log(total) - (row[target] as number);
  });
  return sum;
}
