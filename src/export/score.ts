/** Perplexity of an exported graph, run as other programs run it: whole windows with empty caches. */
import type { Model, Tensor } from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { promptFeeds } from './calibration.ts';

/** exp of the mean −log p over windows of `length` predictions side by side, as `scoreText` has them. */
export async function exportedPerplexity(
  runtime: Runtime,
  exported: Model,
  model: CausalModel,
  ids: Int32Array,
  length: number,
): Promise<number> {
  using program = await runtime.compile(exported);
  let nats = 0;
  for (let start = 0; start + 1 < ids.length; start += length) {
    const end = Math.min(start + length, ids.length - 1);
    const feeds = promptFeeds(model, [...ids.subarray(start, end)]);
    const { logits } = await program.call(feeds, ['logits']);
    nats += natsOf(
      (logits as Tensor).data as Float32Array,
      ids.subarray(start + 1, end + 1),
      model.vocabSize,
    );
  }
  return Math.exp(nats / (ids.length - 1));
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
