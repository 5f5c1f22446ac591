/**
 * What training reads of the model besides logits: balance of experts, and the token after the next.
 *
 * 1. Auxiliary losses are the mean over layers of each layer's, so that their weights mean the same at every depth.
 * 2. Loads are counted over whole steps, outside of the gradient; `balanceStep` moves the biases by them.
 */
import { type BalanceRows, balanceLoss, maxViolation, sentTo, updateBiases } from '../../nn/balance.ts';
import type { ParameterStore, Scope } from '../../nn/parameters.ts';
import type { Routing } from '../../nn/routing.ts';
import type { Value } from '../../ops/builder.ts';
import type { TrainingForm, TrainingInputs } from '../model.ts';
import { type DeepseekConfig, isSparse } from './config.ts';
import { deepseekAhead, deepseekHidden } from './model.ts';

export interface DeepseekTraining {
  /** γ of the bias update after each step; V3's is 0.001. No update when absent. */
  readonly biasRate?: number;
  /** Weight of V2's expert-level loss, which is V3's sequence-wise loss too (V2: 0.003, V3: 0.0001). */
  readonly expertLoss?: number;
  /** Weight of V2's device-level loss (0.05). */
  readonly deviceLoss?: number;
  /** Weight of V2's communication loss (0.02). */
  readonly communicationLoss?: number;
  /** Devices that the experts are spread over; the groups of the configuration when absent. */
  readonly devices?: number;
  /** λ of multi-token prediction (V3: 0.3, later 0.1); its module is no part of the training when absent. */
  readonly aheadWeight?: number;
}

/** Layers with experts, multi-token prediction's included. */
export const sparseLayers = (c: DeepseekConfig, { aheadWeight }: DeepseekTraining): number[] =>
  Array.from({ length: c.numHiddenLayers + (aheadWeight === undefined ? 0 : 1) }, (_, i) => i).filter(i =>
    isSparse(c, i),
  );

/** Hidden states, balance losses, loads. */
export function deepseekTraining(
  scope: Scope,
  c: DeepseekConfig,
  training: DeepseekTraining,
  inputs: TrainingInputs,
): TrainingForm {
  const routings: Routing[] = [];
  const options = { onRouting: (_: number, routing: Routing) => void routings.push(routing) };
  const hidden = deepseekHidden(scope, c, inputs, options);
  const ahead =
    training.aheadWeight === undefined
      ? undefined
      : deepseekAhead(scope, c, { ...inputs, ids: inputs.targets }, hidden, options);
  const rows = rowsOf(inputs);
  return { hidden, ahead, ...balanceOf(c, training, routings, rows) };
}

const rowsOf = ({ ids, segments }: TrainingInputs): BalanceRows => ({
  dims: ids.dims(),
  valid: segments?.greater(0).cast('float32'),
});

function balanceOf(
  c: DeepseekConfig,
  training: DeepseekTraining,
  routings: readonly Routing[],
  rows: BalanceRows,
): Pick<TrainingForm, 'balance' | 'loads'> {
  const [first] = routings;
  if (!first) return {};
  const b = first.scores.builder;
  const shape = {
    experts: c.nRoutedExperts,
    topK: c.numExpertsPerTok,
    devices: training.devices ?? c.nGroup,
    devicesPerToken: training.devices === undefined ? c.topkGroup : training.devices,
  };
  const weights = {
    expert: training.expertLoss,
    device: training.deviceLoss,
    communication: training.communicationLoss,
  };
  const losses = routings.map(routing => balanceLoss(routing, shape, rows, weights));
  const loads = routings.map(r => sentTo(r, c.nRoutedExperts, rows).sum([0, 1], false).unsqueeze([0]));
  return { balance: meanOf(losses.filter(loss => loss !== undefined)), loads: b.concat(loads, 0) };
}

const meanOf = (values: readonly Value[]): Value | undefined =>
  values.length === 0 ? undefined : values.reduce((a, b) => a.add(b)).mul(1 / values.length);

/** Moves the biases by a step's loads [layers, E]; returns the mean MaxVio of the layers. */
export function balanceStep(
  c: DeepseekConfig,
  training: DeepseekTraining,
  store: ParameterStore,
  loads: Float32Array,
): Record<string, number> {
  const layers = sparseLayers(c, training);
  const violations = layers.map((layer, k) => {
    const own = loads.subarray(k * c.nRoutedExperts, (k + 1) * c.nRoutedExperts);
    const name = `model.layers.${layer}.mlp.gate.e_score_correction_bias`;
    if (training.biasRate && store.has(name)) {
      updateBiases(store.tensor(name).data as Float32Array, own, training.biasRate);
    }
    return maxViolation(own);
  });
  if (violations.length === 0) return {};
  return { 'moe/max_vio': violations.reduce((a, b) => a + b, 0) / violations.length };
}
