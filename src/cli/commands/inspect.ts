/** `gaslaw inspect <model>`: what it is made of. */
import { Command } from 'commander';
import { openGguf } from '../../formats/gguf/reader.ts';
import { hasWeights, openModelWeights } from '../../models/files.ts';
import { openGgufModel } from '../../models/gguf/files.ts';
import {
  type Inspection,
  inspectConfig,
  inspectModel,
  inspectOnnx,
  type PrintedValue,
} from '../../models/inspect.ts';
import { openLlama2cModel } from '../../models/llama2c.ts';
import type { CausalModel } from '../../models/model.ts';
import { loadOnnx, locateModel } from '../../models/resolve.ts';
import type { OpenWeights } from '../../models/weight-files.ts';
import { bytes, flops, si } from '../../report/format.ts';
import { GaslawError } from '../../util/errors.ts';
import { type FileStore, readJson } from '../../util/files.ts';
import { nodeFiles } from '../node-files.ts';
import { JSON_OPTION } from '../options.ts';
import { createOutput, stdoutColors } from '../output.ts';
import { table } from '../table.ts';

export const inspectCommand = (): Command =>
  new Command('inspect')
    .description('parameters, bytes, multiply-adds, inputs, outputs, ops, and what has no gradient')
    .argument(
      '<model>',
      'run folder, Hugging Face directory, .safetensors, .gguf, llama2.c .bin, .onnx or .tflite file, or a config.json alone',
    )
    .option(...JSON_OPTION)
    .action(run);

async function run(path: string, o: { json?: boolean }): Promise<void> {
  const output = createOutput(o.json ?? false);
  const { origin, inspection } = await inspect(nodeFiles(), path);
  output.result(inspection, () => lines(origin, inspection));
}

interface Inspected {
  readonly origin: string;
  readonly inspection: Inspection;
}

async function inspect(files: FileStore, path: string): Promise<Inspected> {
  if (path.endsWith('.json')) return configAlone(files, path);
  const place = await locateModel(files, path);
  if (place.kind === 'onnx')
    return { origin: place.path, inspection: inspectOnnx(await loadOnnx(files, place.path)) };
  if (place.kind === 'gguf') return inspectGguf(files, place.path);
  if (place.kind === 'llama2c') return opened(place.path, await openLlama2cModel(files, place.path));
  const { folder, weights } = place;
  if (!weights && !(await hasWeights(files, folder))) return configAlone(files, `${folder}/config.json`);
  return opened(weights ?? folder, await openModelWeights(files, folder, weights));
}

/** Weights are checked against the model and left where they are. */
const opened = (
  origin: string,
  { model, weights }: { readonly model: CausalModel; readonly weights: OpenWeights },
): Inspected => ({ origin, inspection: inspectModel({ model, bytes: weights.bytes }) });

/** The types that its tensors are stored in beside what every model tells. */
async function inspectGguf(files: FileStore, path: string): Promise<Inspected> {
  const { origin, inspection } = opened(path, await openGgufModel(files, path));
  const types: Record<string, number> = {};
  for (const { type } of (await openGguf(files, path)).tensors.values()) types[type] = (types[type] ?? 0) + 1;
  const sorted = Object.fromEntries(Object.entries(types).sort(([, a], [, b]) => b - a));
  return { origin, inspection: { ...inspection, types: sorted } };
}

/** A configuration without weights tells parameters, FLOPs and cache all the same. */
async function configAlone(files: FileStore, path: string): Promise<Inspected> {
  if (!(await files.exists(path))) throw new GaslawError(`${path}: no such file; give a config.json`);
  return { origin: path, inspection: inspectConfig(await readJson(files, path), path) };
}

type Rows = readonly (readonly [name: string, value: string])[];

function lines(origin: string, i: Inspection): string[] {
  const { bold, dim } = stdoutColors();
  const block = (title: string, rows: Rows): string[] =>
    rows.length === 0 ? [] : ['', dim(title), ...table(rows, ['left', 'left']).map(row => `  ${row}`)];
  return [
    bold(origin) + (origin.endsWith('.tflite') ? dim('  as the graph that is read from it') : ''),
    ...table(figures(i), ['left', 'left']),
    ...block('inputs', (i.inputs ?? []).map(typed)),
    ...block('outputs', (i.outputs ?? []).map(typed)),
    ...block(
      'ops',
      Object.entries(i.ops ?? {}).map(([op, count]) => [op, String(count)]),
    ),
    ...block(
      'tensors by type',
      Object.entries(i.types ?? {}).map(([type, count]) => [type, String(count)]),
    ),
    ...block(
      'parameters by op',
      Object.entries(i.parametersByOp ?? {}).map(([op, count]) => [op, count.toLocaleString('en')]),
    ),
    ...block(
      'no gradient',
      (i.notDifferentiable ?? []).map(({ node, op, why }) => [`${node} (${op})`, why]),
    ),
  ];
}

const typed = ({ name, dtype, shape }: PrintedValue): [string, string] => [
  name,
  `${dtype}[${shape?.join(', ') ?? '?'}]`,
];

function figures(i: Inspection): Rows {
  const exact = (n: number): string => (n >= 10_000 ? `${si(n)}  (${n.toLocaleString('en')})` : String(n));
  const opsets = Object.entries(i.opsets ?? {}).map(([domain, version]) => `${domain} ${version}`);
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['architecture', i.architecture],
    ['parameters', exact(i.parameters)],
    ['drafting module', i.aheadParameters === undefined ? undefined : exact(i.aheadParameters)],
    ['multiply-adds', i.macs === undefined ? undefined : `${si(i.macs)} a run, symbolic dims 1`],
    ['weights', i.bytes === undefined ? undefined : bytes(i.bytes)],
    ['layers', i.layers?.toString()],
    ['vocabulary', i.vocabulary?.toLocaleString('en')],
    ['context', i.context?.toLocaleString('en')],
    [
      'forward',
      i.forwardFlopsPerToken === undefined ? undefined : `${flops(i.forwardFlopsPerToken)} a token`,
    ],
    [
      'training',
      i.trainingFlopsPerToken === undefined ? undefined : `${flops(i.trainingFlopsPerToken)} a token`,
    ],
    [
      'cache',
      i.kvElementsPerToken === undefined ? undefined : `${si(i.kvElementsPerToken)} elements a token`,
    ],
    ['opsets', opsets.join(', ') || undefined],
    ['producer', i.producer || undefined],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== undefined);
}
