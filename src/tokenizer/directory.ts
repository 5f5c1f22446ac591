/** The tokenizer of a Hugging Face directory. */
import { GaslawError } from '../util/errors.ts';
import { type FileStore, readJson, readText } from '../util/files.ts';
import { loadTokenizer } from './load.ts';
import { readSentencePiece } from './sentencepiece/model-file.ts';
import { sentencePieceTokenizer } from './sentencepiece/tokenizer.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * Reads tokenizer.json, or else tokenizer.model, with tokenizer_config.json and chat_template.jinja where they are.
 * Throws one sentence naming what is missing or damaged.
 */
export async function readTokenizer(files: FileStore, folder: string): Promise<Tokenizer> {
  const config = await readConfig(files, folder);
  if (await files.exists(`${folder}/tokenizer.json`))
    return loadTokenizer(await readJson(files, `${folder}/tokenizer.json`), config);
  const path = `${folder}/tokenizer.model`;
  if (!(await files.exists(path)))
    throw new GaslawError(
      `${folder}: neither tokenizer.json nor tokenizer.model; the model has no tokenizer`,
    );
  return sentencePieceTokenizer(readSentencePiece(await files.read(path), path), config);
}

async function readConfig(files: FileStore, folder: string): Promise<unknown> {
  const path = `${folder}/tokenizer_config.json`;
  const config = (await files.exists(path)) ? await readJson(files, path) : undefined;
  const template = `${folder}/chat_template.jinja`;
  if (!(await files.exists(template))) return config;
  return { ...(config as object | undefined), chat_template: await readText(files, template) };
}
