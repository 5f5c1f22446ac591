/**
 * A model, a device and a budget in; the smallest model that still does the job out, with what it was chosen from.
 *
 *   config.json              what was asked; a resumed run must match it
 *   candidates/NAME.json     each candidate's result, written after its model in one piece: its presence means that it is done
 *   candidates/NAME.onnx     its model
 *   front.json, report.html  all candidates, the Pareto front, the choice
 *   model.onnx, model.tflite, model.h   the chosen model in the formats that the device takes
 *
 * 1. A candidate that cannot be made is a result too, with its reason; the others go on.
 * 2. A stop in the middle writes the front of what there is; the same command goes on from there.
 * 3. Milder pruning that loses far more than is allowed ends the row: stronger pruning is not tried.
 */

import { fixedBatch } from '../../data/examples/examples.ts';
import { measuredKinds } from '../../devices/latency/estimate.ts';
import { type GraphTimes, THIS_MACHINE } from '../../devices/latency/this-machine.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import type { Graph, Model } from '../../graph/ir.ts';
import { decodeModel, encodeModel } from '../../graph/protobuf.ts';
import { freeBatch } from '../../import/batch.ts';
import { openBranches } from '../../import/constants.ts';
import { assertKnown, importModel } from '../../import/index.ts';
import { bindDims, type OtherDims } from '../../ops/bind-dims.ts';
import { inferShapes } from '../../ops/infer.ts';
import { Qdq } from '../../ops/qdq.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { ProgressUpdate } from '../../train/loop.ts';
import { crc32c } from '../../util/crc32c.ts';
import { GaslawError, Interrupted, UsageError } from '../../util/errors.ts';
import { type FileStore, readJson } from '../../util/files.ts';
import { predictionsOf } from '../evaluate.ts';
import { dimsOfExamples } from '../prune/statistics.ts';
import {
  type Budget,
  type Choice,
  choose,
  DEFAULT_DROP,
  dropOf,
  frontOf,
  type Judged,
  latencyOf,
  lostText,
  ruleOf,
} from './budget.ts';
import { type Candidate, candidatesFor } from './candidates.ts';
import { type GivenData, type SplitData, splitData } from './data.ts';
import { deviceFiles } from './files.ts';
import { checkDims, type Meter, measure } from './measure.ts';
import { compressionPage } from './report.ts';
import type { CompressionContext } from './step.ts';

export interface CompressOptions {
  readonly runtime: Runtime;
  readonly files: FileStore;
  /** Where everything goes. */
  readonly folder: string;
  readonly device: DeviceProfile;
  readonly data: GivenData;
  readonly budget: Budget;
  readonly seed: number;
  /** Numbers for symbolic dims other than the batch. */
  readonly dims: ReadonlyMap<string, number>;
  /** Times that recovery sees the training data; 0 trains nothing. */
  readonly recoveryEpochs: number;
  /** Shares of the multiply-adds that pruned candidates keep. */
  readonly shares?: readonly number[];
  /** Milliseconds of graphs here, for the device `this-machine`. */
  readonly machine?: GraphTimes;
  /** What the report calls the model and the command that made it. */
  readonly model: string;
  readonly command: string;
  readonly version: string;
  readonly signal?: AbortSignal;
  readonly checkpointSeconds?: number;
  readonly log?: (line: string) => void;
  readonly warn?: (line: string) => void;
  readonly progress?: (update: ProgressUpdate) => void;
}

/** A candidate that was made and measured. */
export interface Done extends Judged {
  readonly title: string;
  readonly from?: string;
  readonly notes: readonly string[];
  readonly seconds: number;
}

/** One that was not. */
export interface Failed {
  readonly name: string;
  readonly title: string;
  readonly error: string;
}

export interface Compressed {
  readonly device: string;
  readonly budget: Budget;
  /** How the choice is made, in words. */
  readonly rule: string;
  readonly data: string;
  readonly done: readonly Done[];
  readonly failed: readonly Failed[];
  /** Names of the Pareto front, the cheapest first. */
  readonly front: readonly string[];
  readonly choice: Choice;
  /** Paths of what was written for the device, the one to deploy first. */
  readonly files: readonly string[];
}

