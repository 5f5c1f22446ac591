/**
 * One engine in a process of its own, driven by lines on stdin: so that its memory and loading can be told from a peer's.
 * Usage: node dist/bench/generation-worker.js gaslaw MODEL DTYPE THREADS
 *        node dist/bench/generation-worker.js llama-cpp FILE.gguf FOLDER THREADS   (node-llama-cpp is installed in FOLDER)
 *        node dist/bench/generation-worker.js transformers-js DIR:DTYPE FOLDER THREADS   (@huggingface/transformers there)
 * It says {loadSeconds, …} once, then {prefillMs, decodeMs, ids} for each `run PROMPT NEW`, and its peak memory in every line.
 */
import { argv } from 'node:process';
import { createInterface } from 'node:readline';
import { nodeFiles } from '../src/cli/node-files.ts';
import { type OpenDType, openLanguageModel } from '../src/export/language-model.ts';
import { Engine } from '../src/generate/engine.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { openLlama } from './llama-module.ts';
import { openTransformers } from './transformers-module.ts';

/** Positions that a run may take. */
const CAPACITY = 1024;

export interface RunTimes {
  /** Reading the prompt and choosing the first token. */
  readonly prefillMs: number;
  /** The tokens after it. */
  readonly decodeMs: number;
  /** What was chosen, likeliest tokens. */
  readonly ids: readonly number[];
}

type Answer = (prompt: number[], newTokens: number) => Promise<RunTimes>;

async function gaslaw(path: string, dtype: string, threads: number): Promise<Answer> {
  const options = dtype === 'as-exported' ? {} : { dtype: dtype as OpenDType };
  const language = await openLanguageModel(nodeFiles(), path, options);
  const decoder = await language.decoder(await nativeRuntime(), { threads });
  const engine = new Engine(decoder, { slots: 1, capacity: CAPACITY });
  return async (prompt, maxTokens) => {
    const started = performance.now();
    let first = 0;
    const onToken = () => void (first ||= performance.now());
    const { ids } = await engine.submit({ prompt, maxTokens, seed: 0, temperature: 0, onToken });
    return { prefillMs: first - started, decodeMs: performance.now() - first, ids };
  };
}

async function llamaCpp(file: string, folder: string, threads: number): Promise<Answer> {
  const llama = await openLlama(folder);
  const model = await llama.loadModel({ modelPath: file });
  const context = await model.createContext({ contextSize: CAPACITY, batchSize: 512, threads, sequences: 1 });
  const sequence = context.getSequence();
  return async (prompt, newTokens) => {
    await sequence.clearHistory();
    const started = performance.now();
    let first = 0;
    const ids: number[] = [];
    for await (const id of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
      first ||= performance.now();
      if (ids.push(id) === newTokens) break;
    }
    return { prefillMs: first - started, decodeMs: performance.now() - first, ids };
  };
}

async function transformersJs(place: string, folder: string, threads: number): Promise<Answer> {
  const { model, Tensor } = await openTransformers(place, folder, threads);
  return async (prompt, newTokens) => {
    const dims = [1, prompt.length];
    const started = performance.now();
    let first = 0;
    const ids: number[] = [];
    const put = ([values]: bigint[][]): void => {
      if (values?.length !== 1) return; // the prompt comes first
      first ||= performance.now();
      ids.push(Number(values[0]));
    };
    await model.generate({
      input_ids: new Tensor('int64', BigInt64Array.from(prompt, BigInt), dims),
      attention_mask: new Tensor('int64', new BigInt64Array(prompt.length).fill(1n), dims),
      max_new_tokens: newTokens,
      do_sample: false,
      streamer: { put, end() {} },
    });
    return { prefillMs: first - started, decodeMs: performance.now() - first, ids };
  };
}

const ENGINES = { gaslaw, 'llama-cpp': llamaCpp, 'transformers-js': transformersJs } as const;

const [, , engine, path = '', second = '', threads = '2'] = argv;
const say = (value: object): void => {
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  process.stdout.write(`${JSON.stringify({ ...value, peakRssBytes })}\n`);
};
const started = performance.now();
const open = ENGINES[engine as keyof typeof ENGINES];
const answer = await open(path, second, Number(threads));
say({ ready: true, loadSeconds: (performance.now() - started) / 1000 });
for await (const line of createInterface({ input: process.stdin })) {
  const [command, prompt, newTokens] = line.split(' ');
  if (command !== 'run') break;
  const ids = Array.from({ length: Number(prompt) }, (_, i) => 1 + ((i * 7919) % 255));
  say(await answer(ids, Number(newTokens)));
}
process.exit(0); // llama.cpp keeps threads alive
