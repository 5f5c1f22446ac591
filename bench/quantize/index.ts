/**
 * Quantized graphs: `npm run bench -- quantize --data DIR [--models NAME] [--python PY] [--steps EPOCHS] [--seed N]`.
 *
 * Our variants, and with `--python` other quantizers on the same model and calibration arrays; every file is scored by the
 * same runtime on the same inputs. Variants stand here before scores are seen: `W8A8` and `W4A8` are what `--rounding output`
 * makes with everything else as it is by default.
 */

import { transferBatches } from '../../src/compress/distil/transfer.ts';
import { exampleFeeds } from '../../src/compress/quantize/static/feeds.ts';
import { quantizeStatic, type StaticOptions } from '../../src/compress/quantize/static/index.ts';
import { heldOutOf } from '../../src/compress/quantize/static/run.ts';
import { type Examples, splitExamples } from '../../src/data/examples/examples.ts';
import { nativeRuntime } from '../../src/runtime/native/native.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { keywords, type QuantizeCase, resnet20, sorter } from './cases.ts';
import { PEER_CASES, Peers } from './peers.ts';

const VARIANTS: Readonly<Record<string, StaticOptions>> = {
  'W8A8 nearest': {},
  W8A8: { rounding: 'output' },
  'W4A8 nearest': { weights: 'int4' },
  'W4A8 corrected': { weights: 'int4', biasCorrection: true },
  W4A8: { weights: 'int4', rounding: 'output' },
};

/** The sorter, below 4 bits. */
const FEWER: Readonly<Record<string, StaticOptions>> = {
  'W3A8 nearest': { weights: 'int4', weightBits: 3 },
  W3A8: { weights: 'int4', weightBits: 3, rounding: 'output' },
  'W2A8 nearest': { weights: 'int4', weightBits: 2 },
  W2A8: { weights: 'int4', weightBits: 2, rounding: 'output' },
};

/** Training: activations of 4 bits leave the first and the last layer float, as is usual. */
const trainedVariants = (c: QuantizeCase): Readonly<Record<string, StaticOptions>> => {
  const layers = c.model.graph.nodes.filter(n => n.opType === 'Conv' || n.opType === 'Gemm');
  const float = new Set([layers[0].name, layers[layers.length - 1].name]);
  return {
    W4A8: { weights: 'int4', rounding: 'output' },
    W4A4: { weights: 'int4', activations: 'uint4', rounding: 'output', float },
    W2A8: { weights: 'int4', weightBits: 2, rounding: 'output' },
  };
};

const CASES: Readonly<
  Record<string, (runtime: Runtime, folder: string, seed: number) => QuantizeCase | Promise<QuantizeCase>>
> = { keywords, resnet20, sorter };

export interface QuantizeBenchOptions {
  readonly folder: string;
  /** One of the cases; all when absent. */
  readonly only?: string;
  readonly python?: string;
  /** Epochs of training, of the models that have data for it; instead of everything else. */
  readonly epochs?: number;
  readonly seed: number;
}

export async function benchQuantize(options: QuantizeBenchOptions): Promise<unknown> {
  const { folder, only, python, epochs, seed } = options;
  const runtime = await nativeRuntime();
  const rows: unknown[] = [];
  for (const [name, open] of Object.entries(CASES)) {
    if (only !== undefined && only !== name) continue;
    const c = await open(runtime, folder, seed);
    rows.push({ model: name, float: (await c.score(c.model)).right, of: c.count });
    if (epochs === undefined) rows.push(...(await besidePeers(runtime, c, python, seed)));
    else if (c.training) rows.push(...(await trained(c, c.training, epochs, seed)));
  }
  return rows;
}

/** Our variants and the peers' in turns. */
async function besidePeers(
  runtime: Runtime,
  c: QuantizeCase,
  python: string | undefined,
  seed: number,
): Promise<unknown[]> {
  const variants = Object.entries(c.name === 'sorter' ? { ...VARIANTS, ...FEWER } : VARIANTS);
  const theirs = python === undefined ? [] : PEER_CASES;
  using peers = python === undefined ? undefined : new Peers(c, python, seed);
  const rows: unknown[] = [];
  for (let turn = 0; turn < Math.max(variants.length, theirs.length); turn++) {
    const [variant, peer] = [variants[turn], theirs[turn]];
    if (variant) rows.push(await measured(runtime, c, ...variant));
    if (peer && peers) rows.push(told({ model: c.name, of: c.count, ...(await peers.result(peer)) }));
  }
  return rows;
}

function told<T>(row: T): T {
  process.stderr.write(`${JSON.stringify(row)}\n`);
  return row;
}

async function measured(runtime: Runtime, c: QuantizeCase, variant: string, options: StaticOptions) {
  const start = performance.now();
  const { model } = await quantizeStatic(runtime, c.model, c.feeds, options);
  const seconds = (performance.now() - start) / 1000;
  return told({ model: c.name, of: c.count, variant, seconds, ...(await c.score(model, runtime)) });
}

const BATCH = 64;

/** Before and after training. */
async function trained(
  c: QuantizeCase,
  training: Examples,
  epochs: number,
  seed: number,
): Promise<unknown[]> {
  const runtime = fourBits(await nativeRuntime());
  const rows: unknown[] = [];
  for (const [variant, options] of Object.entries(trainedVariants(c))) {
    rows.push(await measured(runtime, c, variant, options));
    const [held, rest] = splitExamples(training, heldOutOf(training.count), seed);
    const steps = Math.ceil((epochs * rest.count) / BATCH);
    const data = transferBatches(rest, { batchSize: BATCH, mixing: false });
    const stage = { data, heldOut: exampleFeeds(c.model, held), batchSize: BATCH, steps, seed };
    rows.push(await measured(runtime, c, `${variant} trained`, { ...options, training: stage }));
  }
  return rows;
}

/** ONNX Runtime fuses activations of 4 bits into kernels that do not take them, unless it is told not to. */
const fourBits = (runtime: Runtime): Runtime => ({
  name: runtime.name,
  compile: (model, options) => {
    const four = [...model.graph.initializers].some(
      ([n, t]) => t.dtype === 'uint4' && n.endsWith('_zero_point'),
    );
    return runtime.compile(model, four ? { ...options, optimization: 'basic' } : options);
  },
});
