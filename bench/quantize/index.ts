/**
 * Quantized graphs: `npm run bench -- quantize --data DIR [--models NAME] [--python PY] [--steps EPOCHS] [--seed N]`.
 *
 * Our variants, and with `--python` other quantizers on the same model and calibration arrays; every file is scored by the
 * same runtime on the same inputs. Variants stand here before scores are seen: `W8A8` and `W4A8` are what `--rounding output`
 * makes with everything else as it is by default.
 */

import { transferBatches } from '../../src/compress/distil/transfer.ts';
import { quantizeStatic, type StaticOptions } from '../../src/compress/quantize/static/index.ts';
import type { Examples } from '../../src/data/examples/examples.ts';
import { nativeRuntime } from '../../src/runtime/native/native.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { keywords, type QuantizeCase, resnet20, sorter } from './cases.ts';
import { peersOf } from './peers.ts';

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
    rows.push({ model: name, float: await c.score(c.model), of: c.count });
    if (epochs !== undefined) {
      if (c.training) rows.push(...(await trained(c, c.training, epochs, seed)));
      continue;
    }
    const variants = name === 'sorter' ? { ...VARIANTS, ...FEWER } : VARIANTS;
    for (const [variant, options] of Object.entries(variants))
      rows.push(await measured(runtime, c, variant, options));
    if (python !== undefined)
      for (const result of await peersOf(c, python, seed)) rows.push({ model: name, of: c.count, ...result });
  }
  return rows;
}

async function measured(runtime: Runtime, c: QuantizeCase, variant: string, options: StaticOptions) {
  const start = performance.now();
  const { model } = await quantizeStatic(runtime, c.model, c.feeds, options);
  const seconds = (performance.now() - start) / 1000;
  const row = { model: c.name, variant, right: await c.score(model, runtime), of: c.count, seconds };
  process.stderr.write(`${JSON.stringify(row)}\n`);
  return row;
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
    const steps = Math.ceil((epochs * training.count) / BATCH);
    const data = transferBatches(training, { batchSize: BATCH });
    const stage = { data, batchSize: BATCH, steps, seed };
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
