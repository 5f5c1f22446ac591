/** `gaslaw compress <model> --device ID`: the smallest model that still does the job on a device, and its files. */
import { Command } from 'commander';
import { latencyOf } from '../../compress/plan/budget.ts';
import {
  type Compressed,
  chosenText,
  compress,
  type Done,
  missedText,
} from '../../compress/plan/compress.ts';
import type { GivenData } from '../../compress/plan/data.ts';
import { openExamples } from '../../data/examples/open.ts';
import { deviceOf } from '../../devices/index.ts';
import { machineTimes, THIS_MACHINE } from '../../devices/latency/this-machine.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import { type CompressedLanguage, compressLanguageModel } from '../../export/compress-language-model.ts';
import type { Model } from '../../graph/ir.ts';
import { freeBatch } from '../../import/batch.ts';
import { openImported } from '../../models/open-graph.ts';
import { locateModel } from '../../models/resolve.ts';
import { assertDims } from '../../ops/bind-dims.ts';
import { bytes, milliseconds, percent, percentInterval, si } from '../../report/format.ts';
import { UsageError } from '../../util/errors.ts';
import { nameOf } from '../../util/files.ts';
import { checkpointSeconds, loadModule, openRuntime, stopSignal } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import {
  CONSTANT_OPTION,
  type Dims,
  dimOption,
  GRAPH_FILE,
  JSON_OPTION,
  refuse,
  TOKENIZER_OPTION,
  whole,
  within,
} from '../options.ts';
import { createOutput, type Output } from '../output.ts';
import { table } from '../table.ts';
import { VERSION } from '../version.ts';

interface Options {
  readonly device: string;
  readonly data?: string;
  readonly eval?: string;
  readonly maxLatency?: number;
  readonly maxMemory?: number;
  readonly maxDrop?: number;
  readonly epochs: number;
  readonly seed: number;
  readonly dim?: Dims;
  readonly constant?: ReadonlyMap<string, number>;
  readonly tokenizer?: string;
  readonly out?: string;
  readonly json?: boolean;
}

export const compressCommand = (): Command =>
  new Command('compress')
    .description('the smallest model that still does the job on a device, with its files and a report')
    .argument('<model>', `${GRAPH_FILE}, or a language model`)
    .requiredOption('--device <id>', 'see gaslaw devices')
    .option(
      '--data <path>',
      'folder of pictures, .npz, .jsonl, .mjs, or a .json that describes data; a text for language models',
    )
    .option(
      '--eval <path>',
      'what the result is told with (default: a part of --data that nothing learns from)',
    )
    .option('--max-latency <ms>', 'of one run', within('--max-latency', 0, 1e9))
    .option('--max-memory <bytes>', 'at its peak', whole('--max-memory', 1))
    .option('--max-drop <points>', 'of accuracy; hundredths of perplexity', within('--max-drop', 0, 100))
    .option('--epochs <n>', 'of recovery after pruning; 0 trains nothing', whole('--epochs', 0), 5)
    .option('--seed <n>', 'splits the data and seeds recovery', whole('--seed', 0), 1)
    .option('--out <dir>', 'default: compressed/<model>-<device>; the same folder goes on where it was')
    .option(...CONSTANT_OPTION)
    .option(...dimOption())
    .option(...TOKENIZER_OPTION)
    .option(...JSON_OPTION)
    .action(run);

const TRAINS = 'nothing of a language model is trained here; this is for graphs';
const SIZES = 'a language model takes texts of any length; this is for graphs';

/** What language models are compressed without, and why. */
const OF_GRAPHS = [
  ['max-latency', 'this is for graphs; how fast a language model answers is what gaslaw bench tells'],
  [
    'eval',
    'this is for graphs; a language model calibrates on the first nine tenths of --data and is scored on the last',
  ],
  ['epochs', TRAINS],
  ['seed', TRAINS],
  ['dim', SIZES],
  ['constant', SIZES],
] as const;

async function run(path: string, o: Options, command: Command): Promise<void> {
  const output = createOutput(o.json ?? false);
  const [device, files] = [deviceOf(o.device), nodeFiles()];
  const place = await locateModel(files, path);
  const folder = o.out ?? `compressed/${nameOf(path.replace(/\/+$/, '')).replace(/\.\w+$/, '')}-${device.id}`;
  if (place.kind !== 'onnx') {
    for (const [name, why] of OF_GRAPHS) refuse(command, [name], why);
    return language(path, folder, device, o, output);
  }
  refuse(command, ['tokenizer'], `${path} is no language model`);
  const { model, original } = await openImported(files, path, { foldNorms: false, numbers: o.constant });
  assertDims(model.graph, o.dim ?? new Map());
  const runtime = await openRuntime(output);
  const result = await compress(o.constant ? model : original, {
    runtime,
    files,
    folder,
    device,
    data: await dataOf(model, o),
    budget: {
      ...(o.maxLatency !== undefined && { maxLatencyMs: o.maxLatency }),
      ...(o.maxMemory !== undefined && { maxMemoryBytes: o.maxMemory }),
      ...(o.maxDrop !== undefined && { maxDropPoints: o.maxDrop }),
    },
    seed: o.seed,
    dims: o.dim ?? new Map(),
    recoveryEpochs: o.epochs,
    ...(device.id === THIS_MACHINE && { machine: await machineTimes(runtime) }),
    model: nameOf(place.path),
    command: `gaslaw ${process.argv.slice(2).join(' ')}`,
    version: VERSION,
    signal: stopSignal(output),
    checkpointSeconds: checkpointSeconds(),
    log: output.log,
    warn: output.warn,
    progress: output.progress,
  });
  output.result(resultOf(result, folder), () => lines(result, folder));
}

