/** Models of `tokenizer.json`. Vocabularies are checked entry by entry here: a quarter of a million of them are too many for a schema. */
import { z } from 'zod';
import { GaslawError } from '../../util/errors.ts';
import { BpeModel, mergesFrom } from './bpe.ts';
import { type Component, component, parse } from './component.ts';
import type { WordModel } from './model.ts';
import { UnigramModel } from './unigram.ts';
import { WordLevelModel, WordPieceModel } from './whole-words.ts';

export type ModelKind = 'bpe' | 'unigram' | 'wordpiece' | 'wordlevel';

const PLACE = 'tokenizer.json: model';

/** The model that the JSON describes, and its kind. Files from before `type` was written are told apart by their fields. */
export function modelOf(json: unknown): { kind: ModelKind; model: WordModel } {
  const fields = parse(z.object({ type: z.string().optional() }).loose(), json, PLACE);
  const type = fields.type ?? guessType(fields);
  const read = MODELS[type];
  if (!read) {
    throw new GaslawError(
      `${PLACE}: type ${type} is not supported; known are ${Object.keys(MODELS).join(', ')}`,
    );
  }
  return read(parse(component, { ...fields, type }, PLACE));
}

const guessType = (fields: Record<string, unknown>): string =>
  Array.isArray(fields.vocab)
    ? 'Unigram'
    : 'merges' in fields
      ? 'BPE'
      : 'max_input_chars_per_word' in fields
        ? 'WordPiece'
        : 'WordLevel';

const MODELS: Readonly<Record<string, (json: Component) => { kind: ModelKind; model: WordModel }>> = {
  BPE: json => ({ kind: 'bpe', model: readBpe(json) }),
  Unigram: json => ({ kind: 'unigram', model: readUnigram(json) }),
  WordPiece: json => ({ kind: 'wordpiece', model: readWordPiece(json) }),
  WordLevel: json => {
    const { unk_token } = parse(z.object({ unk_token: z.string() }), json, PLACE);
    return { kind: 'wordlevel', model: new WordLevelModel(readVocabulary(json.vocab), unk_token) };
  },
};

/** Ids by text of a vocabulary object. */
export function readVocabulary(json: unknown): Map<string, number> {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new GaslawError(`${PLACE}.vocab: not an object of ids`);
  const vocabulary = new Map<string, number>(Object.entries(json));
  for (const [text, id] of vocabulary) checkId(id, text);
  return vocabulary;
}

/** Ids above this are taken for damage: lists as long would be made for them. */
const MAX_ID = 2 ** 24;

export function checkId(id: unknown, text: string): void {
  if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= MAX_ID)
    throw new GaslawError(
      `tokenizer.json: token ${JSON.stringify(text)} has id ${id}; ids are whole numbers from 0`,
    );
}

function readMerges(json: unknown): [string, string][] {
  if (!Array.isArray(json)) throw new GaslawError(`${PLACE}.merges: not a list`);
  return json.map((merge, i) => {
    const parts = typeof merge === 'string' ? merge.split(' ') : merge;
    if (!Array.isArray(parts) || parts.length !== 2 || parts.some(part => typeof part !== 'string'))
      throw new GaslawError(`${PLACE}.merges.${i}: ${JSON.stringify(merge)} is not a pair of tokens`);
    return parts as [string, string];
  });
}

const optionalText = z
  .string()
  .nullish()
  .transform(text => text ?? undefined);

function readBpe(json: Component): WordModel {
  const options = parse(
    z.object({
      unk_token: optionalText,
      fuse_unk: z.boolean().nullish(),
      byte_fallback: z.boolean().nullish(),
      ignore_merges: z.boolean().nullish(),
      continuing_subword_prefix: optionalText,
      end_of_word_suffix: optionalText,
    }),
    json,
    PLACE,
  );
  const vocabulary = readVocabulary(json.vocab);
  const merges = mergesFrom(vocabulary, readMerges(json.merges ?? []), options.continuing_subword_prefix);
  return new BpeModel(vocabulary, merges, {
    unknown: options.unk_token,
    fuseUnknown: options.fuse_unk ?? false,
    byteFallback: options.byte_fallback ?? false,
    ignoreMerges: options.ignore_merges ?? false,
    continuingSubwordPrefix: options.continuing_subword_prefix,
    endOfWordSuffix: options.end_of_word_suffix,
  });
}

function readUnigram(json: Component): WordModel {
  const { unk_id, byte_fallback } = parse(
    z.object({ unk_id: z.number().int().nullish(), byte_fallback: z.boolean().nullish() }),
    json,
    PLACE,
  );
  if (!Array.isArray(json.vocab)) throw new GaslawError(`${PLACE}.vocab: not a list of tokens and scores`);
  const tokens = json.vocab.map((entry: unknown, id) => {
    if (!Array.isArray(entry) || typeof entry[0] !== 'string' || typeof entry[1] !== 'number')
      throw new GaslawError(`${PLACE}.vocab.${id}: not a token and its score`);
    return entry as [string, number];
  });
  if (unk_id != null && !tokens[unk_id])
    throw new GaslawError(`${PLACE}.unk_id: ${unk_id} is outside the vocabulary of ${tokens.length}`);
  return new UnigramModel(tokens, { unknown: unk_id ?? undefined, byteFallback: byte_fallback ?? false });
}

function readWordPiece(json: Component): WordModel {
  const options = parse(
    z.object({
      unk_token: z.string(),
      continuing_subword_prefix: z.string(),
      max_input_chars_per_word: z.number().int().min(1),
    }),
    json,
    PLACE,
  );
  return new WordPieceModel(readVocabulary(json.vocab), {
    unknown: options.unk_token,
    prefix: options.continuing_subword_prefix,
    maxCharacters: options.max_input_chars_per_word,
  });
}
