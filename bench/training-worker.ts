/**
 * One training process with the line protocol of bench/peers/train_step.py: `step N` → {seconds, loss, peakRssBytes}.
 * Usage: node dist/bench/training-worker.js 3.7m|30m
 */
import { createInterface } from 'node:readline';
import { packAll } from '../src/data/packing.ts';
import { denseConfig, denseModel } from '../src/models/dense/index.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { languageModelTraining } from '../src/train/language-model.ts';
import { Random } from '../src/util/random.ts';

const SHAPES = {
  '3.7m': { vocab: 512, d: 256, layers: 4, heads: 4, ffn: 768, batch: 16, micro: 8, length: 256, rate: 1e-3 },
  '30m': {
    vocab: 4096,
    d: 512,
    layers: 8,
    heads: 8,
    ffn: 1408,
    batch: 16,
    micro: 4,
    length: 256,
    rate: 3e-4,
  },
} as const;

const name = process.argv[2] as keyof typeof SHAPES;
const shape = SHAPES[name];
if (!shape) throw new Error(`shape "${name}": one of ${Object.keys(SHAPES).join(', ')}`);

const model = denseModel(
  denseConfig({
    vocabSize: shape.vocab,
    hiddenSize: shape.d,
    numHiddenLayers: shape.layers,
    numAttentionHeads: shape.heads,
    intermediateSize: shape.ffn,
    maxPositionEmbeddings: shape.length,
  }),
);

/** The batch of a step in pieces of `micro` rows: rows of the sequence x ← 3x + 7 mod V from random starts: learnable, so the loss shows that training works. */
function batch(index: number) {
  const random = new Random(index);
  const documents = Array.from({ length: shape.batch }, () => {
    let x = random.int(shape.vocab);
    return { ids: Array.from({ length: shape.length + 1 }, () => (x = (3 * x + 7) % shape.vocab)) };
  });
  return packAll(documents, { rows: shape.micro, length: shape.length });
}

const runtime = await nativeRuntime();
const store = new ParameterStore(model.parameters).initialize(new Random(1));
const training = await languageModelTraining(runtime, model, store, {
  data: { next: batch },
  packed: false,
  threads: 2,
  schedule: { kind: 'constant', rate: shape.rate },
  optimizer: { kind: 'adamw', weightDecay: 0.1 },
});
const flopsPerStep = 3 * model.forwardFlops(shape.length) * shape.batch * shape.length;

let index = 0;
let loss = 0;
const step = async () => {
  loss = (await training.step(index++)).loss as number;
};
for (let i = 0; i < 3; i++) await step();
const say = (object: unknown) => process.stdout.write(`${JSON.stringify(object)}\n`);
say({ ready: true, parameters: store.count, flopsPerStep });

for await (const line of createInterface({ input: process.stdin })) {
  const [word, count] = line.trim().split(' ');
  if (word === 'quit') break;
  const started = performance.now();
  for (let i = 0; i < Number(count); i++) await step();
  say({
    seconds: (performance.now() - started) / 1000,
    loss,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  });
}
process.exit(0);
