/**
 * The steps that a plan is made of.
 *
 * 1. Weights of 4 bits take the codes that leave each layer's output as it was; of 8 bits the nearest do.
 * 2. Pruning keeps multiples of the device's block of channels, of half a block and so on where a model has too few.
 * 3. What is left makes up for what goes, as far as calibration data foretell it, and recovers by the recipe of `distil/recipe.ts` in
 *    at least 200 steps. A model that has no gradient stays as pruning left it, with norms measured anew, and that is said.
 */
import type { Examples } from '../../data/examples/examples.ts';
import { stepsOf } from '../../data/stream.ts';
import type { Graph, Model } from '../../graph/ir.ts';
import { trainLoop } from '../../train/loop.ts';
import { GaslawError, Interrupted } from '../../util/errors.ts';
import { RECOVERY_BATCH, recoveryStage } from '../distil/recipe.ts';
import { compensation } from '../prune/compensate.ts';
import { magnitude } from '../prune/importance.ts';
import { remeasuredNorms } from '../prune/norms.ts';
import { type PruneReport, pruneStructured } from '../prune/structured.ts';
import { halved } from '../quantize/float16.ts';
import { optionsFor, type Widths } from '../quantize/static/device.ts';
import { exampleFeeds } from '../quantize/static/feeds.ts';
import { quantizeStatic } from '../quantize/static/index.ts';
import { quantizeGraph } from '../quantize/static/run.ts';
import { assignBits, bytesOfAverage, sensitivity } from '../quantize/static/sensitivity.ts';
import type { CompressionContext, CompressionStep } from './step.ts';

/** Weights stored in 16 bits, norms in the products before them. */
export const halve: CompressionStep = async model => {
  const { model: copy, converted, kept } = halved(model);
  const notes = kept.map(name => `${name} stays float32: it has values that float16 cannot hold`);
  return { model: copy, notes: [`${converted.length} weights as float16`, ...notes] };
};

/** Weights and activations as integers, as the device takes them. */
export const integers =
  (widths: Widths): CompressionStep =>
  async (model, { runtime, device, calibration }) => {
    const rounding = widths.weights === 4 ? 'output' : 'nearest';
    const options = { ...optionsFor(device, widths), rounding } as const;
    const { model: made, report } = await quantizeStatic(
      runtime,
      model,
      exampleFeeds(model, calibration),
      options,
    );
    const kept = report.kept.map(({ name, reason }) => `${name} stays float: ${reason}`);
    const summary = `${report.weights.length} weights as ${options.weights}, ${report.activations} activations as ${options.activations}, calibrated on ${calibration.count} examples of ${calibration.name}`;
    return { model: made, notes: [summary, ...kept] };
  };

/** The same, trained in integers on the original's answers (`quantize/static/train.ts`). */
export const learned =
  (widths: Widths): CompressionStep =>
  async (model, { runtime, device, calibration, training, recoveryEpochs: epochs, seed, run, stage }) => {
    if (!training || epochs === 0) throw new GaslawError('nothing is trained without data and epochs');
    const started = performance.now();
    const { model: made } = await quantizeGraph(runtime, model, training, {
      options: optionsFor(device, widths),
      random: { samples: calibration.count, seed },
      epochs,
      onStep(step, steps, loss) {
        if (run.signal?.aborted) throw new Interrupted('stopped; the candidates so far are kept');
        const etaSeconds = ((performance.now() - started) / 1000 / step) * (steps - step);
        run.progress?.({ stage, step, steps, metrics: { loss }, etaSeconds });
      },
    });
    const note = `calibrated and trained in integers on ${training.count} examples of ${training.name}, from what the original answers`;
    return { model: made, notes: [note] };
  };

/** Averages of weights, in bits, that a model is given where its device takes 4 and 8. */
export const MIXED_BITS = 6;

