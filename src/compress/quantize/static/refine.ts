/**
 * Weights and biases chosen layer by layer, from the input on, by what they do to each layer's output.
 *
 * 1. A layer's inputs come through all that is quantized before it, its wanted output from the float model.
 * 2. `biasCorrection` alone keeps the codes and moves the bias by what the mean output lost (Nagel et al. 2019).
 * 3. `output` is what AIMET calls sequential MSE, carried further: there each layer in turn gets the range of least error of its
 *    output and nearest codes, here the codes are chosen by that error as well. AdaRound (Nagel et al. 2020, arXiv:2004.10568)
 *    minimizes the same error over up or down for each weight, by the gradient of a relaxation; coordinate descent needs no
 *    gradient, and codes may move further than to a neighbour.
 * 4. Layers whose weight is shared, batched or transposed by their op keep nearest codes.
 */
import type { Model } from '../../../graph/ir.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { Feeds } from '../calibrate.ts';
import { isLinear, momentsOf } from './moments.ts';
import { correctedBias, refined } from './output-error.ts';
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
      const [bias] = at < 0 || !biasCorrection ? [] : [plan.biases[at]];
      const floats = weight.tensor.data as Float32Array;
      if (rounding === 'output')
        q = refined(q, floats, moments, weight.channelAxis, { centred: bias !== undefined });
      if (bias) {
        const values = correctedBias(dequantized(q), q.dims, weight.channelAxis, moments);
        biases.set(bias, values);
        simulation.setBias(at, values);
      }
      weights.set(weight, q);
    }
    simulation.setWeight(i, dequantized(q));
  }
  return biases;
}
