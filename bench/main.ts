/**
 * Benchmarks: `npm run bench -- NAME [--python PATH] [--rounds N]`, each prints one JSON object.
 * Run them on an idle machine; peers are interleaved with ours in the same sitting.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { benchRollouts } from './rollouts.ts';
import { benchRuntime } from './runtime.ts';
import { benchText } from './text.ts';
import { benchTraining } from './training.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string' },
    rounds: { type: 'string' },
    text: { type: 'string' },
    seed: { type: 'string' },
  },
});
const rounds = Number(values.rounds ?? 7);

const BENCHES: Readonly<Record<string, () => Promise<unknown>>> = {
  training: () => benchTraining({ python: values.python, rounds, stepsPerRound: 4 }),
  rollouts: () => benchRollouts(rounds),
  runtime: () => benchRuntime(),
  text: () => benchText({ python: values.python, text: values.text, seed: Number(values.seed ?? 1) }),
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
