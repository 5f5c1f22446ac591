/** Perplexity of a named model on a text file. */
import { loadModel } from '../models/files.ts';
import { locateModel } from '../models/resolve.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { GaslawError, UsageError } from '../util/errors.ts';
import { type FileStore, readText } from '../util/files.ts';
import { scoreText, type TextScore } from './perplexity.ts';

/** Scores the text; its first token is context only. Throws one sentence when it is empty or has characters without a token. */
export async function scoreFile(
  files: FileStore,
  openRuntime: () => Promise<Runtime>,
  path: string,
  textPath: string,
): Promise<TextScore> {
  const place = await locateModel(files, path);
  if (place.kind === 'onnx') {
    throw new UsageError(
      `${path}: an exported file cannot be scored; give the directory that it was exported from`,
    );
  }
  const text = await readText(files, textPath);
  const { model, store, tokenizer } = await loadModel(files, place.folder);
  const ids = encodeFile(tokenizer, text, textPath);
  if (ids.length < 2)
    throw new GaslawError(`${textPath}: nothing to predict in ${ids.length} tokens; give at least 2`);
  const bytes = new TextEncoder().encode(tokenizer.decode(ids.subarray(1))).length;
  return scoreText(await openRuntime(), model, store, ids, { bytes });
}

function encodeFile(tokenizer: Tokenizer, text: string, path: string): Int32Array {
  try {
    return Int32Array.from(tokenizer.encode(text));
  } catch (error) {
    if (error instanceof GaslawError) throw new GaslawError(`${path}: ${error.message}`);
    throw error;
  }
}
