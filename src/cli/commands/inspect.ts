/** `gaslaw inspect <model>`: what it is made of. */
import { Command } from 'commander';
import { loadWeights } from '../../models/files.ts';
import { type Inspection, inspectModel, inspectOnnx } from '../../models/inspect.ts';
import { loadOnnx, locateModel } from '../../models/resolve.ts';
import { nodeFiles } from '../node-files.ts';
import { createOutput } from '../output.ts';

export const inspectCommand = (): Command =>
  new Command('inspect')
    .description('parameters, bytes, FLOPs, inputs, outputs and ops of a model')
    .argument('<model>', 'run folder, Hugging Face directory or .onnx file')
    .option('--json', 'print one JSON object')
    .action(run);

async function run(path: string, o: { json?: boolean }): Promise<void> {
  const files = nodeFiles();
  const place = await locateModel(files, path);
  const inspection =
    place.kind === 'onnx'
      ? inspectOnnx(await loadOnnx(files, place.path))
      : inspectModel(await loadWeights(files, place.folder));
  createOutput(o.json ?? false).result(inspection, () => lines(inspection));
}

const LABELS = {
  architecture: 'architecture',
  parameters: 'parameters',
  activeParameters: 'active parameters',
  bytes: 'bytes',
  layers: 'layers',
  vocabulary: 'vocabulary',
  context: 'context',
  forwardFlopsPerToken: 'FLOPs a forward token',
  trainingFlopsPerToken: 'FLOPs a training token',
  kvElementsPerToken: 'cache elements a token',
  producer: 'producer',
} as const satisfies Partial<Record<keyof Inspection, string>>;

function lines(i: Inspection): string[] {
  const figures = Object.entries(LABELS).flatMap(([key, label]) => {
    const value = i[key as keyof typeof LABELS];
    return value === undefined
      ? []
      : [`${label.padEnd(24)}${typeof value === 'number' ? value.toLocaleString('en') : value}`];
  });
  const values = (name: string, list: Inspection['inputs']) =>
    (list ?? []).map(v => `${name.padEnd(24)}${v.name}: ${v.dtype}[${v.shape?.join(', ') ?? '?'}]`);
  const ops = Object.entries(i.ops ?? {}).map(([op, count]) => `${op} ${count}`);
  return [
    ...figures,
    ...values('input', i.inputs),
    ...values('output', i.outputs),
    ...(ops.length > 0 ? [`${'ops'.padEnd(24)}${ops.join(', ')}`] : []),
  ];
}
