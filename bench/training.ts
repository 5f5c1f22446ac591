/**
 * Training step: Gaslaw beside PyTorch, interleaved in one sitting, beside the machine's own matrix-product rate.
 * Usage: npm run bench -- training [--python PATH] [--rounds N]
 */
import { fileURLToPath } from 'node:url';
import { matmulRate } from '../src/runtime/native/matmul-rate.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { median } from '../src/util/statistics.ts';
import { Worker } from './worker.ts';

interface Reply {
  readonly ready?: boolean;
  readonly parameters?: number;
  readonly flopsPerStep?: number;
  readonly seconds: number;
  readonly loss: number;
  readonly peakRssBytes: number;
  readonly rssAfterImportBytes?: number;
}

export interface TrainingBenchOptions {
  readonly python?: string;
  readonly rounds: number;
  readonly stepsPerRound: number;
}

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Median step times of both, their ratio round by round, and shares of the matmul rate measured between rounds. */
export async function benchTraining(options: TrainingBenchOptions) {
  const runtime = await nativeRuntime();
  const results = [];
  for (const shape of ['3.7m', '30m']) {
    const ours = new Worker<Reply>(process.execPath, [script('./training-worker.js'), shape]);
    const ready = await ours.read();
    const peer = options.python
      ? new Worker<Reply>(options.python, ['-B', script('../../bench/peers/train_step.py'), '--shape', shape])
      : undefined;
    const peerReady = await peer?.read();
    const rows: { ours: number; peer?: number; matmul: number }[] = [];
    let last: Reply | undefined;
    let peerLast: Reply | undefined;
    for (let round = 0; round < options.rounds; round++) {
      const matmul = await matmulRate(runtime, 2);
      last = await ours.ask(`step ${options.stepsPerRound}`);
      peerLast = await peer?.ask(`step ${options.stepsPerRound}`);
      const perStep = (reply: Reply) => reply.seconds / options.stepsPerRound;
      rows.push({ ours: perStep(last), peer: peerLast && perStep(peerLast), matmul });
    }
    await ours.quit();
    await peer?.quit();
    const flops = ready.flopsPerStep as number;
    results.push({
      shape,
      parameters: ready.parameters,
      msPerStep: 1000 * median(rows.map(r => r.ours)),
      gflopPerSecond: median(rows.map(r => flops / r.ours)) / 1e9,
      matmulGflopPerSecond: median(rows.map(r => r.matmul)) / 1e9,
      matmulShare: median(rows.map(r => flops / r.ours / r.matmul)),
      peakRssBytes: last?.peakRssBytes,
      ...(peer && {
        torchMsPerStep: 1000 * median(rows.map(r => r.peer as number)),
        speedup: median(rows.map(r => (r.peer as number) / r.ours)),
        torchPeakRssBytes: peerLast?.peakRssBytes,
        torchRssAfterImportBytes: peerReady?.rssAfterImportBytes,
      }),
    });
  }
  return results;
}
