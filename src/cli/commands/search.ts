/** `gaslaw search <model> --device ID --data DATA`: smaller networks inside a network, as a front of accuracy and cost. */
import { Command } from 'commander';
import { accuracyOf } from '../../compress/evaluate.ts';
import { hypervolume } from '../../compress/search/pareto.ts';
import { searchBlocks } from '../../compress/search/replace.ts';
import { fitted } from '../../compress/search/resolution.ts';
import {
  type ModelCost,
  type SearchedModel,
  type SearchResult,
  searchModel,
} from '../../compress/search/run.ts';
import { type AugmentName, augmentNamed } from '../../data/augment.ts';
import { type Examples, labelsOf } from '../../data/examples/examples.ts';
import { openExamples } from '../../data/examples/open.ts';
import { deviceOf } from '../../devices/index.ts';
import { machineTimes, THIS_MACHINE } from '../../devices/latency/this-machine.ts';
import type { DeviceProfile } from '../../devices/profile.ts';
import type { Model } from '../../graph/ir.ts';
import { encodeModel } from '../../graph/protobuf.ts';
import { freeBatch } from '../../import/batch.ts';
import { openImported } from '../../models/open-graph.ts';
import { bytes, milliseconds, percent, percentInterval, si } from '../../report/format.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { UsageError } from '../../util/errors.ts';
import { loadModule, openRuntime } from '../environment.ts';
import { nodeFiles } from '../node-files.ts';
import { AUGMENT_OPTION, GRAPH_FILE, JSON_OPTION, oneOf, refuse, whole, within } from '../options.ts';
import { createOutput } from '../output.ts';
import { trainingProgress } from '../progress.ts';
import { table } from '../table.ts';

interface Options {
  readonly device: string;
  readonly data: string;
  readonly eval?: string;
  readonly method: 'elastic' | 'blocks';
  readonly points: number;
  readonly widths: readonly number[];
  readonly depth: boolean;
  readonly kernels: boolean;
  readonly bits?: readonly (8 | 32)[];
  readonly zeros?: readonly number[];
  readonly pictures?: readonly number[];
  readonly maxEnergy?: number;
  readonly epochs: number;
  readonly rate: number;
  readonly population: number;
  readonly generations: number;
  readonly maxLatency?: number;
  readonly maxMemory?: number;
  readonly augment?: readonly AugmentName[];
  readonly seed: number;
  readonly out: string;
  readonly json?: boolean;
}

export const searchCommand = (): Command =>
  new Command('search')
    .description('find smaller networks inside a network: a front of accuracy and cost on a device')
    .argument('<model>', GRAPH_FILE)
    .requiredOption('--device <id>', 'whose milliseconds count; see gaslaw devices')
    .requiredOption(
      '--data <path>',
      'examples that train and choose: .npz, a folder of images, or a .json spec',
    )
    .option('--eval <path>', 'examples that the front is told with (default: those that chose)')
    .option(
      '--method <name>',
      'elastic (all sizes are trained together) or blocks (each part is scored, the choice made exactly)',
      oneOf('--method', ['elastic', 'blocks']),
      'elastic',
    )
    .option('--points <n>', 'networks that blocks makes', whole('--points', 1), 6)
    .option(
      '--widths <shares>',
      'shares of channels that layers may keep',
      sharesOf('--widths'),
      [0.25, 0.5, 0.75],
    )
    .option('--no-depth', 'keep all residual branches')
    .option('--no-kernels', 'keep the sizes of kernels')
    .option(
      '--bits <list>',
      '32 (float), 8 (integers), or both (default: what the device computes in)',
      bitsOf,
    )
    .option(
      '--zeros <shares>',
      'shares of weights that are tried as 0 on devices that leave them out; their bytes count then',
      sharesOf('--zeros'),
    )
    .option(
      '--pictures <shares>',
      'shares of the sides of pictures that are tried (elastic)',
      sharesOf('--pictures'),
    )
    .option('--epochs <n>', 'over the data, of training all sizes together', within('--epochs', 0, 1e4), 10)
    .option('--rate <r>', 'highest learning rate', within('--rate', 0, 1), 1e-3)
    .option(...AUGMENT_OPTION)
    .option('--population <n>', 'networks in a generation', whole('--population', 4), 24)
    .option('--generations <n>', 'of the evolutionary search', whole('--generations', 1), 10)
    .option('--max-latency <ms>', 'milliseconds that a network may take', within('--max-latency', 0, 1e9))
    .option('--max-memory <bytes>', 'of weights and activations', whole('--max-memory', 1))
    .option(
      '--max-energy <mJ>',
      'of one run, where that is known of the device',
      within('--max-energy', 0, 1e9),
    )
    .option('--seed <n>', 'equal seeds, equal searches', whole('--seed', 0), 1)
    .requiredOption('--out <dir>', 'where the networks and front.json go')
    .option(...JSON_OPTION)
    .action(run);

