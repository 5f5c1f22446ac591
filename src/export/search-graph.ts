/**
 * The search over a graph file: the networks of the front as files, with what each costs and gets right.
 *
 *   network-N.onnx   the front, the best first
 *   front.json       what was found
 *
 * 1. What the result is told with are examples of their own where they are given, else those that chose.
 */
import { accuracyOf } from '../compress/evaluate.ts';
import { hypervolume } from '../compress/search/pareto.ts';
import { type BlockSearchOptions, searchBlocks } from '../compress/search/replace.ts';
import { fitted } from '../compress/search/resolution.ts';
import {
  type ModelCost,
  type SearchOptions,
  type SearchResult,
  searchModel,
} from '../compress/search/run.ts';
import { type Examples, labelsOf } from '../data/examples/examples.ts';
import type { LearningNames } from '../data/examples/learning.ts';
import { openExamples } from '../data/examples/open.ts';
import { machineTimes, THIS_MACHINE } from '../devices/latency/this-machine.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import type { Model } from '../graph/ir.ts';
import { encodeModel } from '../graph/protobuf.ts';
import { freeBatch } from '../import/batch.ts';
import { openImported } from '../models/open-graph.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Interval } from '../tasks/statistics.ts';
import type { FileStore } from '../util/files.ts';

export interface SearchGraphOptions
  extends LearningNames,
    Omit<SearchOptions, 'examples' | 'batchSize' | 'bits' | 'estimateMs'>,
    Pick<BlockSearchOptions, 'points' | 'onScore'> {
  readonly data: string;
  /** All sizes trained together, or parts that are scored and chosen exactly. */
  readonly method: 'elastic' | 'blocks';
  /** Default: what the device computes in. */
  readonly bits?: SearchOptions['bits'];
  /** The folder to write to. */
  readonly out: string;
}

/** A network with what it costs and gets right. */
export interface SearchedRow extends ModelCost {
  readonly accuracy: number;
  /** At 95 %, where it was told apart from the search. */
  readonly accuracyInterval?: Interval;
}

export interface FrontRow extends SearchedRow {
  readonly output: string;
  readonly precision: string;
  /** What each axis of the search has in it. */
  readonly choices: readonly {
    readonly kind: string;
    readonly name: string;
    readonly kept?: number;
    readonly of?: number;
  }[];
}

export interface SearchGraphReport {
  readonly device: string;
  /** Whether anything is within the limits. */
  readonly met: boolean;
  readonly baseline: SearchedRow;
  readonly front: readonly FrontRow[];
  /** Share of the box between no error at no cost and all wrong at the whole model's cost that the front covers. */
  readonly hypervolume: number;
  /** How many were judged, and out of how many. */
  readonly judged: number;
  readonly space: number;
}

export interface SearchedGraph {
  readonly report: SearchGraphReport;
  /** What came nearest to the limits. */
  readonly nearest: SearchResult['nearest'];
}

const BATCH = 64;

/** Searches the .onnx or .tflite file at `path` and writes the front. Throws one sentence naming what does not fit together. */
export async function searchGraphFile(
  files: FileStore,
  runtime: Runtime,
  path: string,
  o: SearchGraphOptions,
): Promise<SearchedGraph> {
  const model = freeBatch((await openImported(files, path)).model);
  const inputs = model.graph.inputs.filter(i => !model.graph.initializers.has(i.name));
  const open = (data: string) => openExamples(files, data, inputs, o);
  const examples = await open(o.data);
  const test = o.eval === undefined ? undefined : await open(o.eval);
  if (test) labelsOf(test);
  const search = o.method === 'blocks' ? searchBlocks : searchModel;
  const found = await search(runtime, model, {
    ...o,
    bits: o.bits ?? bitsFor(o.device),
    estimateMs: o.device.id === THIS_MACHINE ? await machineTimes(runtime) : undefined,
    examples,
    batchSize: BATCH,
  });
  const report = {
    device: o.device.id,
    met: found.front.length > 0,
    baseline: {
      ...qualityOf(found.baseline.error, await tell(runtime, model, test)),
      ...costOf(found.baseline),
    },
    front: await written(files, runtime, found, test, o.out),
    hypervolume: coveredBy(found),
    judged: found.judged,
    space: found.space,
  };
  await files.write(`${o.out}/front.json`, `${JSON.stringify(report, undefined, 2)}\n`);
  return { report, nearest: found.nearest };
}

async function written(
  files: FileStore,
  runtime: Runtime,
  found: SearchResult,
  test: Examples | undefined,
  out: string,
): Promise<FrontRow[]> {
  const tests = await Promise.all(found.front.map(f => tell(runtime, f.judged.model, test)));
  const rows: FrontRow[] = [];
  for (const [i, { judged, genome, precision }] of found.front.entries()) {
    const output = `${out}/network-${i + 1}.onnx`;
    await files.write(output, encodeModel(judged.model));
    const choices = choicesOf(found, genome);
    rows.push({ output, ...qualityOf(judged.error, tests[i]), ...costOf(judged), precision, choices });
  }
  return rows;
}

const coveredBy = ({ front, baseline }: SearchResult): number =>
  hypervolume(
    front.map(({ judged }) => [judged.error, (judged.costs[0] as number) / (baseline.costs[0] as number)]),
    [1, 1],
  );

/** Float and integers where the device has both. */
function bitsFor(device: DeviceProfile): (8 | 32)[] {
  const has = (name: string) => device.precisions.value.some(p => p.startsWith(name));
  return [...(has('float') ? [32 as const] : []), ...(has('int8') ? [8 as const] : [])];
}

const tell = async (runtime: Runtime, model: Model, test: Examples | undefined) =>
  test && accuracyOf(runtime, model, fitted(test, model.graph));

/** What was told apart from the search, or what the search chose by. */
const qualityOf = (
  error: number,
  told: Awaited<ReturnType<typeof tell>>,
): Pick<SearchedRow, 'accuracy' | 'accuracyInterval'> =>
  told ? { accuracy: told.accuracy, accuracyInterval: told.interval } : { accuracy: 1 - error };

const costOf = ({ macs, bytes, peakMemoryBytes, estimatedMs }: ModelCost): ModelCost => ({
  macs,
  bytes,
  peakMemoryBytes,
  ...(estimatedMs !== undefined && { estimatedMs }),
});

const choicesOf = ({ axes }: SearchResult, genome: readonly number[]) =>
  axes.map(({ kind, name, choices }, i) => ({ kind, name, kept: choices[genome[i]], of: choices.at(-1) }));
