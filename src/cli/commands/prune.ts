/** `gaslaw prune <model.onnx>`: fewer channels, or fewer weights. */
import { Command } from 'commander';
import { magnitude, scale } from '../../compress/prune/importance.ts';
import { type SparsityPattern, sparsifyWeights } from '../../compress/prune/sparsity.ts';
import { macsOf, pruneStructured } from '../../compress/prune/structured.ts';
import type { Graph } from '../../graph/ir.ts';
import { encodeModelChunks } from '../../graph/protobuf.ts';
import { importModel } from '../../import/index.ts';
import { loadOnnx } from '../../models/resolve.ts';
import { inferShapes } from '../../ops/infer.ts';
import { bytes, si } from '../../report/format.ts';
import { UsageError } from '../../util/errors.ts';
import { nodeFiles } from '../node-files.ts';
import { JSON_OPTION, oneOf, whole, within } from '../options.ts';
import { createOutput } from '../output.ts';

interface Options {
  readonly keep?: number;
  readonly of: 'macs' | 'parameters';
  readonly importance: 'magnitude' | 'scale';
  readonly ranking: 'global' | 'uniform';
  readonly align: number;
  readonly sparsity?: SparsityPattern;
  readonly out: string;
  readonly json?: boolean;
}

export const pruneCommand = (): Command =>
  new Command('prune')
    .description('remove channels until a share of the work is left, or set weights to 0')
    .argument('<model>', '.onnx file')
    .option('--keep <share>', 'share of the work that may be left', within('--keep', 0.01, 0.99))
    .option('--of <what>', 'macs or parameters', oneOf('--of', ['macs', 'parameters']), 'macs')
    .option(
      '--importance <name>',
      'magnitude of weights or scale of batch normalizations',
      oneOf('--importance', ['magnitude', 'scale']),
      'magnitude',
    )
    .option('--ranking <name>', 'global or uniform', oneOf('--ranking', ['global', 'uniform']), 'global')
    .option('--align <channels>', 'keep multiples of this many channels', whole('--align', 1), 1)
    .option('--sparsity <pattern>', 'instead: share of zeros (0.5) or N:M kept (2:4)', patternOf)
    .requiredOption('--out <path>', 'where the pruned model goes')
    .option(...JSON_OPTION)
    .action(run);

/** `0.5` or `2:4`. */
function patternOf(text: string): SparsityPattern {
  const match = /^(\d+):(\d+)$/.exec(text);
  if (match) return { keep: Number(match[1]), of: Number(match[2]) };
  return { share: within('--sparsity', 0.01, 0.99)(text) };
}

async function run(path: string, o: Options): Promise<void> {
  if ((o.keep === undefined) === (o.sparsity === undefined))
    throw new UsageError('give either --keep SHARE (channels) or --sparsity PATTERN (weights)');
  const output = createOutput(o.json ?? false);
  const files = nodeFiles();
  const { model } = importModel((await loadOnnx(files, path)).model, { foldNorms: false });
  inferShapes(model.graph);
  const before = model.graph;
  const { graph, lines } = o.keep === undefined ? sparse(before, o) : channels(before, o, o.keep);
  await files.write(o.out, encodeModelChunks({ ...model, graph }));
  const result = {
    output: o.out,
    bytesBefore: await files.size(path),
    bytesAfter: await files.size(o.out),
    macsBefore: macsOf(before),
    macsAfter: macsOf(graph),
  };
  output.result(result, () => [
    ...lines,
    `${si(result.macsBefore)} → ${si(result.macsAfter)} multiply-adds, ${bytes(result.bytesBefore)} → ${bytes(result.bytesAfter)}: ${o.out}`,
  ]);
}

interface Pruned {
  readonly graph: Graph;
  readonly lines: readonly string[];
}

function channels(before: Graph, o: Options, keep: number): Pruned {
  const { graph, report } = pruneStructured(before, {
    target: { keep, of: o.of },
    importance: o.importance === 'scale' ? scale(before) : magnitude(before),
    ranking: o.ranking,
    align: o.align,
  });
  return { graph, lines: report.dimensions.map(d => `${d.before} → ${d.after}  ${d.name}`) };
}

function sparse(graph: Graph, o: Options): Pruned {
  const report = sparsifyWeights(graph, { pattern: o.sparsity as SparsityPattern, method: 'magnitude' });
  if (report.length === 0)
    throw new UsageError('no product of two dimensions reads a weight that can become sparse; use --keep');
  return {
    graph,
    lines: report.map(w => `${((100 * w.zeros) / w.elements).toFixed(1)} % zeros  ${w.name}`),
  };
}
