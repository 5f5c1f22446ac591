/**
 * The training loop that every stage runs in: steps, metrics, progress, alarms, checkpoints, exact resume.
 *
 * 1. A step is a pure function of (parameters, optimizer state, stage state, step index): everything random is forked
 *    from the seed and the index. So it does not matter when a checkpoint was taken.
 * 2. Metrics lines of a step are written before the checkpoint that follows it, and rewound on resume.
 * 3. The last step is followed by a checkpoint too: a stage that trains twice, or is killed while it is evaluated, does
 *    not train again.
 */
import type { ParameterStore } from '../nn/parameters.ts';
import { Interrupted } from '../util/errors.ts';
import type { FileStore } from '../util/files.ts';
import { Alarms } from './alarms.ts';
import {
  checkpointPath,
  type Json,
  loadCheckpoint,
  restoreCheckpoint,
  saveCheckpoint,
} from './checkpoint.ts';
import { appendMetrics, type MetricsLine, rewindMetrics } from './metrics.ts';

/** What a stage gives the loop. */
export interface Trainable {
  readonly store: ParameterStore;
  /** Flat arrays that the next step depends on besides the parameters, by name. */
  readonly arrays: Readonly<Record<string, Float32Array>>;
  /** The rest of its state as JSON. */
  state(): Json;
  restore(state: Json): void;
  /** One step; returns its metrics. `tokens` counts tokens trained on, `flops` the model FLOPs spent on
   * them, `sampling_flops` those spent on sampling. */
  step(index: number): Promise<Record<string, number>>;
}

export interface ProgressUpdate {
  readonly stage: string;
  /** Steps done and to do. */
  readonly step: number;
  readonly steps: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Absent where examples have no tokens. */
  readonly tokensPerSecond?: number;
  readonly etaSeconds: number;
  /** Share of the machine's own matrix-product rate that the stage's model FLOPs reach; absent when not measured. */
  readonly matmulShare?: number;
}

/** Where a run writes, and who it tells. */
export interface RunContext {
  readonly files: FileStore;
  readonly folder: string;
  readonly progress?: (update: ProgressUpdate) => void;
  readonly warn?: (message: string) => void;
  /** The machine's f32 matrix-product rate in FLOP/s, to relate speed to. */
  readonly matmulRate?: number;
  /** Seconds between checkpoints; 0 makes one after every step. */
  readonly checkpointSeconds?: number;
  /** When aborted, the loop ends after the step it is in, saves a checkpoint and throws `Interrupted`. */
  readonly signal?: AbortSignal;
}

export interface LoopOptions {
  readonly stage: string;
  readonly steps: number;
  /** Ends the loop after the step in which training and sampling together have cost this many model FLOPs. */
  readonly maxFlops?: number;
  /** Called after every `every` steps: evaluations whose metrics join the step's line. */
  readonly evaluate?: { readonly every: number; run(step: number): Promise<Record<string, number>> };
}

/** What a stage has cost so far. */
export interface Totals {
  readonly steps: number;
  readonly tokens: number;
  readonly trainingFlops: number;
  readonly samplingFlops: number;
}

/** Runs the stage's remaining steps. Returns what the stage cost, including the steps before a resume. */
export async function trainLoop(
  context: RunContext,
  trainable: Trainable,
  options: LoopOptions,
): Promise<Totals> {
  const { stage, steps, maxFlops = Number.POSITIVE_INFINITY } = options;
  const path = checkpointPath(context.folder, stage);
  let totals = await resume(context, trainable, path, stage);
  const start = totals.steps;
  const alarms = new Alarms();
  const clock = new Clock(start, steps, context.matmulRate);
  const interval = (context.checkpointSeconds ?? 30) * 1000;
  let saved = performance.now();
  const spent = () => totals.trainingFlops + totals.samplingFlops;
  for (let index = start; index < steps && spent() < maxFlops; index++) {
    stopIfAsked(context);
    let metrics = await trainable.step(index);
    totals = addCost(totals, metrics);
    for (const message of alarms.check(stage, index, metrics)) context.warn?.(message);
    if (options.evaluate && (index + 1) % options.evaluate.every === 0) {
      metrics = { ...metrics, ...(await options.evaluate.run(index + 1)) };
    }
    const speed = clock.tick(index + 1, metrics);
    await appendMetrics(context.files, context.folder, [line(stage, index, metrics, speed)]);
    context.progress?.({ stage, step: index + 1, steps, metrics, ...speed });
    if (context.signal?.aborted || performance.now() - saved >= interval) {
      await save(context, trainable, path, totals);
      saved = performance.now();
    }
  }
  if (totals.steps > start) await save(context, trainable, path, totals);
  stopIfAsked(context);
  return totals;
}

