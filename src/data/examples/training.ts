/** Examples as the batches of a training step: shuffled, augmented, mixed; with labels where they have some. */
import { float32, int32, type Tensor } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import type { Random } from '../../util/random.ts';
import { type Augment, augmentRows, mixup } from '../augment.ts';
import { batched, shuffledEpochs } from '../stream.ts';
import { type Examples, labelsOf } from './examples.ts';

export interface TrainingBatchOptions {
  readonly batchSize: number;
  readonly seed: number;
  /** Batches of one step; their gradients are averaged. */
  readonly batchesPerStep?: number;
  /** Changes the float inputs of each example. */
  readonly augment?: Augment;
  /** α of mixup: labels become distributions over `classes` (float32 [N, classes]). */
  readonly mixup?: { readonly alpha: number; readonly classes: number };
}

type Feeds = Record<string, Tensor>;

/** The batches of step `index`, labels as `labels`: a pure function of the seed and the index, epoch after epoch. */
export function trainingBatches(
  examples: Examples,
  o: TrainingBatchOptions,
): (index: number, random: Random) => Feeds[] {
  if (o.mixup) labelsOf(examples);
  const perStep = o.batchesPerStep ?? 1;
  const source = batched(shuffledEpochs([...Array(examples.count).keys()], o.seed), o.batchSize * perStep);
  return (index, random) => {
    const all = source(index);
    return Array.from({ length: perStep }, (_, k) => {
      const chosen = all.slice(k * o.batchSize, (k + 1) * o.batchSize);
      const stream = random.fork(k);
      const feeds: Feeds = { ...examples.batch(chosen) };
      for (const [name, tensor] of Object.entries(feeds))
        if (o.augment && tensor.dtype === 'float32') feeds[name] = augmentRows(tensor, o.augment, stream);
      const { labels } = examples;
      if (labels)
        feeds.labels = labelled(
          feeds,
          Int32Array.from(chosen, at => labels[at]),
          o,
          stream,
        );
      return feeds;
    });
  };
}

/** Classes, or with mixup distributions over them; the inputs are then mixed in place. */
function labelled(feeds: Feeds, labels: Int32Array, o: TrainingBatchOptions, random: Random): Tensor {
  if (!o.mixup) return int32([labels.length], labels);
  const { alpha, classes } = o.mixup;
  const [inputs, ...others] = Object.values(feeds).filter(t => t.dtype === 'float32');
  if (!inputs || others.length > 0)
    throw new GaslawError(`mixup mixes one float input; the data have ${others.length + (inputs ? 1 : 0)}`);
  const soft = new Float32Array(labels.length * classes);
  labels.forEach((label, i) => {
    soft[i * classes + label] = 1;
  });
  mixup(inputs.data as Float32Array, soft, labels.length, alpha, random.fork('mixup'));
  return float32([labels.length, classes], soft);
}
