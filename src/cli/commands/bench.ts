/** `gaslaw bench <model>`: how fast a model reads and writes, or how long one run of any other graph takes. */
import { Command } from 'commander';
import { isLanguageModelFile } from '../../export/language-model.ts';
import { benchGeneration } from '../../generate/bench.ts';
import { loadOnnx, locateModel } from '../../models/resolve.ts';
import { benchGraph } from '../../runtime/bench.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { UsageError } from '../../util/errors.ts';
import { openModel } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import { whole } from '../options.ts';
import { createOutput, type Output } from '../output.ts';

interface BenchOptions {
  runs: number;
  seed: number;
  dim: string[];
  json?: boolean;
}

export const benchCommand = (): Command =>
  new Command('bench')
    .description('prefill and decode speed of a language model; median and 95th percentile of any other')
    .argument('<model>', 'run folder, Hugging Face directory or .onnx file')
    .option('--runs <n>', 'measured runs', whole('--runs', 1), 5)
    .option('--seed <n>', 'seed of the inputs', whole('--seed', 0), 1)
    .option(
      '--dim <name=n>',
      'value of a symbolic dimension; may be repeated',
      (v: string, all: string[]) => [...all, v],
      [],
    )
    .option('--json', 'print one JSON object')
    .action(run);

const peakRssBytes = (): number => process.resourceUsage().maxRSS * 1024;

async function run(path: string, o: BenchOptions): Promise<void> {
  const output = createOutput(o.json ?? false);
  const files = nodeFiles();
  const place = await locateModel(files, path);
  if (place.kind === 'onnx' && !(await isLanguageModelFile(files, place.path)))
    return graph(place.path, o, output);
  using opened = await openModel(path, output);
  const speed = await benchGeneration(opened.decoder, o);
  const result = { ...speed, loadSeconds: opened.loadSeconds, peakRssBytes: peakRssBytes() };
  output.result(result, () => [
    `prefill  ${result.prefillTokensPerSecond.toFixed(0)} tokens/s`,
    `decode   ${result.decodeTokensPerSecond.toFixed(0)} tokens/s`,
    `first token after ${result.timeToFirstTokenMs.toFixed(1)} ms, loaded in ${result.loadSeconds.toFixed(2)} s, peak ${(result.peakRssBytes / 1e6).toFixed(0)} MB`,
  ]);
}

async function graph(path: string, o: BenchOptions, output: Output): Promise<void> {
  const { model } = await loadOnnx(nodeFiles(), path);
  const speed = await benchGraph(await nativeRuntime({ warn: output.warn }), model, {
    ...o,
    dims: dimsOf(o.dim),
  });
  const result = { ...speed, peakRssBytes: peakRssBytes() };
  output.result(result, () => [
    `median ${speed.medianMs.toFixed(3)} ms, 95th percentile ${speed.p95Ms.toFixed(3)} ms, peak ${(result.peakRssBytes / 1e6).toFixed(0)} MB`,
  ]);
}

const dimsOf = (pairs: readonly string[]): Record<string, number> =>
  Object.fromEntries(
    pairs.map(pair => {
      const [name, value] = pair.split('=') as [string, string | undefined];
      if (value === undefined) throw new UsageError(`--dim ${pair}: write it as name=number`);
      return [name, whole(`--dim ${name}`, 1)(value)];
    }),
  );