/** Weights of 4 bits where they are borne best, of 8 elsewhere, `MIXED_BITS` on average; activations of 8. */
export const mixed: CompressionStep = async (model, { runtime, device, calibration }) => {
  const [four, eight] = [
    optionsFor(device, { activations: 8, weights: 4 }),
    optionsFor(device, { activations: 8, weights: 8 }),
  ];
  const feeds = exampleFeeds(model, calibration);
  const dtypes = [four.weights, eight.weights].filter(dtype => dtype !== undefined);
  const table = await sensitivity(runtime, model, feeds.slice(0, 2), dtypes, eight);
  const assigned = assignBits(table, bytesOfAverage(table, MIXED_BITS));
  const dtypeOf = (weight: string) => assigned.dtypes.get(weight);
  const options = { ...eight, dtypeOf, rounding: 'output' } as const;
  const { model: made, report } = await quantizeStatic(runtime, model, feeds, options);
  const narrow = report.weights.filter(({ dtype }) => dtype === four.weights).length;
  const summary = `${narrow} of ${report.weights.length} weights as ${four.weights}, the others as ${eight.weights}, by what each loses alone`;
  return { model: made, notes: [summary] };
};

/** Channels out until `keep` of the original's multiply-adds are left, then recovery. */
export const prune =
  (keep: number): CompressionStep =>
  async (model, context) => {
    const { graph, report, align } = await aligned(
      model,
      keep,
      context.device.channelAlignment?.value ?? 8,
      context,
    );
    const share = Math.round((100 * report.macsAfter) / report.macsBefore);
    const notes = [`channels in multiples of ${align} removed: ${share} % of the multiply-adds are left`];
    const recovered = await recover({ ...model, graph }, context);
    return { model: recovered.model, notes: [...notes, recovered.note] };
  };

interface Aligned {
  readonly graph: Graph;
  readonly report: PruneReport;
  readonly align: number;
}

async function aligned(
  model: Model,
  keep: number,
  align: number,
  context: CompressionContext,
): Promise<Aligned> {
  const { graph } = model;
  const { runtime, calibration } = context;
  const compensate = await compensation(runtime, model, exampleFeeds(model, calibration));
  const target = { keep, of: 'macs' } as const;
  for (let multiple = align; ; multiple = Math.floor(multiple / 2)) {
    try {
      const options = {
        target,
        importance: magnitude(graph),
        compensate,
        align: multiple,
        dims: context.dims,
      };
      return { ...pruneStructured(graph, options), align: multiple };
    } catch (error) {
      if (!(error instanceof GaslawError) || multiple <= 1) throw error;
    }
  }
}

const LEAST_STEPS = 200;

async function recover(model: Model, context: CompressionContext): Promise<{ model: Model; note: string }> {
  if (!context.training || context.recoveryEpochs === 0)
    return { model: await measuredAnew(model, context), note: 'nothing trained' };
  try {
    return await trained(model, context.training, context);
  } catch (error) {
    if (!(error instanceof GaslawError) || error instanceof Interrupted) throw error;
    return { model: await measuredAnew(model, context), note: `not recovered: ${error.message}` };
  }
}

const measuredAnew = async (model: Model, { runtime, calibration }: CompressionContext): Promise<Model> => ({
  ...model,
  graph: await remeasuredNorms(runtime, model, exampleFeeds(model, calibration)),
});

async function trained(
  model: Model,
  data: Examples,
  { runtime, original, recoveryEpochs, seed, run, stage }: CompressionContext,
): Promise<{ model: Model; note: string }> {
  const batchSize = Math.min(RECOVERY_BATCH, data.count);
  const steps = Math.max(LEAST_STEPS, stepsOf(recoveryEpochs, data.count, batchSize));
  using stageOf = await recoveryStage(runtime, model.graph, original, { data, steps, seed });
  await trainLoop(run, stageOf, { stage, steps });
  return {
    model: { ...model, graph: await stageOf.finished() },
    note: `recovered in ${steps} steps of ${batchSize} examples, shifted and mixed, from what the original answers`,
  };
}
