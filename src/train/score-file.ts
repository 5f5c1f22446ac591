/** Perplexity of a model on a text file. */
import type { CausalModel } from '../models/model.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { GaslawError } from '../util/errors.ts';
import { type FileStore, readText } from '../util/files.ts';
import { type TextScore, type TextScorer, textScore } from './perplexity.ts';

export interface ScoredModel {
  readonly model: CausalModel;
  readonly tokenizer: Tokenizer;
  readonly scorer: TextScorer;
}

export interface ScoreFileOptions {
  /** Most tokens of context; the model's longest when absent. */
  readonly length?: number;
  /**
   * The file is documents with blank lines between: each is scored by itself from its begin token on, and cut to `length`
   * tokens.
   */
  readonly documents?: boolean;
}

/** Scores the text; a text's first token is context only. Throws one sentence when it is empty or has characters without a token. */
export async function scoreFile(
  files: FileStore,
  openRuntime: () => Promise<Runtime>,
  { model, tokenizer, scorer }: ScoredModel,
  textPath: string,
  options: ScoreFileOptions = {},
): Promise<TextScore> {
  const length = Math.min(options.length ?? model.maxPositions, model.maxPositions);
  const text = await readText(files, textPath);
  const texts = options.documents
    ? documentsOf(text).map(d => encode(tokenizer, d, textPath, true).subarray(0, length))
    : [encode(tokenizer, text, textPath, false)];
  const count = texts.reduce((sum, ids) => sum + ids.length, 0);
  if (count - texts.length < 1)
    throw new GaslawError(`${textPath}: nothing to predict in ${count} tokens; give at least 2`);
  const bytes = texts.reduce((sum, ids) => sum + utf8Bytes(tokenizer.decode(ids.subarray(1))), 0);
  const { nats, tokens } = await scorer(await openRuntime(), texts, length);
  return textScore(nats, tokens, bytes);
}

const utf8Bytes = (text: string): number => new TextEncoder().encode(text).length;

const documentsOf = (text: string): string[] =>
  text
    .split(/\r?\n[ \t]*\r?\n/)
    .map(document => document.trim())
    .filter(document => document !== '');

function encode(tokenizer: Tokenizer, text: string, path: string, addSpecial: boolean): Int32Array {
  try {
    return Int32Array.from(tokenizer.encode(text, { addSpecial }));
  } catch (error) {
    if (error instanceof GaslawError) throw new GaslawError(`${path}: ${error.message}`);
    throw error;
  }
}
