/** Other quantizers on the same model and the same calibration arrays; what they write is scored as ours is. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Feeds } from '../../src/compress/quantize/calibrate.ts';
import type { Tensor } from '../../src/graph/ir.ts';
import { decodeModel, encodeModel } from '../../src/graph/protobuf.ts';
import type { QuantizeCase } from './cases.ts';

const SCRIPT = 'bench/peers/quantize_peers.py';

const CASES = [
  ['onnxruntime', 'w8a8-minmax'],
  ['onnxruntime', 'w8a8-entropy'],
  ['onnxruntime', 'w8a8-percentile'],
  ['onnxruntime', 'w4a8-minmax'],
  ['nncf', 'w8a8-fast'],
  ['nncf', 'w8a8-bias'],
  ['aimet', 'w8a8-minmax'],
  ['aimet', 'w8a8-enhanced'],
  ['aimet', 'w4a8-minmax'],
  ['aimet', 'w4a8-seqmse'],
  ['aimet', 'w4a8-adaround'],
].map(([peer, variant]) => ({ peer, variant }));

export interface PeerResult {
  readonly peer: string;
  readonly variant: string;
  readonly seconds?: number;
  readonly right?: number;
  readonly error?: string;
}

/** What each peer makes of the case, with how many answers are right. */
export async function peersOf(c: QuantizeCase, python: string, seed: number): Promise<PeerResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'gaslaw-quantize-'));
  const model = join(folder, 'model.onnx');
  writeFileSync(model, encodeModel(c.model));
  const job = { model, out: folder, seed, feeds: storedFeeds(c.feeds, folder), cases: CASES };
  writeFileSync(join(folder, 'job.json'), JSON.stringify(job));
  const lines = await linesOf(python, [SCRIPT, join(folder, 'job.json')]);
  const results: PeerResult[] = [];
  for (const line of lines) {
    const { file, ...result } = JSON.parse(line) as PeerResult & { file?: string };
    results.push(file ? { ...result, ...(await scored(c, file)) } : result);
  }
  rmSync(folder, { recursive: true });
  return results;
}

async function scored(c: QuantizeCase, file: string): Promise<{ right: number } | { error: string }> {
  try {
    return { right: await c.score(decodeModel(readFileSync(file))) };
  } catch (error) {
    return { error: `its file does not run: ${String(error).slice(0, 200)}` };
  }
}

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

function linesOf(python: string, args: readonly string[]): Promise<string[]> {
  if (!existsSync(SCRIPT)) throw new Error(`${SCRIPT}: run the bench from the repository's folder`);
  return new Promise((resolve, reject) => {
    const child = spawn(python, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', chunk => chunks.push(chunk));
    child.on('error', reject);
    child.on('close', () => resolve(Buffer.concat(chunks).toString().trim().split('\n').filter(Boolean)));
  });
}