function stopIfAsked({ signal }: RunContext): void {
  if (signal?.aborted) throw new Interrupted('stopped; what was done is saved');
}

const NOTHING: Totals = { steps: 0, tokens: 0, trainingFlops: 0, samplingFlops: 0 };

const addCost = (t: Totals, metrics: Readonly<Record<string, number>>): Totals => ({
  steps: t.steps + 1,
  tokens: t.tokens + (metrics.tokens ?? 0),
  trainingFlops: t.trainingFlops + (metrics.flops ?? 0),
  samplingFlops: t.samplingFlops + (metrics.sampling_flops ?? 0),
});

async function resume(context: RunContext, t: Trainable, path: string, stage: string): Promise<Totals> {
  const checkpoint = await loadCheckpoint(context.files, path);
  await rewindMetrics(context.files, context.folder, stage, checkpoint?.step ?? 0);
  if (!checkpoint) return NOTHING;
  const { totals, own } = checkpoint.state as unknown as { totals: Totals; own: Json };
  restoreCheckpoint(checkpoint, path, t.store, t.arrays);
  t.restore(own);
  return totals;
}

const save = (context: RunContext, t: Trainable, path: string, totals: Totals): Promise<void> =>
  saveCheckpoint(
    context.files,
    path,
    totals.steps,
    { totals: { ...totals }, own: t.state() },
    t.store,
    t.arrays,
  );

interface Speed {
  /** Absent where examples have no tokens. */
  readonly tokensPerSecond?: number;
  readonly etaSeconds: number;
  readonly matmulShare?: number;
}

function line(stage: string, step: number, metrics: Record<string, number>, speed: Speed): MetricsLine {
  const { etaSeconds: _, ...kept } = speed;
  return { stage, step, time: Date.now() / 1000, ...metrics, ...kept };
}

/** Tokens a second over the last steps, and the time left. */
class Clock {
  readonly #steps: number;
  readonly #rate: number | undefined;
  readonly #window: { at: number; step: number; tokens: number; flops: number }[];
  #tokens = 0;
  #flops = 0;

  constructor(step: number, steps: number, rate: number | undefined) {
    this.#steps = steps;
    this.#rate = rate;
    this.#window = [{ at: performance.now(), step, tokens: 0, flops: 0 }];
  }

  tick(step: number, metrics: Readonly<Record<string, number>>): Speed {
    this.#tokens += metrics.tokens ?? 0;
    this.#flops += metrics.flops ?? 0;
    const now = { at: performance.now(), step, tokens: this.#tokens, flops: this.#flops };
    this.#window.push(now);
    if (this.#window.length > 20) this.#window.shift();
    const first = this.#window[0] as typeof now;
    const seconds = Math.max(1e-9, (now.at - first.at) / 1000);
    const matmulShare =
      this.#rate && now.flops > 0 ? (now.flops - first.flops) / seconds / this.#rate : undefined;
    return {
      tokensPerSecond: (now.tokens - first.tokens) / seconds,
      etaSeconds: ((this.#steps - step) * seconds) / Math.max(1, step - first.step),
      ...(matmulShare !== undefined && { matmulShare }),
    };
  }
}
