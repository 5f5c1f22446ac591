/** Labelled examples as the batches of a fine-tuning step: shuffled, augmented, mixed. */
import { float32, int32, sizeOf, type Tensor } from '../graph/ir.ts';
import { GaslawError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';
import { type Augment, mixup } from './augment.ts';
import { batched, shuffledEpochs } from './stream.ts';

export interface Examples {
  /** Of one example, without the batch. */
  readonly dims: readonly number[];
  /** One after another: [count, …dims]. */
  readonly values: Float32Array;
  /** Class of each. */
  readonly labels: ArrayLike<number>;
}

export interface ExampleBatchOptions {
  readonly batchSize: number;
  readonly seed: number;
  /** Names of the inputs. */
  readonly input: string;
  readonly labels?: string;
  /** Batches of one step; their gradients are averaged. */
  readonly batchesPerStep?: number;
  readonly augment?: Augment;
  /** α of mixup: labels become distributions over `classes` (float32 [N, classes]). */
  readonly mixup?: { readonly alpha: number; readonly classes: number };
}

/** The batches of step `index`: a pure function of the seed and the index, epoch after epoch. */
export function exampleBatches(
  { dims, values, labels }: Examples,
  o: ExampleBatchOptions,
): (index: number, random: Random) => Record<string, Tensor>[] {
  const size = sizeOf(dims);
  if (values.length !== size * labels.length)
    throw new GaslawError(
      `data: ${labels.length} labels do not fit ${values.length} values of examples [${dims}]`,
    );
  const perStep = o.batchesPerStep ?? 1;
  const source = batched(shuffledEpochs([...Array(labels.length).keys()], o.seed), o.batchSize * perStep);
  const row = (at: number, random: Random): Float32Array => {
    const plain = values.subarray(at * size, (at + 1) * size);
    return o.augment ? o.augment(plain, dims, random) : plain;
  };
  return (index, random) => {
    const all = source(index);
    return Array.from({ length: perStep }, (_, k) => {
      const chosen = all.slice(k * o.batchSize, (k + 1) * o.batchSize);
      const stream = random.fork(k);
      const rows = new Float32Array(chosen.length * size);
      chosen.forEach((at, i) => void rows.set(row(at, stream.fork(i)), i * size));
      const classes = chosen.map(at => labels[at] as number);
      return {
        [o.labels ?? 'labels']: labelled(rows, classes, o, stream.fork('mixup')),
        [o.input]: float32([chosen.length, ...dims], rows),
      };
    });
  };
}

function labelled(
  rows: Float32Array,
  classes: readonly number[],
  o: ExampleBatchOptions,
  random: Random,
): Tensor {
  if (!o.mixup) return int32([classes.length], [...classes]);
  const { alpha, classes: count } = o.mixup;
  const soft = new Float32Array(classes.length * count);
  classes.forEach((label, i) => {
    soft[i * count + label] = 1;
  });
  mixup(rows, soft, classes.length, alpha, random);
  return float32([classes.length, count], soft);
}
