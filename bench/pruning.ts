/**
 * The sorting GPT with less of it: `npm run bench -- pruning`. How many of 364 inputs it still sorts right.
 *
 * 1. Of the 729 inputs (six letters of three) every second one, with the whole model's answer, is what pruning and recovery
 *    learn from; the others are counted, answered greedily letter by letter.
 * 2. Recovery by distillation from the whole model: 60 epochs, three seeds (`--seeds`). Model: `../shared/data/gpt_nano_sort.onnx`.
 */
import { readFileSync } from 'node:fs';
import { type PruneTask, prune } from '../src/compress/prune/run.ts';
import { macsOf } from '../src/compress/prune/structured.ts';
import type { Examples } from '../src/data/examples/examples.ts';
import { int64, type Model, type Tensor } from '../src/graph/ir.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { importModel } from '../src/import/index.ts';
import { inferShapes } from '../src/ops/infer.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';

const [LETTERS, LENGTH, INPUTS] = [3, 6, 729];

const TASKS: Readonly<Record<string, PruneTask>> = {
  ...Object.fromEntries(
    (['magnitude', 'wanda', 'sparsegpt'] as const).flatMap(method => [
      [`half the weights, ${method}`, { kind: 'weights', pattern: { share: 0.5 }, method }],
      [`2 of 4 weights, ${method}`, { kind: 'weights', pattern: { keep: 2, of: 4 }, method }],
      [`30 % of the weights, ${method}`, { kind: 'weights', pattern: { share: 0.7 }, method }],
    ]),
  ),
  ...Object.fromEntries(
    (['magnitude', 'activation'] as const).map(importance => [
      `half the multiply-adds, ${importance}`,
      { kind: 'channels', importance, target: { keep: 0.5, of: 'macs' } },
    ]),
  ),
  'without its least layer': { kind: 'layers', count: 1 },
  'without two layers': { kind: 'layers', count: 2 },
};

const inputOf = (i: number): number[] =>
  Array.from({ length: LENGTH }, (_, k) => Math.floor(i / LETTERS ** k) % LETTERS);

/** Rows of letters and greedy answers, without the last one: [rows, 11]. */
async function answered(runtime: Runtime, model: Model, rows: number[][]): Promise<number[][]> {
  using program = await runtime.compile(model);
  let all = rows;
  for (let step = 0; step < LENGTH; step++) {
    const length = LENGTH + step;
    const logits = (await program.call({ idx: int64([all.length, length], all.flat()) })).logits as Tensor;
    all = all.map((row, r) => {
      const last = ((r + 1) * length - 1) * LETTERS;
      const scores = Array.from({ length: LETTERS }, (_, k) => Number(logits.data[last + k]));
      return [...row, scores.indexOf(Math.max(...scores))];
    });
  }
  return all;
}

const isSorted = (row: readonly number[]): boolean =>
  row.slice(0, LENGTH).sort().join() === row.slice(LENGTH).join();

export async function benchPruning(seeds: number, data = '../shared/data'): Promise<unknown> {
  const { model } = importModel(decodeModel(readFileSync(`${data}/gpt_nano_sort.onnx`)));
  inferShapes(model.graph);
  const runtime = await nativeRuntime();
  const all = Array.from({ length: INPUTS }, (_, i) => inputOf(i));
  const [shown, counted] = [0, 1].map(odd => all.filter((_, i) => i % 2 === odd)) as [number[][], number[][]];
  const sequences = (await answered(runtime, model, shown)).map(row => row.slice(0, -1));
  const examples: Examples = {
    name: 'sorted letters',
    count: sequences.length,
    batch: at => ({
      idx: int64(
        [at.length, 2 * LENGTH - 1],
        at.flatMap(i => sequences[i] as number[]),
      ),
    }),
  };
  const right = async (m: Model) => (await answered(runtime, m, counted)).filter(isSorted).length;
  const rows: unknown[] = [{ task: 'whole', of: counted.length, right: await right(model) }];
  for (const [name, task] of Object.entries(TASKS)) {
    const pruned = (await prune(runtime, model, task, examples)).model;
    const recovered: number[] = [];
    for (let seed = 1; seed <= seeds; seed++) {
      const recovery = { epochs: 60, seed };
      recovered.push(await right((await prune(runtime, model, task, examples, { recovery })).model));
    }
    const macs = macsOf(pruned.graph) / macsOf(model.graph);
    rows.push({ task: name, macs, right: await right(pruned), recovered });
    process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
  }
  return rows;
}
