/**
 * Which examples do what: those that calibrate or train never evaluate.
 *
 * 1. With training data of their own, all examples evaluate. Otherwise the seed splits them: up to 128 calibrate, half of the rest train
 *    (where anything is trained) and the others evaluate.
 * 2. Without data random inputs take their place: they have no labels, and only nearness to the original is measured.
 */
import { type Examples, splitExamples, subset } from '../../data/examples/examples.ts';
import type { Model, Tensor } from '../../graph/ir.ts';
import { UsageError } from '../../util/errors.ts';
import { Random } from '../../util/random.ts';
import { randomFeeds } from '../quantize/static/feeds.ts';

export interface SplitData {
  readonly calibration: Examples;
  readonly training?: Examples;
  readonly evaluation: Examples;
  /** In words. */
  readonly note: string;
}

export interface GivenData {
  /** What calibrates and trains, and without `evaluation` evaluates too, each with a part of its own. */
  readonly examples?: Examples;
  readonly evaluation?: Examples;
}

const CALIBRATION = 128;
const RANDOM = 64;

export function splitData(
  model: Model,
  { examples, evaluation: apart }: GivenData,
  seed: number,
  trains: boolean,
  dims: ReadonlyMap<string, number>,
): SplitData {
  if (!examples) return randomData(model, seed, dims);
  const split = splitGiven(examples, apart, seed, trains);
  const { name, labels } = split.evaluation;
  const note = `${split.note}; ${name} has no labels, so what the original answers stands for what is right`;
  return labels ? split : { ...split, note };
}

function splitGiven(
  examples: Examples,
  apart: Examples | undefined,
  seed: number,
  trains: boolean,
): SplitData {
  if (apart) {
    const calibration = chosen(examples, Math.min(CALIBRATION, examples.count), seed);
    const note = `${apart.count} examples of ${apart.name} evaluate, ${examples.count} of ${examples.name} train, ${calibration.count} of them calibrate`;
    return { calibration, training: examples, evaluation: apart, note };
  }
  const [calibration, rest] = splitExamples(
    examples,
    Math.min(CALIBRATION, Math.ceil(examples.count / 5)),
    seed,
  );
  if (!trains || rest.count < 2)
    return {
      calibration,
      evaluation: rest,
      note: `of ${examples.name} ${calibration.count} examples calibrate and the other ${rest.count} evaluate`,
    };
  const [taught, evaluation] = splitExamples(rest, Math.floor(rest.count / 2), seed);
  const note = `of ${examples.name} ${calibration.count} examples calibrate, ${taught.count} train and the other ${evaluation.count} evaluate`;
  return { calibration, training: taught, evaluation, note };
}

function chosen(examples: Examples, count: number, seed: number): Examples {
  const all = Array.from({ length: examples.count }, (_, i) => i);
  return subset(examples, new Random(seed).fork('calibration').shuffled(all).slice(0, count));
}

function randomData(model: Model, seed: number, dims: ReadonlyMap<string, number>): SplitData {
  checkKnown(model, dims);
  const [calibration, evaluation] = [seed, seed + 1].map(s => randomExamples(model, s, dims)) as [
    Examples,
    Examples,
  ];
  return {
    calibration,
    evaluation,
    note: 'no data: random inputs calibrate and compare with the original; accuracy is not known',
  };
}

/** Throws a UsageError when an input has a dim without a number besides its batch: random inputs of any size may say nothing. */
function checkKnown({ graph }: Model, dims: ReadonlyMap<string, number>): void {
  const inputs = graph.inputs.filter(input => !graph.initializers.has(input.name));
  const batches = new Set(inputs.map(({ shape }) => shape?.[0]));
  for (const { name, shape } of inputs) {
    const open = shape?.find(dim => typeof dim === 'string' && !dims.has(dim) && !batches.has(dim));
    if (open !== undefined)
      throw new UsageError(
        `input "${name}" has a dimension without a number (${open}), and without data its size is not known; give it a number, or data`,
        'dims',
      );
  }
}

/** Random inputs as examples, one row each. */
function randomExamples(model: Model, seed: number, dims: ReadonlyMap<string, number>): Examples {
  const feeds = randomFeeds(model.graph, { samples: RANDOM, seed, dims });
  return {
    name: 'random inputs',
    count: RANDOM,
    batch: indices => {
      const rows = indices.map(i => feeds[i]);
      return Object.fromEntries(
        Object.keys(rows[0]).map(name => [name, stacked(rows.map(row => row[name]))]),
      );
    },
  };
}

/** Tensors one after another along the first axis. */
function stacked(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (tensors.length === 1) return first;
  const length = first.data.length;
  const data = first.data.slice(0, 0).constructor as new (length: number) => Float32Array; // any kind of array
  const out = new data(length * tensors.length);
  tensors.forEach((t, i) => void out.set(t.data as Float32Array, i * length));
  return { ...first, dims: [(first.dims[0] ?? 1) * tensors.length, ...first.dims.slice(1)], data: out };
}
