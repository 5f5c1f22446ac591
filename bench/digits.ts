/**
 * What the compressed network of a run of recipe images says to each held-out digit: `npm run bench -- digits --models RUN`.
 *
 * Writes `RUN/compressed/answers.bin`, float32 [digits, 10], for `peers/run_digits.py RUN …` to compare LiteRT and OpenVINO with.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { nodeFiles } from '../src/cli/node-files.ts';
import { accuracyOf, forEachBatch } from '../src/compress/evaluate.ts';
import { openExamples } from '../src/data/examples/open.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';

interface Front {
  readonly choice: { readonly chosen: { readonly name: string } };
}

export async function benchDigits(run: string): Promise<unknown> {
  const folder = `${run}/compressed`;
  const { choice } = JSON.parse(readFileSync(`${folder}/front.json`, 'utf8')) as Front; // what compress writes
  const path = `${folder}/candidates/${choice.chosen.name}.onnx`;
  const model = decodeModel(readFileSync(path), { file: path });
  const examples = await openExamples(nodeFiles(), `${run}/data/held-out.json`, model.graph.inputs);
  const runtime = await nativeRuntime();
  const logits: number[] = [];
  await forEachBatch(runtime, model, examples, {}, (outputs, indices) => {
    logits.push(...Array.from(outputs.logits.data, Number).slice(0, 10 * indices.length));
  });
  writeFileSync(`${folder}/answers.bin`, Float32Array.from(logits));
  const { accuracy, interval } = await accuracyOf(runtime, model, examples);
  return { candidate: choice.chosen.name, accuracy, interval };
}