/** Throws a GaslawError when the model cannot be run at all, and `Interrupted` after a stop, with what was done kept. */
export async function compress(model: Model, given: CompressOptions): Promise<Compressed> {
  checkLatency(given);
  const imported = understood(model);
  const options = { ...given, dims: dimsWithData(imported.graph, given) };
  checkDims(imported, options.device, options.dims);
  const original = prepared(imported, given.dims);
  for (const { node, inputs } of openBranches(original.graph))
    given.warn?.(
      `node "${node}" chooses its branch by ${inputs.join(', ')}; with a number for it, as a constant, the branch can be compressed`,
    );
  const { device, budget, data, seed, dims, recoveryEpochs, log = () => {} } = options;
  const split = splitData(original, data, seed, recoveryEpochs > 0, dims);
  await claimFolder(original, split, options);
  const quantized = new Qdq(original.graph).quantized;
  const plan = candidatesFor(device, { shares: options.shares, quantized });
  log(`plan: up to ${plan.length} candidates for ${device.id}: ${plan.map(c => c.name).join(', ')}`);
  log(`rule: ${ruleOf(budget)}`);
  log(`data: ${split.note}`);
  const work = new Work(original, split, options);
  const stopped = await work.run(plan);
  const { done, failed } = work;
  if (done.length === 0) throw stopped ?? new GaslawError(failed[0]?.error ?? 'nothing could be measured');
  const result = await finish(original, work, split, options);
  if (stopped) throw stopped;
  if (!result.choice.met) log(missedText(result));
  log(chosenText(result));
  return result;
}

/** Imported with norms as they are (pruning and recovery need them), and known to be computable. */
function understood(model: Model): Model {
  const { model: imported, report } = importModel(model, { foldNorms: false });
  assertKnown(report);
  return imported;
}

/** The dims that were given, and those that examples have: they say what a run costs, and what a device of fixed shapes gets. */
function dimsWithData(graph: Graph, { dims, data }: CompressOptions): ReadonlyMap<string, number> {
  const { examples } = data;
  const batches = new Set(graph.inputs.map(({ shape }) => shape?.[0]));
  const found = examples ? Object.entries(dimsOfExamples(graph, examples)) : [];
  const other = found.find(([name, n]) => (dims.get(name) ?? n) !== n);
  if (other)
    throw new UsageError(
      `dimension ${other[0]} is to be ${dims.get(other[0])}, but ${examples?.name} has ${other[1]} there; leave it out, or give data of that size`,
      'dims',
    );
  return new Map([...found.filter(([name]) => !batches.has(name)), ...dims]);
}

/** With a free batch. Numbers that were given for dims are in it for good. */
function prepared(imported: Model, dims: ReadonlyMap<string, number>): Model {
  // with numbers for its dims a model may have branches that are known
  const known =
    dims.size > 0 ? importModel(bound(imported, dims, 'none'), { foldNorms: false }).model : imported;
  return ofOneBatch(freeBatch(known));
}

function bound(model: Model, dims: ReadonlyMap<string, number>, others: OtherDims): Model {
  const graph = bindDims(model.graph, dims, others);
  inferShapes(graph);
  return { ...model, graph };
}

/** With a batch of one where inputs have no batch in common: examples go in one at a time then. */
function ofOneBatch(model: Model): Model {
  const { initializers, inputs } = model.graph;
  if (fixedBatch(inputs.filter(i => !initializers.has(i.name))) !== 1) return model;
  return bound(model, new Map(), 'batch');
}

function checkLatency({ budget, device }: CompressOptions): void {
  const known = device.id === THIS_MACHINE || measuredKinds().some(({ kind }) => kind === device.kind);
  if (budget.maxLatencyMs !== undefined && !known)
    throw new UsageError(
      `nobody published measurements of such a device as ${device.id}, so its latency is not known; leave the limit out, or name another device`,
      'maxLatencyMs',
    );
}

