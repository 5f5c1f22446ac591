/** Perplexity of a model on a text file. */
import type { CausalModel } from '../models/model.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { GaslawError } from '../util/errors.ts';
import { type FileStore, readText } from '../util/files.ts';
import { type ScoredWeights, scoreText, type TextScore } from './perplexity.ts';

export interface ScoredModel {
  readonly model: CausalModel;
  readonly tokenizer: Tokenizer;
  readonly weights: ScoredWeights;
}

/** Scores the text; its first token is context only. Throws one sentence when it is empty or has characters without a token. */
export async function scoreFile(
  files: FileStore,
  openRuntime: () => Promise<Runtime>,
  { model, tokenizer, weights }: ScoredModel,
  textPath: string,
): Promise<TextScore> {
  const ids = encodeFile(tokenizer, await readText(files, textPath), textPath);
  if (ids.length < 2)
    throw new GaslawError(`${textPath}: nothing to predict in ${ids.length} tokens; give at least 2`);
  const bytes = new TextEncoder().encode(tokenizer.decode(ids.subarray(1))).length;
  return scoreText(await openRuntime(), model, weights, ids, { bytes });
}

function encodeFile(tokenizer: Tokenizer, text: string, path: string): Int32Array {
  try {
    return Int32Array.from(tokenizer.encode(text));
  } catch (error) {
    if (error instanceof GaslawError) throw new GaslawError(`${path}: ${error.message}`);
    throw error;
  }
}
