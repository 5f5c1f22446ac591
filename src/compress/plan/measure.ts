/**
 * What a model is on a device: how good, how large, how fast, and what stands in its way.
 *
 * 1. Quality: accuracy where there are labels; else the share of examples that get the original's class; else fidelity, 1 - noise/signal of
 *    the worst output (amplitudes). All from 0 to 1.
 * 2. Costs are those of a batch of one, after the device's safe fixes.
 * 3. Weights of float16 count as they are stored; nodes are looked at as if they were widened.
 * 4. Memory at its peak is activations, and on devices without flash the weights too: both live in RAM there.
 */

import type { Examples } from '../../data/examples/examples.ts';
import { check, type Finding, fixed } from '../../devices/check.ts';
import type { Estimate } from '../../devices/latency/estimate.ts';
import { type GraphTimes, THIS_MACHINE, timedHere } from '../../devices/latency/this-machine.ts';
import { workingMemory } from '../../devices/memory.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import { activationsOverTime, weightBytes } from '../../devices/rules/from-profile.ts';
import { type Model, staticDims } from '../../graph/ir.ts';
import type { LiveMoment } from '../../graph/liveness.ts';
import { importModel } from '../../import/index.ts';
import { upgrade } from '../../import/upgrade.ts';
import { bindDims } from '../../ops/bind-dims.ts';
import { Qdq } from '../../ops/qdq.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { UsageError } from '../../util/errors.ts';
import { macsOf } from '../prune/structured.ts';
import { type Measured, measuredQuality } from '../quality.ts';
import { storedAs } from '../quantize/float16.ts';

export interface Quality extends Measured {
  readonly examples: number;
}

export interface Measurements {
  readonly quality: Quality;
  /** Bytes of stored tensors. */
  readonly weightBytes: number;
  readonly macs: number;
  readonly activationBytes?: number;
  readonly peakMemoryBytes?: number;
  readonly memory: readonly LiveMoment[];
  readonly estimatedMs?: number;
  readonly estimate?: Estimate;
  readonly measuredMs?: number;
  readonly deploys: boolean;
  readonly findings: readonly Finding[];
  /** Safe fixes that were applied, in words. */
  readonly fixes: readonly string[];
}

export interface Meter {
  readonly runtime: Runtime;
  readonly device: DeviceProfile;
  readonly original: Model;
  readonly evaluation: Examples;
  /** Classes that the original gives the labelled examples of `evaluation`, computed when first asked for. */
  readonly before: () => Promise<Int32Array | undefined>;
  readonly dims: ReadonlyMap<string, number>;
  /** Milliseconds of graphs here, for the device `this-machine`. */
  readonly machine?: GraphTimes;
}

/** Everything that is known of `model` there. */
export async function measure(meter: Meter, model: Model): Promise<Measurements> {
  const { runtime, device, dims, original, evaluation } = meter;
  const { model: repaired, applied } = deployable(model, device, dims);
  const one = { ...repaired, graph: bindDims(repaired.graph, dims, 'batch') };
  const { findings, deploys, estimate } = check(one, device);
  const { graph } = upgrade(one);
  const view = { graph, qdq: new Qdq(graph) };
  const memory = activationsOverTime(view) ?? [];
  const weights = weightBytes(storedAs(model, { ...one, graph }));
  const activations = memory.length > 0 ? Math.max(...memory.map(m => m.bytes)) : undefined;
  return {
    quality: {
      ...(await measuredQuality(runtime, original, model, evaluation, await meter.before())),
      examples: evaluation.count,
    },
    weightBytes: weights,
    macs: macsOf(model.graph, dims),
    ...(activations !== undefined && {
      activationBytes: activations,
      peakMemoryBytes: workingMemory(device, activations, weights),
    }),
    memory,
    ...(device.id === THIS_MACHINE
      ? await timedHere(meter.runtime, one, meter.machine)
      : estimate && isOfItsKind(estimate, view.qdq) && { estimatedMs: estimate.ms, estimate }),
    deploys,
    findings,
    fixes: applied,
  };
}

/** Measurements of integers say nothing of floats. */
const isOfItsKind = ({ precision }: Estimate, { quantized }: Qdq): boolean =>
  quantized || !precision.startsWith('int');

/** The model with norms folded and the device's safe fixes, its shapes fixed where the device wants that. */
export function deployable(
  model: Model,
  device: DeviceProfile,
  dims: ReadonlyMap<string, number>,
): { model: Model; applied: readonly string[] } {
  const { model: folded } = importModel(model);
  const bound = device.staticShapes.value
    ? upgrade({ ...folded, graph: bindDims(folded.graph, dims, 'batch') })
    : folded;
  const { model: repaired, applied } = fixed(bound, device, dims);
  return { model: repaired, applied: applied.map(f => `${f.node || 'the model'}: ${f.why}; ${f.rewrite}`) };
}

/** Throws a UsageError when the device wants fixed shapes and an input has another symbolic dim than its batch. */
export function checkDims(model: Model, device: DeviceProfile, dims: ReadonlyMap<string, number>): void {
  if (!device.staticShapes.value) return;
  const { inputs } = bindDims(model.graph, dims, 'batch');
  const open = inputs.find(({ shape }) => !staticDims(shape));
  if (!open) return;
  const names = (open.shape ?? []).filter(dim => typeof dim === 'string');
  throw new UsageError(
    `input "${open.name}" ${open.shape ? `has a dimension without a number (${names.join(', ')})` : 'has no shape'}, and ${device.id} takes fixed shapes alone; give ${names[0] ?? 'it'} a number, or data that have one`,
    'dims',
  );
}
