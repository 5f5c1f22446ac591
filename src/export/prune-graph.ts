/**
 * A graph file made smaller: channels, layers or single weights go, what is left may learn from the whole, and both are measured.
 *
 * 1. Without data of its own to measure on, half of the examples are kept from importance, a fifth from recovery.
 */
import { type PruneRecovery, type PruneTask, prune } from '../compress/prune/run.ts';
import { macsOf } from '../compress/prune/structured.ts';
import { type Quality, qualityOf } from '../compress/quality.ts';
import { type LearningNames, openLearningData } from '../data/examples/learning.ts';
import { encodeModelChunks } from '../graph/protobuf.ts';
import { openImported } from '../models/open-graph.ts';
import { inferShapes } from '../ops/infer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { FileStore } from '../util/files.ts';

export interface PruneGraphOptions extends LearningNames {
  readonly task: PruneTask;
  /** How many examples importance is measured on. Default 1000. */
  readonly samples?: number;
  readonly recovery?: Omit<PruneRecovery, 'seed'>;
  /** The .onnx file to write. */
  readonly out: string;
}

export interface PruneGraphReport extends Partial<Quality> {
  readonly output: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Multiply-adds of one example. */
  readonly macsBefore: number;
  readonly macsAfter: number;
  /** What quality is measured on, in words. */
  readonly qualityOn?: string;
  /** What was done to each dimension, layer or weight. */
  readonly done: readonly string[];
}

/** Prunes the .onnx or .tflite file at `path`. Quality is there when data are. Throws one sentence naming what does not fit together. */
export async function pruneGraphFile(
  files: FileStore,
  runtime: Runtime,
  path: string,
  { task, samples = 1000, recovery, out, ...names }: PruneGraphOptions,
): Promise<PruneGraphReport> {
  const { model, bytes } = await openImported(files, path, { foldNorms: false });
  inferShapes(model.graph);
  const wanted = recovery ? Number.POSITIVE_INFINITY : samples;
  const { inputs } = model.graph;
  const { learning, evaluation, evaluated } = await openLearningData(
    files,
    inputs,
    names,
    wanted,
    recovery ? 0.8 : 0.5,
  );
  const pruned = await prune(runtime, model, task, learning, {
    samples,
    ...(recovery && { recovery: { ...recovery, seed: names.seed } }),
  });
  await files.write(out, encodeModelChunks(pruned.model));
  return {
    output: out,
    bytesBefore: bytes,
    bytesAfter: await files.size(out),
    macsBefore: macsOf(model.graph),
    macsAfter: macsOf(pruned.model.graph),
    ...(evaluation && (await qualityOf(runtime, model, pruned.model, evaluation))),
    ...(evaluated && { qualityOn: evaluated }),
    done: pruned.lines,
  };
}
