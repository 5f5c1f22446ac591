/**
 * Models that are quantized, what calibrates them, and how many answers are right.
 *
 * 1. ResNet-20 calibrates on 512 of the training images and is scored on 2,000 others; the sorter calibrates on answers of
 *    the float model to 64 inputs and is scored on all 729; of keywords only the scored inputs exist, so 128 of them calibrate.
 * 2. The sorter is right when every letter of its greedy answer is; given the right letters so far that is the same.
 * 3. Right answers differ by chance between files that lose nothing; how many answers are the float model's, and the error of
 *    the outputs, tell them apart.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { accuracyOf, compareModels } from '../../src/compress/evaluate.ts';
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
  score(model: Model, runtime?: Runtime): Promise<Score>;
}

/** On the scored inputs. */
export interface Score {
  readonly right: number;
  /** Answers that are the float model's. */
  readonly same: number;
  /** Of the outputs, in dB. */
  readonly sqnr: number;
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
    async score(made, own = runtime) {
      const { correct } = await accuracyOf(own, made, scored);
      const { sqnr, agreement } = await compareModels(own, model, made, scored);
      return { right: correct, same: agreement?.correct ?? 0, sqnr: Object.values(sqnr)[0] };
    },
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
  const truth = all.map(sorted);
  const rows = rowsOf(all, truth);
  using program = await runtime.compile(model);
  const wanted = await logitsOf(program, rows);
  return {
    name: 'sorter',
    model,
    feeds: [rowsOf(chosen, await answersOf(program, chosen))],
    count: all.length,
    async score(made, own = runtime) {
      using quantized = await own.compile(made);
      const got = await logitsOf(quantized, rows);
      const [theirs, answers] = [lettersOf(wanted), lettersOf(got)];
      return {
        right: equalRows(answers, truth),
        same: equalRows(answers, theirs),
        sqnr: sqnrOf(wanted, got),
      };
    },
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

const logitsOf = async (program: Program, rows: Feeds): Promise<Float32Array> =>
  (await program.call(rows)).logits.data as Float32Array;

/** Answers given the right letters so far. */
function lettersOf(logits: Float32Array): number[][] {
  const width = 2 * LETTERS - 1;
  return Array.from({ length: logits.length / (3 * width) }, (_, i) =>
    Array.from({ length: LETTERS }, (_, k) => {
      const at = (i * width + LETTERS - 1 + k) * 3;
      return largest(logits.subarray(at, at + 3));
    }),
  );
}

const equalRows = (a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number =>
  a.filter((row, i) => row.every((letter, k) => letter === b[i][k])).length;

function sqnrOf(wanted: Float32Array, got: Float32Array): number {
  let [signal, noise] = [0, 0];
  wanted.forEach((y, i) => {
    signal += y * y;
    noise += (y - got[i]) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}
