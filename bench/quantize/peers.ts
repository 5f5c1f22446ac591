/**
 * Other quantizers on the same model and the same calibration arrays; what they write is scored as ours is. One process
 * answers case by case, so that it can take turns with ours; what takes longer than LIMIT_SECONDS is given up.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Feeds } from '../../src/compress/quantize/calibrate.ts';
import type { Tensor } from '../../src/graph/ir.ts';
import { decodeModel, encodeModel } from '../../src/graph/protobuf.ts';
import { nativeRuntime } from '../../src/runtime/native/native.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { QuantizeCase, Score } from './cases.ts';

const SCRIPT = 'bench/peers/quantize_peers.py';
const LIMIT_SECONDS = 300;

export interface PeerCase {
  readonly peer: string;
  readonly variant: string;
}

export const PEER_CASES: readonly PeerCase[] = [
  ['onnxruntime', 'w8a8-minmax'],
  ['nncf', 'w8a8-fast'],
  ['aimet', 'w8a8-minmax'],
  ['onnxruntime', 'w4a8-minmax'],
  ['aimet', 'w4a8-minmax'],
  ['aimet', 'w4a8-seqmse'],
  ['aimet', 'w4a8-adaround'],
  ['onnxruntime', 'w8a8-entropy'],
  ['onnxruntime', 'w8a8-percentile'],
  ['nncf', 'w8a8-bias'],
  ['aimet', 'w8a8-enhanced'],
].map(([peer, variant]) => ({ peer, variant }));

export interface PeerResult extends PeerCase, Partial<Score> {
  /** From the model's file to the quantized one; loading of the tool's own modules is not counted. */
  readonly seconds?: number;
  readonly error?: string;
}

export class Peers implements Disposable {
  readonly #case: QuantizeCase;
  readonly #python: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'gaslaw-quantize-'));
  #child: ChildProcess | undefined;

  constructor(c: QuantizeCase, python: string, seed: number) {
    if (!existsSync(SCRIPT)) throw new Error(`${SCRIPT}: run the bench from the repository's folder`);
    this.#case = c;
    this.#python = python;
    const model = join(this.#folder, 'model.onnx');
    writeFileSync(model, encodeModel(c.model));
    const job = { model, out: this.#folder, seed, feeds: storedFeeds(c.feeds, this.#folder) };
    writeFileSync(join(this.#folder, 'job.json'), JSON.stringify(job));
  }

  /** What a peer makes of the case, and its score. */
  async result(asked: PeerCase): Promise<PeerResult> {
    const line = await this.#answer(asked);
    if (line === undefined) return { ...asked, error: `not done in ${LIMIT_SECONDS} s` };
    const { file, ...result } = JSON.parse(line) as PeerResult & { file?: string };
    return file === undefined ? result : { ...result, ...(await this.#scored(file)) };
  }

  /** Some files of NNCF run only where ONNX Runtime does not optimize. */
  async #scored(file: string): Promise<Score | { error: string }> {
    const model = decodeModel(readFileSync(file));
    const plain = asWritten(await nativeRuntime());
    try {
      return await this.#case.score(model).catch(() => this.#case.score(model, plain));
    } catch (error) {
      return { error: `its file does not run: ${String(error).slice(0, 200)}` };
    }
  }

  async #answer(asked: PeerCase): Promise<string | undefined> {
    this.#child ??= spawn(this.#python, [SCRIPT, join(this.#folder, 'job.json')], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const { stdin, stdout } = this.#child;
    if (!stdin || !stdout) throw new Error(`${this.#python} did not start`);
    const lines = createInterface({ input: stdout });
    stdin.write(`${JSON.stringify(asked)}\n`);
    const timer = setTimeout(() => this.#end(), 1000 * LIMIT_SECONDS);
    for await (const line of lines) {
      clearTimeout(timer);
      return line;
    }
    clearTimeout(timer);
    return undefined;
  }

  #end(): void {
    this.#child?.kill();
    this.#child = undefined;
  }

  [Symbol.dispose](): void {
    this.#end();
    rmSync(this.#folder, { recursive: true });
  }
}

const asWritten = (runtime: Runtime): Runtime => ({
  ...runtime,
  compile: (model, options) => runtime.compile(model, { ...options, optimization: 'disabled' }),
});

/** Every input of all batches, one file each. */
function storedFeeds(feeds: readonly Feeds[], folder: string): unknown[] {
  return Object.entries(feeds[0]).map(([name, first]) => {
    const all: Tensor[] = feeds.map(f => f[name]);
    const file = join(folder, `${name}.bin`);
    writeFileSync(file, Buffer.concat(all.map(bytesOf)));
    return {
      name,
      dtype: first.dtype,
      dims: [all.reduce((n, t) => n + t.dims[0], 0), ...first.dims.slice(1)],
      file,
    };
  });
}

function bytesOf({ data }: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = data as Float32Array; // inputs are numbers
  return new Uint8Array(buffer, byteOffset, byteLength);
}