const listOf = (name: string, text: string, parse: (item: string) => number): number[] => {
  const items = text.split(',').map(item => parse(item.trim()));
  if (new Set(items).size !== items.length) throw new UsageError(`${name} ${text}: an item is there twice`);
  return items;
};
const sharesOf =
  (name: string) =>
  (text: string): number[] =>
    listOf(name, text, within(name, 0.01, 1));

function bitsOf(text: string): (8 | 32)[] {
  return listOf('--bits', text, Number).map(n => {
    if (n === 8 || n === 32) return n;
    throw new UsageError(`--bits ${text}: give 8, 32 or both`);
  });
}

async function run(path: string, o: Options, command: Command): Promise<void> {
  const output = createOutput(o.json ?? false);
  const files = nodeFiles();
  const device = deviceOf(o.device);
  if (o.method === 'blocks')
    refuse(
      command,
      ['kernels', 'population', 'generations', 'rate', 'zeros', 'pictures'],
      'blocks are chosen exactly; leave it out, or use --method elastic',
    );
  else
    refuse(
      command,
      ['points'],
      'the front of elastic networks has as many as there are; use --method blocks',
    );
  refuse(
    command,
    ['max-energy'],
    `nothing published says what a layer costs ${device.id} in energy, or any other device here; limit --max-latency`,
  );
  const model = freeBatch((await openImported(files, path)).model);
  const inputs = model.graph.inputs.filter(i => !model.graph.initializers.has(i.name));
  const open = (data: string) => openExamples(files, data, inputs, { loadModule });
  const examples = await open(o.data);
  const test = o.eval === undefined ? undefined : await open(o.eval);
  if (test) labelsOf(test);
  const runtime = await openRuntime(output);
  const [scored, told] = ['score', 'learn'].map(stage => trainingProgress(stage, performance.now()));
  const search = o.method === 'blocks' ? searchBlocks : searchModel;
  const found = await search(runtime, model, {
    ...o,
    device,
    bits: o.bits ?? bitsFor(device),
    estimateMs: device.id === THIS_MACHINE ? await machineTimes(runtime) : undefined,
    examples,
    batchSize: 64,
    maxLatencyMs: o.maxLatency,
    maxMemoryBytes: o.maxMemory,
    augment: o.augment && augmentNamed(o.augment),
    onScore: (done, of) => output.progress(scored(done, of, {})),
    onTraining: (step, steps, metrics) => output.progress(told(step, steps, metrics)),
    onGeneration: (generation, front) => output.log(generationText(generation, o, front)),
  });
  const tests = await Promise.all(found.front.map(f => tell(runtime, f.judged.model, test)));
  const front = [];
  for (const [i, { judged, genome, precision }] of found.front.entries()) {
    const file = `${o.out}/network-${i + 1}.onnx`;
    await files.write(file, encodeModel(judged.model));
    front.push({
      output: file,
      ...qualityOf(judged.error, tests[i]),
      ...costOf(judged),
      precision,
      choices: choicesOf(found, genome),
    });
  }
  const baseline = {
    ...qualityOf(found.baseline.error, await tell(runtime, model, test)),
    ...costOf(found.baseline),
  };
  const met = front.length > 0;
  const { judged, space } = found;
  const covered = coveredBy(found);
  const result = { device: device.id, met, baseline, front, hypervolume: covered, judged, space };
  await files.write(`${o.out}/front.json`, `${JSON.stringify(result, undefined, 2)}\n`);
  output.result(result, () => lines(result, found, o));
}

