/**
 * Benchmarks: `npm run bench -- NAME [options]`, each prints one JSON object.
 * Run them on an idle machine; peers are interleaved with ours in the same sitting.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { benchAgreement } from './agreement.ts';
import { experiment } from './architecture/experiment.ts';
import { EXPERIMENTS, type ExperimentName } from './architecture/variants.ts';
import { benchDigits } from './digits.ts';
import { benchExperts } from './experts.ts';
import { benchFineTune } from './fine-tune.ts';
import { latency } from './latency.ts';
import { benchLlamaCpp } from './llama-cpp.ts';
import { benchOnnxBackend } from './onnx-backend.ts';
import { benchPruning } from './pruning.ts';
import { benchQuantize } from './quantize/index.ts';
import { benchQuantizers } from './quantizers.ts';
import { benchRealModels } from './real-models.ts';
import { benchRecovery } from './recovery.ts';
import { benchRollouts } from './rollouts.ts';
import { benchRounding } from './rounding.ts';
import { benchRuntime } from './runtime.ts';
import { soak } from './soak.ts';
import { benchText } from './text.ts';
import { benchTokenizers } from './tokenizers.ts';
import { benchTraining } from './training.ts';
import { benchTransformersJs } from './transformers-js.ts';
import { benchWeightOnly } from './weight-only/index.ts';
import { benchDecoderPruning } from './weight-only/pruning.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string' },
    rounds: { type: 'string' },
    text: { type: 'string' },
    seed: { type: 'string' },
    models: { type: 'string' },
    peer: { type: 'string' },
    shape: { type: 'string' },
    threads: { type: 'string' },
    requests: { type: 'string' },
    tokenizer: { type: 'string' },
    steps: { type: 'string' },
    seeds: { type: 'string' },
    log: { type: 'string' },
    data: { type: 'string' },
  },
});
const rounds = Number(values.rounds ?? 7);

function needed(option: 'models' | 'peer' | 'data'): string {
  const value = values[option];
  if (value === undefined) throw new Error(`--${option} is missing`);
  return value;
}

const architecture = (name: ExperimentName) =>
  experiment(name, {
    steps: Number(values.steps ?? 1000),
    seeds: Number(values.seeds ?? 3),
    log: values.log,
    data: values.data,
  });

const BENCHES: Readonly<Record<string, () => Promise<unknown>>> = {
  training: () => benchTraining({ python: values.python, rounds, stepsPerRound: 4 }),
  rollouts: () => benchRollouts(rounds),
  runtime: () => benchRuntime(),
  latency: async () => latency(),
  experts: () => benchExperts(rounds),
  'onnx-backend': async () => benchOnnxBackend(values.data),
  'fine-tune': () => benchFineTune({ data: values.data, python: values.python, rounds }),
  'real-models': () => benchRealModels(values.data),
  rounding: () => benchRounding(needed('peer'), Number(values.seeds ?? 1)),
  agreement: () => benchAgreement(needed('peer'), values.models, Number(values.seeds ?? 1)),
  quantize: () =>
    benchQuantize({
      folder: needed('data'),
      only: values.models,
      python: values.python,
      seed: Number(values.seed ?? 1),
      ...(values.steps !== undefined && { epochs: Number(values.steps) }),
    }),
  quantizers: () => benchQuantizers(needed('peer'), values.models),
  'llama-cpp': () =>
    benchLlamaCpp({
      models: needed('models'),
      peer: needed('peer'),
      rounds,
      threads: Number(values.threads ?? cpus().length),
    }),
  'weight-only': () =>
    benchWeightOnly({
      data: values.data ?? '../shared/data',
      models: values.models ?? 'runs/weight-only',
      peer: values.peer,
    }),
  'decoder-pruning': () =>
    benchDecoderPruning({
      data: values.data ?? '../shared/data',
      models: values.models ?? 'runs/weight-only',
      seeds: Number(values.seeds ?? 3),
      steps: Number(values.steps ?? 100),
      log: values.log,
    }),
  'transformers-js': () =>
    benchTransformersJs({
      models: needed('models'),
      peer: needed('peer'),
      shape: values.shape ?? 'smollm2-135m',
      rounds: Number(values.rounds ?? 3),
      threads: Number(values.threads ?? cpus().length),
    }),
  tokenizers: async () =>
    benchTokenizers({ python: values.python, text: values.text, tokenizer: values.tokenizer, rounds }),
  ...Object.fromEntries(
    Object.keys(EXPERIMENTS).map(name => [name, () => architecture(name as ExperimentName)]),
  ),
  pruning: () => benchPruning(Number(values.seeds ?? 3), values.data),
  recovery: () =>
    benchRecovery({
      seeds: Number(values.seeds ?? 3),
      steps: Number(values.steps ?? 3000),
      rounds: Number(values.rounds ?? 1),
      threads: Number(values.threads ?? 0),
      log: values.log,
      data: values.data,
    }),
  digits: () => benchDigits(needed('models')),
  soak: () => soak(Number(values.requests ?? 10_000), Number(values.seed ?? 1)),
  text: () =>
    benchText({
      python: values.python,
      text: values.text,
      seed: Number(values.seed ?? 1),
      rounds: Number(values.rounds ?? 3),
    }),
};

const name = positionals[0] ?? '';
const bench = BENCHES[name];
if (bench) {
  const result = await bench();
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, load: loadavg()[0], node: process.version };
  process.stdout.write(`${JSON.stringify({ bench: name, machine, result }, null, 2)}\n`);
} else {
  process.stderr.write(`bench "${name}": one of ${Object.keys(BENCHES).join(', ')}\n`);
  process.exitCode = 2;
}
