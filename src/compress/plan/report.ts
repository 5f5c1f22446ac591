/**
 * What the report page is told: candidates as they were measured, layers before and after, and how much each layer bears.
 *
 * Sensitivity is the noise in the outputs, in hundredths of their power, when a layer alone has weights of 4 bits.
 */

import { type Examples, firstOf } from '../../data/examples/examples.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import type { Graph, Model } from '../../graph/ir.ts';
import { consumersOf } from '../../graph/walk.ts';
import { importModel } from '../../import/index.ts';
import type { CompressionData } from '../../report/compression/data.ts';
import { renderCompression } from '../../report/compression/index.ts';
import { pairLayers } from '../../report/compression/layers.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { GaslawError } from '../../util/errors.ts';
import { storedAs } from '../quantize/float16.ts';
import { exampleFeeds } from '../quantize/static/feeds.ts';
import { sensitivity } from '../quantize/static/sensitivity.ts';
import type { Compressed } from './compress.ts';

export interface PageOptions {
  readonly runtime: Runtime;
  readonly device: DeviceProfile;
  readonly calibration: Examples;
  readonly original: Model;
  readonly chosen: Model;
  /** Name of the model's file, the command and the version, as the page prints them. */
  readonly model: string;
  readonly command: string;
  readonly version: string;
}

/** The page of a compression. */
export async function compressionPage(result: Compressed, options: PageOptions): Promise<string> {
  const { device, model, command, version } = options;
  const { ramBytes, flashBytes } = device.memory;
  const original = importModel(options.original).model.graph;
  const after = storedAs(options.chosen, importModel(options.chosen).model).graph;
  const layers = await bearing(original, options);
  return renderCompression({
    model,
    device: {
      id: device.id,
      name: device.name,
      ...(ramBytes && { ramBytes: ramBytes.value }),
      ...(flashBytes && { flashBytes: flashBytes.value }),
    },
    budget: result.budget,
    rule: result.rule,
    ...(result.choice.unsure && { unsure: result.choice.unsure }),
    met: result.choice.met,
    misses: result.choice.misses.map(m => m.text),
    data: `${result.data}.`,
    candidates: result.done,
    failed: result.failed,
    front: result.front,
    chosen: result.choice.chosen.name,
    layers: pairLayers(original, after),
    ...(layers.length > 0 && {
      sensitivity: {
        what: 'noise in the outputs, in hundredths of their power, when the layer alone has weights of 4 bits',
        layers,
      },
    }),
    files: result.files,
    command,
    version,
  });
}

const MOST_EXAMPLES = 32;
const MOST_WEIGHTS = 120;

type Bearing = NonNullable<CompressionData['sensitivity']>['layers'];

/** By the names of nodes; empty where the graph cannot be quantized, or has too many weights to try each. */
async function bearing(graph: Graph, { runtime, original, calibration }: PageOptions): Promise<Bearing> {
  if (graph.initializers.size > 4 * MOST_WEIGHTS) return [];
  const few = firstOf(calibration, MOST_EXAMPLES);
  try {
    const table = await sensitivity(runtime, original, exampleFeeds(original, few), ['int4']);
    const readers = consumersOf(graph);
    return table.map(({ weight, widths }) => ({
      name: readers.get(weight)?.[0]?.name ?? weight,
      value: 100 * (widths[0]?.loss ?? 0),
    }));
  } catch (error) {
    if (error instanceof GaslawError) return [];
    throw error;
  }
}
