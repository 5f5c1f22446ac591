/** `gaslaw search <model> --device ID --data DATA`: smaller networks inside a network, as a front of accuracy and cost. */
import { Command } from 'commander';
import type { SearchedModel } from '../../compress/search/run.ts';
import { type AugmentName, augmentNamed } from '../../data/augment.ts';
import { deviceOf } from '../../devices/index.ts';
import { type SearchGraphReport, searchGraphFile } from '../../export/search-graph.ts';
import { bytes, milliseconds, percent, percentInterval, si } from '../../report/format.ts';
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
  const [scored, told] = ['score', 'learn'].map(stage => trainingProgress(stage, performance.now()));
  const { report, nearest } = await searchGraphFile(files, await openRuntime(output), path, {
    ...o,
    device,
    maxLatencyMs: o.maxLatency,
    maxMemoryBytes: o.maxMemory,
    augment: o.augment && augmentNamed(o.augment),
    loadModule,
    onScore: (done, of) => output.progress(scored(done, of, {})),
    onTraining: (step, steps, metrics) => output.progress(told(step, steps, metrics)),
    onGeneration: (generation, front) => output.log(generationText(generation, o, front)),
  });
  output.result(report, () => lines(report, nearest, o));
}

function generationText(generation: number, o: Options, front: readonly SearchedModel[]): string {
  const best = front[0];
  const range = best ? `, best ${percent(1 - best.judged.error)}` : ', none within the limits yet';
  const part = o.method === 'blocks' ? `network ${generation}` : `generation ${generation}/${o.generations}`;
  return `${part}: ${front.length} on the front${range}`;
}

function lines(
  { met, baseline, front, judged, space }: SearchGraphReport,
  nearest: SearchedModel,
  { out }: Options,
): string[] {
  const rows = [['', 'right', '95 %', 'multiply-adds', 'weights', 'memory', 'estimated', '']];
  for (const [i, r] of [baseline, ...front].entries())
    rows.push([
      front[i - 1]?.output ?? 'as it was',
      percent(r.accuracy),
      r.accuracyInterval ? percentInterval(r.accuracyInterval) : '',
      si(r.macs),
      bytes(r.bytes),
      bytes(r.peakMemoryBytes),
      r.estimatedMs === undefined ? '' : milliseconds(r.estimatedMs),
      front[i - 1]?.precision ?? '',
    ]);
  const text = table(rows, ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'left']);
  const { judged: n } = nearest;
  const ending = met
    ? `${judged} of ${si(space)} judged: ${out}/front.json`
    : `none of ${judged} is within the limits; the nearest takes ${n.estimatedMs === undefined ? si(n.macs) : milliseconds(n.estimatedMs)} and ${bytes(n.peakMemoryBytes)} at ${percent(1 - n.error)}: allow smaller --widths, or raise the limits`;
  return [...text, ending];
}