/** Share of the box between no error at no cost and all wrong at the whole model's cost that the front covers. */
const coveredBy = ({ front, baseline }: SearchResult): number =>
  hypervolume(
    front.map(({ judged }) => [judged.error, (judged.costs[0] as number) / (baseline.costs[0] as number)]),
    [1, 1],
  );

/** Float and integers where the device has both. */
function bitsFor(device: DeviceProfile): (8 | 32)[] {
  const has = (name: string) => device.precisions.value.some(p => p.startsWith(name));
  return [...(has('float') ? [32 as const] : []), ...(has('int8') ? [8 as const] : [])];
}

const tell = async (runtime: Runtime, model: Model, test: Examples | undefined) =>
  test && accuracyOf(runtime, model, fitted(test, model.graph));

interface Quality {
  readonly accuracy: number;
  readonly accuracyInterval?: readonly [number, number];
}

/** What was told apart from the search, or what the search chose by. */
const qualityOf = (error: number, told: Awaited<ReturnType<typeof tell>>): Quality =>
  told ? { accuracy: told.accuracy, accuracyInterval: told.interval } : { accuracy: 1 - error };

const costOf = ({ macs, bytes: size, peakMemoryBytes, estimatedMs }: ModelCost): ModelCost => ({
  macs,
  bytes: size,
  peakMemoryBytes,
  ...(estimatedMs !== undefined && { estimatedMs }),
});

const choicesOf = ({ axes }: SearchResult, genome: readonly number[]) =>
  axes.map(({ kind, name, choices }, i) => ({ kind, name, kept: choices[genome[i]], of: choices.at(-1) }));

function generationText(generation: number, o: Options, front: readonly SearchedModel[]): string {
  const best = front[0];
  const range = best ? `, best ${percent(1 - best.judged.error)}` : ', none within the limits yet';
  const part = o.method === 'blocks' ? `network ${generation}` : `generation ${generation}/${o.generations}`;
  return `${part}: ${front.length} on the front${range}`;
}

type Row = Quality & ModelCost & { readonly precision?: string; readonly output?: string };

function lines(
  { met, baseline, front }: { met: boolean; baseline: Row; front: readonly Row[] },
  { nearest, judged, space }: SearchResult,
  { out }: Options,
): string[] {
  const rows = [['', 'right', '95 %', 'multiply-adds', 'weights', 'memory', 'estimated']];
  for (const r of [baseline, ...front])
    rows.push([
      r.output ?? 'as it was',
      percent(r.accuracy),
      r.accuracyInterval ? percentInterval(r.accuracyInterval) : '',
      si(r.macs),
      bytes(r.bytes),
      bytes(r.peakMemoryBytes),
      r.estimatedMs === undefined ? '' : milliseconds(r.estimatedMs),
    ]);
  const text = table(rows, ['left', 'right', 'right', 'right', 'right', 'right', 'right']);
  const { judged: n } = nearest;
  const ending = met
    ? `${judged} of ${si(space)} judged: ${out}/front.json`
    : `none of ${judged} is within the limits; the nearest takes ${n.estimatedMs === undefined ? si(n.macs) : milliseconds(n.estimatedMs)} and ${bytes(n.peakMemoryBytes)} at ${percent(1 - n.error)}: allow smaller --widths, or raise the limits`;
  return [...text, ending];
}
