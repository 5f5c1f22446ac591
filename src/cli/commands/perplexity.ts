/** `gaslaw perplexity <model> --text FILE`. */
import { Command } from 'commander';
import { loadModel } from '../../models/files.ts';
import { locateModel } from '../../models/resolve.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { scoreText } from '../../train/perplexity.ts';
import { UsageError } from '../../util/errors.ts';
import { readText } from '../../util/files.ts';
import { nodeFiles } from '../node-files.ts';
import { createOutput } from '../output.ts';

export const perplexityCommand = (): Command =>
  new Command('perplexity')
    .description('how well a model predicts a text')
    .argument('<model>', 'run folder or Hugging Face directory')
    .requiredOption('--text <file>', 'the text')
    .option('--json', 'print one JSON object')
    .action(run);

async function run(path: string, o: { text: string; json?: boolean }): Promise<void> {
  const output = createOutput(o.json ?? false);
  const files = nodeFiles();
  const place = await locateModel(files, path);
  if (place.kind === 'onnx')
    throw new UsageError(
      `${path}: perplexity needs a model with its weights; give the directory it was exported from`,
    );
  const { model, store, tokenizer } = await loadModel(files, place.folder);
  const text = await readText(files, o.text);
  const ids = Int32Array.from(tokenizer.encode(text));
  if (ids.length < 2)
    throw new UsageError(`${o.text}: the text has ${ids.length} tokens; perplexity needs at least 2`);
  const bytes = new TextEncoder().encode(tokenizer.decode(ids.subarray(1))).length;
  const score = await scoreText(await nativeRuntime({ warn: output.warn }), model, store, ids, { bytes });
  output.result(score, () => [
    `${score.tokens} tokens: ${score.natsPerToken.toFixed(4)} nats a token, perplexity ${score.perplexity.toFixed(3)}, ${score.bitsPerByte.toFixed(3)} bits per byte`,
  ]);
}