/** A language model: GGUF types, or ONNX directories, with perplexity as quality. */
async function language(
  path: string,
  folder: string,
  device: DeviceProfile,
  o: Options,
  output: Output,
): Promise<void> {
  const result = await compressLanguageModel(path, {
    files: nodeFiles(),
    folder,
    device,
    data: o.data,
    tokenizer: o.tokenizer,
    budget: {
      ...(o.maxMemory !== undefined && { maxMemoryBytes: o.maxMemory }),
      ...(o.maxDrop !== undefined && { maxDropPoints: o.maxDrop }),
    },
    version: VERSION,
    command: `gaslaw ${process.argv.slice(2).join(' ')}`,
    openRuntime: () => openRuntime(output),
    signal: stopSignal(output),
    log: output.log,
  });
  output.result(result, () => languageLines(result));
}

function languageLines({
  candidates,
  result,
  front,
  baseline,
  missed,
  rule,
  files,
}: CompressedLanguage): string[] {
  const names = new Set(front.map(c => c.name));
  const rows = candidates.map(c => [
    `${c.name === result.name ? '→ ' : '  '}${c.name}${names.has(c.name) ? ' *' : ''}`,
    bytes(c.bytes),
    c.perplexity?.toFixed(3) ?? '',
  ]);
  const whole = ['  as it came', bytes(baseline.bytes), baseline.perplexity?.toFixed(3) ?? ''];
  return [
    ...table([['', 'file', 'perplexity'], whole, ...rows], ['left', 'right', 'right']),
    '* on the Pareto front',
    ...(missed.length > 0 ? [`the budget is not met: nearest is ${result.name}: ${missed.join('; ')}`] : []),
    `rule: ${rule}`,
    ...files,
  ];
}

async function dataOf(model: Model, o: Options): Promise<GivenData> {
  const { inputs } = freeBatch(model).graph;
  const open = (path: string) => openExamples(nodeFiles(), path, inputs, { loadModule });
  if (o.data === undefined && o.eval !== undefined)
    throw new UsageError('--eval needs --data, which calibrates and trains');
  return {
    ...(o.data !== undefined && { examples: await open(o.data) }),
    ...(o.eval !== undefined && { evaluation: await open(o.eval) }),
  };
}

function figuresOf(d: Done): Record<string, unknown> {
  const { quality, bytes: size, macs, peakMemoryBytes, estimatedMs, measuredMs, deploys } = d;
  return {
    name: d.name,
    quality: quality.kind,
    ...(quality.kind === 'accuracy'
      ? { accuracy: quality.value, accuracyInterval: quality.interval }
      : {
          [quality.kind]: quality.value,
          ...(quality.interval && { [`${quality.kind}Interval`]: quality.interval }),
        }),
    ...(quality.lost && { lostInterval: quality.lost }),
    bytes: size,
    weightBytes: d.weightBytes,
    macs,
    peakMemoryBytes,
    estimatedMs,
    ...(d.estimate && { estimate: d.estimate }),
    measuredMs,
    deploys,
  };
}

function resultOf(result: Compressed, folder: string): Record<string, unknown> {
  const { device, done, failed, front, choice, files } = result;
  const named = (name: string) => done.find(d => d.name === name) as Done;
  const chosen = named(choice.chosen.name);
  return {
    device,
    met: choice.met,
    rule: result.rule,
    ...(choice.unsure && { unsure: choice.unsure }),
    ...(choice.met ? {} : { missed: choice.misses }),
    baseline: figuresOf(done[0]),
    result: {
      output: files[0],
      ...figuresOf(chosen),
      notes: chosen.notes,
      fixes: chosen.fixes,
      findings: chosen.findings,
    },
    front: front.map(name => figuresOf(named(name))),
    failed,
    files: [...files, `${folder}/front.json`, `${folder}/report.html`],
  };
}

const SIDES = ['left', 'right', 'left', 'right', 'right', 'right', 'right', 'left'] as const;

function lines(result: Compressed, folder: string): string[] {
  const { done, choice, front, files } = result;
  const rows = done.map(d => [
    `${d.name === choice.chosen.name ? '→ ' : '  '}${d.name}${front.includes(d.name) ? ' *' : ''}`,
    percent(d.quality.value),
    percentInterval(d.quality.interval),
    bytes(d.bytes),
    si(d.macs),
    bytes(d.peakMemoryBytes),
    milliseconds(latencyOf(d)),
    d.deploys ? '' : 'does not deploy',
  ]);
  const head = ['', done[0].quality.kind, '95 % interval', 'file', 'multiply-adds', 'memory', 'latency', ''];
  return [
    ...table([head, ...rows], SIDES),
    '* on the Pareto front',
    ...(choice.met ? [] : [missedText(result)]),
    `rule: ${result.rule}`,
    chosenText(result),
    ...(files.length > 0
      ? files
      : [`nothing was written: ${choice.chosen.whyNotWritten ?? 'no format fits'}`]),
    `${folder}/report.html`,
  ];
}
