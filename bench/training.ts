/**
 * Training step: Gaslaw beside PyTorch, interleaved in one sitting, beside the machine's own matrix-product rate.
 * Usage: npm run bench -- training [--python PATH] [--rounds N]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { matmulRate } from '../src/runtime/native/matmul-rate.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { median } from './statistics.ts';

interface Reply {
  readonly ready?: boolean;
  readonly parameters?: number;
  readonly flopsPerStep?: number;
  readonly seconds: number;
  readonly loss: number;
  readonly peakRssBytes: number;
  readonly rssAfterImportBytes?: number;
}

/** A process that answers lines with JSON lines. */
class Worker {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (!this.#child.stdout) throw new Error('no stdout');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async read(): Promise<Reply> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the worker ended early');
    return JSON.parse(value) as Reply;
  }

  ask(line: string): Promise<Reply> {
    this.#child.stdin?.write(`${line}\n`);
    return this.read();
  }

  quit(): void {
    this.#child.stdin?.write('quit\n');
    this.#child.stdin?.end();
  }
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
    const ours = new Worker(process.execPath, [script('./training-worker.js'), shape]);
    const ready = await ours.read();
    const peer = options.python
      ? new Worker(options.python, ['-B', script('../../bench/peers/train_step.py'), '--shape', shape])
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
    ours.quit();
    peer?.quit();
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
