/**
 * A training step of ResNet-20 (CIFAR-10, norms in training mode, SGD with momentum) beside PyTorch's on the same machine.
 *
 * 1. DIR holds cifar_resnet20_bn.onnx: an imported model, trained as fine-tuning trains it.
 * 2. Batches of 64 random images; medians of `rounds` steps each, ours and the peer's by turns when `--python` is given.
 * 3. Processor seconds are of the whole process: they tell more than wall time on a machine that does other work.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { float32, int32, type Tensor } from '../src/graph/ir.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { importModel } from '../src/import/index.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { type FineTuneOptions, fineTuning } from '../src/train/fine-tune.ts';
import { GaslawError } from '../src/util/errors.ts';
import { Random } from '../src/util/random.ts';
import { median } from '../src/util/statistics.ts';
import { Worker } from './worker.ts';

const BATCH = 64;

export interface FineTuneBench {
  readonly medianMs: number;
  readonly processorMs: number;
  readonly peerMedianMs?: number;
  readonly peerProcessorMs?: number;
}

interface Times {
  readonly seconds: readonly number[];
  readonly processorSeconds: readonly number[];
}

export async function benchFineTune(options: {
  readonly data: string | undefined;
  readonly python?: string;
  readonly rounds: number;
}): Promise<FineTuneBench> {
  if (!options.data)
    throw new GaslawError('fine-tune: --data DIR is missing; it holds cifar_resnet20_bn.onnx');
  const file = new Uint8Array(readFileSync(join(options.data, 'cifar_resnet20_bn.onnx')));
  const { graph } = importModel(decodeModel(file), { foldNorms: false }).model;
  using training = await fineTuning(await nativeRuntime(), graph, optionsOf(graph.inputs[0]?.name as string));
  const peer = options.python
    ? new Worker<Times>(options.python, [
        '-B',
        new URL('../../bench/peers/fine_tune_step.py', import.meta.url).pathname,
      ])
    : undefined;
  await peer?.read();
  for (let i = 0; i < 3; i++) await training.step(i);
  const [ours, theirs]: [Times[], Times[]] = [[], []];
  for (let round = 0; round < options.rounds; round++) {
    ours.push(await measured(() => training.step(3 + round)));
    if (peer) theirs.push(await peer.ask('step 1'));
  }
  await peer?.quit();
  const middle = (all: readonly Times[], of: keyof Times) =>
    Math.round(1000 * median(all.flatMap(t => t[of])));
  return {
    medianMs: middle(ours, 'seconds'),
    processorMs: middle(ours, 'processorSeconds'),
    ...(peer && {
      peerMedianMs: middle(theirs, 'seconds'),
      peerProcessorMs: middle(theirs, 'processorSeconds'),
    }),
  };
}

function optionsOf(input: string): FineTuneOptions {
  const random = new Random(1);
  const images = Float32Array.from({ length: BATCH * 3 * 32 * 32 }, () => random.normal());
  const feeds: Record<string, Tensor> = {
    [input]: float32([BATCH, 3, 32, 32], images),
    labels: int32(
      [BATCH],
      Array.from({ length: BATCH }, (_, i) => i % 10),
    ),
  };
  return {
    data: () => [feeds],
    batchSize: BATCH,
    schedule: { kind: 'constant', rate: 0.01 },
    optimizer: { kind: 'sgd', momentum: 0.9 },
    seed: 1,
  };
}

async function measured(work: () => Promise<unknown>): Promise<Times> {
  const [wall, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return { seconds: [(performance.now() - wall) / 1000], processorSeconds: [(user + system) / 1e6] };
}
