/**
 * Models that are quantized, what calibrates them, and how many answers are right.
 *
 * 1. ResNet-20 calibrates on 512 of the training images and is scored on 2,000 others; the sorter calibrates on answers of
 *    the float model to 64 inputs and is scored on all 729; of keywords only the scored inputs exist, so 128 of them calibrate.
 * 2. The sorter is right when every letter of its greedy answer is; given the right letters so far that is the same.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { accuracyOf } from '../../src/compress/evaluate.ts';
import type { Feeds } from '../../src/compress/quantize/calibrate.ts';
import { exampleFeeds } from '../../src/compress/quantize/static/feeds.ts';
import { type Examples, splitExamples } from '../../src/data/examples/examples.ts';
import { fitExamples, type Preprocess } from '../../src/data/examples/fit.ts';
import { type RecordForm, readRecords } from '../../src/data/examples/records.ts';
import { int64, type Model } from '../../src/graph/ir.ts';
import { decodeModel } from '../../src/graph/protobuf.ts';
import { freeBatch } from '../../src/import/batch.ts';
import { importModel } from '../../src/import/index.ts';
import type { Program, Runtime } from '../../src/runtime/runtime.ts';
import { Random } from '../../src/util/random.ts';

export interface QuantizeCase {
  readonly name: string;
  readonly model: Model;
  readonly feeds: readonly Feeds[];
  readonly count: number;
  /** What may train, where there is more than what calibrates. */
  readonly training?: Examples;
  /** How many of `count` are right. */
  score(model: Model, runtime?: Runtime): Promise<number>;
}

const SAMPLES = { resnet20: 512, keywords: 128, sorter: 64 } as const;

export const loadModel = (folder: string, name: string): Model =>
  freeBatch(importModel(decodeModel(readFileSync(join(folder, name)))).model);

const PIXELS: RecordForm = { shape: [3, 32, 32], dtype: 'uint8', layout: 'CHW', label: 'uint8' };
const NORMALIZED: Preprocess = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const FEATURES: RecordForm = { shape: [49, 10], dtype: 'int8', label: 'uint8' };

const open = (path: string, form: RecordForm, model: Model, preprocess: Preprocess): Examples =>
  fitExamples(readRecords(readFileSync(path), form, path), model.graph.inputs, preprocess);

export const images = (folder: string, name: string, model: Model): Examples =>
  open(join(folder, name), PIXELS, model, NORMALIZED);

function classifier(
  runtime: Runtime,
  name: string,
  model: Model,
  calibration: Examples,
  scored: Examples,
): QuantizeCase {
  return {
    name,
    model,
    feeds: exampleFeeds(model, calibration),
    count: scored.count,
    score: async (made, own = runtime) => (await accuracyOf(own, made, scored)).correct,
  };
}

export function resnet20(runtime: Runtime, folder: string, seed = 1): QuantizeCase {
  const model = loadModel(folder, 'cifar_resnet20.onnx');
  const training = images(folder, 'cifar10_train_5000.bin', model);
  const [calibration] = splitExamples(training, SAMPLES.resnet20, seed);
  const scored = images(folder, 'cifar10_test_2000.bin', model);
  return { ...classifier(runtime, 'resnet20', model, calibration, scored), training };
}

export function keywords(runtime: Runtime, folder: string, seed = 1): QuantizeCase {
  const model = loadModel(folder, 'mlperftiny_kws_dscnn.onnx');
  const all = open(join(folder, 'kws01_1000.bin'), FEATURES, model, { scale: 0.5847029, zeroPoint: 83 });
  const [calibration] = splitExamples(all, SAMPLES.keywords, seed);
  return classifier(runtime, 'keywords', model, calibration, all);
}

const LETTERS = 6;

/** Inputs, then their answers but for the last letter. */
const rowsOf = (inputs: readonly (readonly number[])[], answers: readonly (readonly number[])[]): Feeds => ({
  idx: int64(
    [inputs.length, 2 * LETTERS - 1],
    inputs.flatMap((input, i) => [...input, ...answers[i]].slice(0, -1)),
  ),
});

const sorted = (letters: readonly number[]): number[] => [...letters].sort((a, b) => a - b);

export async function sorter(runtime: Runtime, folder: string, seed = 1): Promise<QuantizeCase> {
  const model = loadModel(folder, 'gpt_nano_sort.onnx');
  const all = Array.from({ length: 3 ** LETTERS }, (_, i) =>
    Array.from({ length: LETTERS }, (_, k) => Math.floor(i / 3 ** k) % 3),
  );
  const chosen = new Random(seed).shuffled(all).slice(0, SAMPLES.sorter);
  using program = await runtime.compile(model);
  const rows = rowsOf(all, all.map(sorted));
  return {
    name: 'sorter',
    model,
    feeds: [rowsOf(chosen, await answersOf(program, chosen))],
    count: all.length,
    score: (made, own = runtime) => sortedRight(own, made, rows, all),
  };
}

/** Greedy answers. */
async function answersOf(program: Program, inputs: readonly (readonly number[])[]): Promise<number[][]> {
  const rows = inputs.map(input => [...input]);
  for (let letter = 0; letter < LETTERS; letter++) {
    const { logits } = await program.call({ idx: int64([rows.length, rows[0].length], rows.flat()) });
    const width = rows[0].length;
    rows.forEach((row, i) => {
      const at = (i * width + width - 1) * 3;
      row.push(largest((logits.data as Float32Array).subarray(at, at + 3)));
    });
  }
  return rows.map(row => row.slice(LETTERS));
}

const largest = (values: Float32Array): number => values.indexOf(Math.max(...values));

async function sortedRight(
  runtime: Runtime,
  model: Model,
  rows: Feeds,
  all: readonly (readonly number[])[],
): Promise<number> {
  using program = await runtime.compile(model);
  const { logits } = await program.call(rows);
  const data = logits.data as Float32Array;
  return all.filter((letters, i) =>
    sorted(letters).every((letter, k) => {
      const at = (i * (2 * LETTERS - 1) + LETTERS - 1 + k) * 3;
      return largest(data.subarray(at, at + 3)) === letter;
    }),
  ).length;
}
