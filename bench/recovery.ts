/**
 * Half of ResNet-20's multiply-adds taken out and recovered with 5,000 images: `npm run bench -- recovery`.
 *
 * 1. The model had seen 50,000 images; recovery sees 5,000 of them, flipped, shifted and mixed (CutMix or MixUp), and learns from
 *    the unpruned model alone by the recipe of `distil/recipe.ts`. The 2,000 test images are never trained on; none decides anything.
 * 2. Data and model lie in `../shared/data`. With `--log FILE` each seed's result is appended as a line of JSON.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { nodeFiles } from '../src/cli/node-files.ts';
import { accuracyOf } from '../src/compress/evaluate.ts';
import { compensation } from '../src/compress/prune/compensate.ts';
import { magnitude, taylor } from '../src/compress/prune/importance.ts';
import { pruneAndRecover } from '../src/compress/prune/recover.ts';
import { lossGradients } from '../src/compress/prune/statistics.ts';
import { exampleFeeds } from '../src/compress/quantize/static/feeds.ts';
import { type Examples, subset } from '../src/data/examples/examples.ts';
import { openExamples } from '../src/data/examples/open.ts';
import type { Graph } from '../src/graph/ir.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { importModel } from '../src/import/index.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';

export interface RecoveryOptions {
  readonly data?: string;
  readonly seeds: number;
  readonly steps: number;
  readonly rounds: number;
  readonly log?: string;
  readonly threads?: number;
  readonly keep?: number;
  readonly batchSize?: number;
  readonly firstSeed?: number;
  readonly rate?: number;
  readonly importance?: 'taylor' | 'magnitude';
  readonly ranking?: 'global' | 'uniform';
}

export async function benchRecovery(o: RecoveryOptions): Promise<unknown> {
  const folder = o.data ?? '../shared/data';
  const { model } = importModel(decodeModel(readFileSync(`${folder}/cifar_resnet20_bn.onnx`)), {
    foldNorms: false,
  });
  const open = (name: string) =>
    openExamples(nodeFiles(), `bench/data/cifar10-${name}.json`, model.graph.inputs);
  const [train, test] = [await open('train'), await open('test')];
  const runtime = await nativeRuntime();
  const before = (await accuracyOf(runtime, model, test)).accuracy;
  const results: unknown[] = [];
  const { firstSeed = 1 } = o;
  for (let seed = firstSeed; seed < firstSeed + o.seeds; seed++) {
    const started = Date.now();
    const importance = async (graph: Graph) => {
      if (o.importance !== 'taylor') return magnitude(graph);
      return taylor(graph, await lossGradients(runtime, graph, train, { threads: o.threads }));
    };
    const { graph, report } = await pruneAndRecover(
      runtime,
      model.graph,
      {
        target: { keep: o.keep ?? 0.5, of: 'macs' },
        importance,
        compensation: async graph =>
          compensation(runtime, { ...model, graph }, exampleFeeds({ ...model, graph }, firstOf(train))),
        rounds: o.rounds,
        ranking: o.ranking ?? 'global',
      },
      {
        data: train,
        batchSize: o.batchSize,
        steps: o.steps,
        rate: o.rate,
        threads: o.threads,
        seed,
        onStep: (step, m) => {
          if (step % 50 === 0) process.stderr.write(`seed ${seed} step ${step} ${JSON.stringify(m)}\n`);
        },
      },
    );
    const result = {
      seed,
      before,
      after: (await accuracyOf(runtime, { ...model, graph }, test)).accuracy,
      macs: report.macsAfter / report.macsBefore,
      parameters: report.parametersAfter / report.parametersBefore,
      widths: report.dimensions.map(d => d.after),
      steps: o.steps,
      rounds: o.rounds,
      seconds: (Date.now() - started) / 1000,
    };
    if (o.log) appendFileSync(o.log, `${JSON.stringify(result)}\n`);
    results.push(result);
  }
  return results;
}

/** What channels are foretold from. */
const firstOf = (examples: Examples): Examples => subset(examples, [...Array(1000).keys()]);