/** Writes config.json, or makes sure that the folder holds the same work. */
async function claimFolder(
  model: Model,
  split: SplitData,
  { files, folder, device, seed, recoveryEpochs, shares, dims }: CompressOptions,
): Promise<void> {
  const config = {
    model: crc32c(encodeModel(model)),
    device: device.id,
    data: split.note,
    seed,
    recoveryEpochs,
    shares: shares ?? [],
    dims: [...dims],
  };
  const path = `${folder}/config.json`;
  if (!(await files.exists(path))) return files.write(path, `${JSON.stringify(config, null, 2)}\n`);
  const before = (await readJson(files, path)) as Record<string, unknown>;
  const other = Object.entries(config).find(
    ([key, value]) => JSON.stringify(before[key]) !== JSON.stringify(value),
  );
  if (other)
    throw new UsageError(
      `${folder} holds candidates of another ${other[0] === 'model' ? 'model' : `${other[0]} (${JSON.stringify(before[other[0]])})`}; give another folder`,
      'folder',
    );
}

/** `make`, called when its result is first asked for. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** The candidates of a plan, one after another. */
class Work {
  readonly done: Done[] = [];
  readonly failed: Failed[] = [];
  readonly #original: Model;
  readonly #split: SplitData;
  readonly #options: CompressOptions;
  readonly #meter: Meter;

