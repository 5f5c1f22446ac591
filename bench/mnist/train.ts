/**
 * The digits network from random weights: AdamW with a cosine, digits shifted by up to two pixels, batches of 64.
 * A stopped training goes on where it was.
 */
import { join } from 'node:path';
import { nodeFiles } from '../../src/cli/node-files.ts';
import { crop } from '../../src/data/augment.ts';
import type { Examples } from '../../src/data/examples/examples.ts';
import { trainingBatches } from '../../src/data/examples/training.ts';
import type { Model } from '../../src/graph/ir.ts';
import { DIGITS } from '../../src/models/vision/config.ts';
import { convNet } from '../../src/models/vision/model.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { fineTune } from '../../src/train/fine-tune.ts';
import type { ProgressUpdate } from '../../src/train/loop.ts';
import { Random } from '../../src/util/random.ts';

export interface DigitsTraining {
  readonly seed: number;
  readonly epochs: number;
  readonly threads?: number;
  /** Run folder, for checkpoints and metrics. */
  readonly folder: string;
}

const BATCH = 64;

/** The network before training: `fineTune` keeps its inputs and names. */
export const untrained = (seed: number): Model => convNet(DIGITS, new Random(seed).fork('weights'));

export function trainDigits(
  runtime: Runtime,
  train: Examples,
  { seed, epochs, threads, folder }: DigitsTraining,
): Promise<Model> {
  const steps = Math.ceil((epochs * train.count) / BATCH);
  return fineTune(
    runtime,
    untrained(seed),
    {
      data: trainingBatches(train, { batchSize: BATCH, seed, augment: crop(2) }),
      batchSize: BATCH,
      schedule: { kind: 'cosine', rate: 4e-3, finalRate: 0, steps, warmupSteps: 50 },
      optimizer: { kind: 'adamw', weightDecay: 0.01 },
      seed,
      threads,
    },
    { files: nodeFiles(), folder: join(folder, 'run'), progress },
    { stage: 'digits', steps },
  );
}

function progress({ step, steps, metrics }: ProgressUpdate): void {
  if (step % 100 === 0) process.stderr.write(`step ${step}/${steps}  loss ${metrics.loss?.toFixed(4)}\n`);
}
