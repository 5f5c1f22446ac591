/**
 * Training of an elastic network: in every step the largest, the smallest and a few sizes between them read the same examples
 * and learn from the model that it was made of (sandwich rule, Yu and Huang 2019).
 */
import { type Examples, labelsOf } from '../../data/examples/examples.ts';
import { type TrainingBatchOptions, trainingBatches } from '../../data/examples/training.ts';
import type { Graph, Model } from '../../graph/ir.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { weightsOf } from '../../train/weights-of.ts';
import { recovery } from '../distil/recovery.ts';
import { needsLabels, type Term } from '../distil/terms.ts';
import type { Elastic, Genome } from './elastic.ts';

export interface SupernetOptions {
  readonly steps: number;
  readonly batchSize: number;
  /** Highest rate of AdamW, reached after a tenth of the steps. */
  readonly rate: number;
  readonly seed: number;
  /** Sizes drawn in each step beside the largest and the smallest. Default 2. */
  readonly between?: number;
  /** Default: the teacher's logits, and labels where there are some. */
  readonly terms?: readonly Term[];
  readonly augment?: TrainingBatchOptions['augment'];
  readonly threads?: number;
  readonly onStep?: (step: number, metrics: Readonly<Record<string, number>>) => void;
}

/** The weights of all sizes together, as a graph with the names of `teacher`'s, which the elastic network was made of. */
export async function trainElastic(
  runtime: Runtime,
  elastic: Elastic,
  teacher: Model,
  examples: Examples,
  o: SupernetOptions,
): Promise<Graph> {
  const usual: readonly Term[] = [
    { kind: 'logits' },
    ...(examples.labels ? [{ kind: 'labels' as const }] : []),
  ];
  const terms = o.terms ?? usual;
  if (needsLabels(terms)) labelsOf(examples);
  const batches = trainingBatches(examples, o);
  using training = await recovery(runtime, elastic.graph, teacher, {
    terms,
    parameters: weightsOf(teacher.graph),
    data: (index, random) => {
      const sizes: Genome[] = [
        elastic.largest,
        elastic.smallest,
        ...Array.from({ length: o.between ?? 2 }, (_, i) => {
          const own = random.fork(`size ${i}`);
          return elastic.space.map(choices => own.int(choices));
        }),
      ];
      return batches(index, random).flatMap(feeds =>
        sizes.map(size => ({ ...feeds, ...elastic.masks(size) })),
      );
    },
    batchSize: o.batchSize,
    schedule: {
      kind: 'cosine',
      rate: o.rate,
      finalRate: o.rate / 100,
      steps: o.steps,
      warmupSteps: o.steps / 10,
    },
    optimizer: { kind: 'adamw', weightDecay: 0 },
    maxGradientNorm: 5,
    seed: o.seed,
    threads: o.threads,
  });
  for (let step = 0; step < o.steps; step++) o.onStep?.(step + 1, await training.step(step));
  return training.trained();
}
