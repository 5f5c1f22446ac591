/**
 * Weights and biases chosen layer by layer, from the input on, by what they do to each layer's output.
 *
 * 1. A layer's inputs come through all that is quantized before it, its wanted output from the float model.
 * 2. `biasCorrection` alone keeps the codes and moves the bias by what the mean output lost (Nagel et al. 2019).
 * 3. `output` is what AIMET calls sequential MSE, carried further: there each layer in turn gets the range of least error of its
 *    output and nearest codes, here the codes are chosen by that error as well. AdaRound (Nagel et al. 2020, arXiv:2004.10568)
 *    minimizes the same error over up or down for each weight, by the gradient of a relaxation; coordinate descent needs no
 *    gradient, and codes may move further than to a neighbour.
 * 4. Half of the data says how far the other half is trusted: the damping, down to codes and biases as they were, is the one
 *    whose choice on the first half has the least error on the second. Eight bits lose so little that few samples could
 *    make it worse. A single batch is trusted.
 * 5. Layers whose weight is shared, batched or transposed by their op keep nearest codes.
 */
import type { Model } from '../../../graph/ir.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { Feeds } from '../calibrate.ts';
import { codesOf } from './affine.ts';
import { isLinear, type Moments, momentsOf, type SplitMoments } from './moments.ts';
import { correctedBias, outputError, refined } from './output-error.ts';
import type { PlannedBias, PlannedWeight, QdqPlan } from './plan.ts';
import type { Simulation } from './simulate.ts';
import { dequantized, type QuantizedTensor } from './weights.ts';

export const ROUNDINGS = ['nearest', 'output'] as const;
/** To the nearest code, or to the codes that leave the layer's output as it was. */
export type Rounding = (typeof ROUNDINGS)[number];

export interface RefineLayersOptions {
  readonly rounding: Rounding;
  readonly biasCorrection: boolean;
}

/** Changes `weights`; returns the biases that changed. `simulation` has float weights when it comes in. */
export async function refineLayers(
  runtime: Runtime,
  model: Model,
  plan: QdqPlan,
  simulation: Simulation,
  weights: Map<PlannedWeight, QuantizedTensor>,
  data: Iterable<Feeds>,
  { rounding, biasCorrection }: RefineLayersOptions,
): Promise<Map<PlannedBias, Float32Array>> {
  const biases = new Map<PlannedBias, Float32Array>();
  for (const [i, weight] of plan.weights.entries()) {
    let q = weights.get(weight) as QuantizedTensor;
    if (isLinear(weight)) {
      const moments = await momentsOf(runtime, model, simulation, i, weight, data);
      const at = plan.biases.findIndex(bias => bias.weight === weight);
      const bias = at < 0 || !biasCorrection ? undefined : plan.biases[at];
      const layer: Layer = { weight, moments, bias };
      if (rounding === 'output') q = rounded(q, layer);
      const values = bias && corrected(q, layer, bias);
      if (values) {
        biases.set(bias, values);
        simulation.setBias(at, values);
      }
      weights.set(weight, q);
    }
    simulation.setWeight(i, dequantized(q));
  }
  return biases;
}

interface Layer {
  readonly weight: PlannedWeight;
  readonly moments: SplitMoments;
  /** One that may be corrected. */
  readonly bias: PlannedBias | undefined;
}

const DAMPINGS = [0.01, 0.1, 1] as const;
/** With fewer codes the quick search, which compares dampings, says little of the full one. */
const MANY_CODES = 16;

/** `q` with codes by output error, or as it is where that is not better on data that did not choose. */
function rounded(q: QuantizedTensor, { weight, moments: { all, halves }, bias }: Layer): QuantizedTensor {
  const centred = bias !== undefined;
  const { channelAxis } = weight;
  const refine = (moments: Moments, damping: number, quick: boolean) =>
    refined(q, weight.tensor.data as Float32Array, moments, channelAxis, { centred, damping, quick });
  if (!halves) return refine(all, DAMPINGS[0], false);
  const [first, second] = halves;
  const errorOf = (tried: QuantizedTensor) => outputError(tried, second, channelAxis, centred);
  let [best, least]: [number | undefined, number] = [undefined, errorOf(q)];
  const { low, high } = codesOf(q.scheme);
  for (const damping of high - low < MANY_CODES ? DAMPINGS.slice(0, 1) : DAMPINGS) {
    const error = errorOf(refine(first, damping, true));
    if (error < least) [best, least] = [damping, error];
  }
  return best === undefined ? q : refine(all, best, false);
}

/** The bias that makes up for the mean, where one of the first half does so on the second. */
function corrected(
  q: QuantizedTensor,
  { weight: { channelAxis }, moments: { all, halves } }: Layer,
  bias: PlannedBias,
): Float32Array | undefined {
  const values = dequantized(q);
  const from = (moments: Moments) => correctedBias(values, q.dims, channelAxis, moments);
  if (!halves) return from(all);
  const [first, wanted] = halves.map(from);
  const distance = (b: Float32Array) => b.reduce((sum, v, i) => sum + (v - wanted[i]) ** 2, 0);
  return distance(first) < distance(bias.tensor.data as Float32Array) ? from(all) : undefined;
}
