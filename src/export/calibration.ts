/** Calibration of a language model: what its products see while it reads token sequences. */
import { type ActivationStatistics, type Feeds, inputStatistics } from '../compress/quantize/calibrate.ts';
import type { ParameterStatistics } from '../compress/quantize/language-model/fold.ts';
import { int64 } from '../graph/ir.ts';
import type { CausalModel } from '../models/model.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { emptyCache, exportGraph } from './graph.ts';

/**
 * Statistics for `ExportOptions.quantize.inputs`, from sequences of token ids such as the model's training texts or its
 * own answers: a hundred short ones do.
 */
export const calibrate = (
  runtime: Runtime,
  model: CausalModel,
  weights: ParameterStore,
  sequences: readonly (readonly number[])[],
): Promise<Map<string, ActivationStatistics>> =>
  inputStatistics(
    runtime,
    exportGraph(model, weights),
    sequences.map(ids => promptFeeds(model, ids.slice(0, model.maxPositions))),
  );

/** Inputs of the exported graph for one whole sequence with nothing before it. */
export const promptFeeds = (model: CausalModel, ids: readonly number[]): Feeds => ({
  input_ids: int64([1, ids.length], ids),
  attention_mask: int64(
    [1, ids.length],
    ids.map(() => 1),
  ),
  ...emptyCache(model, 1),
});

/** The same by parameter: matrices that the graph reads as one (`a+b`) see the same input. */
export async function calibrateParameters(
  runtime: Runtime,
  model: CausalModel,
  weights: ParameterStore,
  sequences: readonly (readonly number[])[],
): Promise<ParameterStatistics> {
  const found = await calibrate(runtime, model, weights, sequences);
  return new Map([...found].flatMap(([names, seen]) => names.split('+').map(name => [name, seen] as const)));
}