  constructor(original: Model, split: SplitData, options: CompressOptions) {
    this.#original = original;
    this.#split = split;
    this.#options = options;
    const { runtime, device, dims, machine } = options;
    const { evaluation } = split;
    this.#meter = {
      before: once(async () => evaluation.labels && predictionsOf(runtime, original, evaluation)),
      runtime,
      device,
      dims,
      original,
      evaluation,
      ...(machine && { machine }),
    };
  }

  /** Returns what interrupted it, if anything did. */
  async run(plan: readonly Candidate[]): Promise<Interrupted | undefined> {
    for (const candidate of plan) {
      try {
        if (this.#options.signal?.aborted) throw new Interrupted('stopped; the candidates so far are kept');
        await this.#one(candidate);
      } catch (error) {
        if (error instanceof Interrupted) return error;
        if (!(error instanceof GaslawError) || candidate.step === undefined) throw error;
        await this.#fail(candidate, error.message);
      }
    }
    return undefined;
  }

  async #one(candidate: Candidate): Promise<void> {
    const known = await this.#stored(candidate);
    if (known) return this.#keep(known);
    const parent = this.done.find(d => d.name === candidate.from);
    if (candidate.from !== undefined && !parent)
      throw new GaslawError(`it is made of ${candidate.from}, which there is not`);
    if (parent && !this.#isWanted(candidate, parent))
      return this.#options.log?.(`${candidate.name}: not needed beside what there is`);
    if (parent && this.#isHopeless(parent))
      throw new GaslawError(`${parent.name} already loses far too much`);
    const started = performance.now();
    const { model, notes } = await this.#made(candidate);
    const measured = await measure(this.#meter, model);
    const { files, why } = deviceFiles(model, this.#options.device, this.#options.dims);
    const stored = encodeModel(model);
    const done: Done = {
      name: candidate.name,
      title: candidate.title,
      ...(candidate.from !== undefined && { from: candidate.from }),
      notes,
      ...measured,
      bytes: files[0]?.content.byteLength ?? stored.byteLength,
      formats: files.map(f => f.format),
      ...(why && { whyNotWritten: why }),
      seconds: (performance.now() - started) / 1000,
    };
    await this.#options.files.write(this.#path(candidate, 'onnx'), stored);
    await this.#store(candidate, done);
    this.#keep(done);
  }

  async #made({ name, step, from }: Candidate): Promise<{ model: Model; notes: readonly string[] }> {
    if (!step) return { model: this.#original, notes: [] };
    const {
      files,
      folder,
      runtime,
      device,
      seed,
      dims,
      recoveryEpochs,
      progress,
      warn,
      signal,
      checkpointSeconds,
    } = this.#options;
    const { calibration, training } = this.#split;
    const context: CompressionContext = {
      runtime,
      device,
      original: this.#original,
      calibration,
      ...(training && { training }),
      recoveryEpochs,
      dims,
      seed,
      stage: name,
      run: { files, folder, progress, warn, signal, checkpointSeconds },
    };
    return step(await this.#modelOf(from as string), context);
  }

  async #modelOf(name: string): Promise<Model> {
    if (name === this.done[0]?.name) return this.#original;
    const path = `${this.#options.folder}/candidates/${name}.onnx`;
    const model = decodeModel(await this.#options.files.read(path), { file: path });
    return importModel(model, { foldNorms: false }).model;
  }

  /** Not what is made only where another loses too much, and that one does not, or its parent does too. */
  #isWanted({ ifLost }: Candidate, parent: Done): boolean {
    if (ifLost === undefined) return true;
    const other = this.done.find(d => d.name === ifLost);
    const most = this.#options.budget.maxDropPoints ?? DEFAULT_DROP;
    const losesTooMuch = (d: Done) => dropOf(d, this.done[0]) > most + 1e-9;
    return other !== undefined && losesTooMuch(other) && !losesTooMuch(parent);
  }

  /** Loses so much that making it smaller still is no use. */
  #isHopeless(parent: Done): boolean {
    const [baseline] = this.done;
    const allowed = this.#options.budget.maxDropPoints ?? DEFAULT_DROP;
    return this.done.length > 0 && dropOf(parent, baseline) > Math.max(3 * allowed, allowed + 20);
  }

  #keep(done: Done): void {
    this.done.push(done);
    this.#options.log?.(`${done.name}: ${lineOf(done)}`);
  }

  async #fail({ name, title }: Candidate, error: string): Promise<void> {
    this.failed.push({ name, title, error });
    this.#options.log?.(`${name}: not made: ${error}`);
  }

  #path = (candidate: Candidate, ending: string): string =>
    `${this.#options.folder}/candidates/${candidate.name}.${ending}`;

  #store(candidate: Candidate, done: Done): Promise<void> {
    return this.#options.files.write(this.#path(candidate, 'json'), `${JSON.stringify(done)}\n`);
  }

  async #stored(candidate: Candidate): Promise<Done | undefined> {
    const path = this.#path(candidate, 'json');
    if (!(await this.#options.files.exists(path))) return undefined;
    return (await readJson(this.#options.files, path)) as Done; // written by #store
  }
}

/** Chooses, and writes the front and the files of the choice. */
async function finish(
  original: Model,
  { done, failed }: Work,
  split: SplitData,
  options: CompressOptions,
): Promise<Compressed> {
  const { device, budget, files, folder, dims } = options;
  const choice = choose(done, budget);
  const path = `${folder}/candidates/${choice.chosen.name}.onnx`;
  const chosen = decodeModel(await files.read(path), { file: path });
  const written = deviceFiles(chosen, device, dims).files;
  for (const { name, content } of written) await files.write(`${folder}/${name}`, content);
  const result: Compressed = {
    device: device.id,
    budget,
    rule: ruleOf(budget),
    data: split.note,
    done,
    failed,
    front: frontOf(done).map(c => c.name),
    choice,
    files: written.map(({ name }) => `${folder}/${name}`),
  };
  await files.write(`${folder}/front.json`, `${JSON.stringify(result, null, 2)}\n`);
  const { runtime, model, command, version } = options;
  const { calibration } = split;
  const about = { runtime, device, calibration, original, chosen, model, command, version };
  await files.write(`${folder}/report.html`, await compressionPage(result, about));
  return result;
}

// ---- words ----

const percentText = (share: number): string => `${(100 * share).toFixed(1)} %`;

function lineOf(d: Done): string {
  const time = latencyOf(d);
  const parts = [
    `${percentText(d.quality.value)} ${d.quality.kind}`,
    `${d.bytes} bytes`,
    ...(d.peakMemoryBytes === undefined ? [] : [`${Math.round(d.peakMemoryBytes)} bytes of memory`]),
    ...(time === undefined ? [] : [`${Number(time.toPrecision(3))} ms`]),
    ...(d.deploys ? [] : ['does not deploy']),
  ];
  return parts.join(', ');
}

/** `the budget is not met: nearest is int8: latency 12 ms where 10 are allowed (20 % over)`. */
export const missedText = ({ choice }: Pick<Compressed, 'choice'>): string =>
  `the budget is not met: nearest is ${choice.chosen.name}: ${choice.misses.map(m => m.text).join('; ')}`;

/** `chosen: int8: 0.20 points of accuracy lost [-0.30, 0.80 at 95 %]`. */
export const chosenText = ({ done, choice }: Pick<Compressed, 'done' | 'choice'>): string =>
  `chosen: ${choice.chosen.name}: ${lostText(choice.chosen, done[0])}${choice.unsure ? `; ${choice.unsure}` : ''}`;
