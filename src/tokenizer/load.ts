/**
 * Reads `tokenizer.json` (and `tokenizer_config.json` for the roles) into the tokenizer that it describes.
 *
 * 1. What the file asks for and is not done here is an error that names it: encoding differently from the model's own
 *    tokenizer is worse than not encoding.
 * 2. Files without a config get their roles from the usual names of end and padding tokens.
 * 3. `add_bos_token` and `add_eos_token` of the config, where it has them, decide what is put around a text, as in
 *    transformers; the file's post-processor does otherwise.
 * 4. A vocabulary of single characters without merges, normalizer or pre-tokenizer is one of character level.
 */
import { z } from 'zod';
import { GaslawError } from '../util/errors.ts';
import { CharacterTokenizer } from './character.ts';
import { ChatTemplate } from './chat-template.ts';
import { configJson } from './hugging-face.ts';
import { type AddedToken, addedTokenSchema } from './pipeline/added-tokens.ts';
import { parse } from './pipeline/component.ts';
import { decoderOf } from './pipeline/decoders.ts';
import type { WordModel } from './pipeline/model.ts';
import { checkId, type ModelKind, modelOf, readVocabulary } from './pipeline/models.ts';
import { type Normalizer, normalizerOf } from './pipeline/normalizers.ts';
import { PipelineTokenizer } from './pipeline/pipeline.ts';
import { type Surround, surroundOf } from './pipeline/post-processors.ts';
import { type PreTokenizer, preTokenizerOf } from './pipeline/pre-tokenizers.ts';
import type { SpecialRoles, Tokenizer } from './tokenizer.ts';

const fileSchema = z
  .object({
    added_tokens: z.array(addedTokenSchema).default([]),
    normalizer: z.unknown().optional(),
    pre_tokenizer: z.unknown().optional(),
    post_processor: z.unknown().optional(),
    decoder: z.unknown().optional(),
    model: z.object({}).loose(),
  })
  .loose();

type TokenizerFile = z.infer<typeof fileSchema>;

const tokenName = z
  .union([z.string(), z.object({ content: z.string() }).transform(t => t.content)])
  .nullish();
const configSchema = z.object({
  eos_token: tokenName,
  pad_token: tokenName,
  bos_token: tokenName,
  add_bos_token: z.boolean().nullish(),
  add_eos_token: z.boolean().nullish(),
});

type TokenizerConfig = z.infer<typeof configSchema>;

/** What may stand in for parts of the file: parts that are truer to where the file came from. */
export interface LoadOptions {
  readonly model?: { readonly kind: ModelKind; readonly model: WordModel };
  readonly normalizer?: Normalizer;
  readonly preTokenizer?: PreTokenizer;
  /** tokenizer.json to save, where the file given has no vocabulary; made when it is asked for. */
  readonly complete?: () => Record<string, unknown>;
}

/** The tokenizer of parsed `tokenizer.json` content. Throws a GaslawError that names what is missing or unsupported. */
export function loadTokenizer(file: unknown, config?: unknown, options: LoadOptions = {}): Tokenizer {
  const parsed = parse(fileSchema, file, 'tokenizer.json');
  const settings = parse(configSchema, config ?? {}, 'tokenizer_config.json');
  const roles = findRoles(parsed, settings);
  if (!options.model && isCharacterLevel(parsed)) return loadCharacter(parsed, roles);
  const { kind, model } = options.model ?? modelOf(parsed.model);
  const added = parsed.added_tokens
    .filter(token => token.content !== '')
    .map(token => ({ ...token, id: model.vocabulary.get(token.content) ?? token.id }));
  for (const { id, content } of added) checkId(id, content);
  const ids = roleIds(roles, model, added);
  return new PipelineTokenizer({
    kind,
    model,
    added,
    normalizer: options.normalizer ?? normalizerOf(parsed.normalizer),
    preTokenizer: options.preTokenizer ?? preTokenizerOf(parsed.pre_tokenizer),
    decoder: decoderOf(parsed.decoder),
    surround: surroundFrom(parsed, settings, ids),
    roles: ids,
    chat: ChatTemplate.fromConfig(config),
    files: {
      get 'tokenizer.json'() {
        return options.complete?.() ?? (file as Record<string, unknown>); // parsed as an object above
      },
      'tokenizer_config.json': (config as Record<string, unknown> | undefined) ?? configJson(roles, added),
    },
  });
}

function isCharacterLevel({ model, normalizer, pre_tokenizer, decoder }: TokenizerFile): boolean {
  const merges = model.merges;
  return (
    model.type === 'BPE' &&
    Array.isArray(merges) &&
    merges.length === 0 &&
    model.unk_token == null &&
    model.byte_fallback !== true &&
    normalizer == null &&
    pre_tokenizer == null &&
    (decoder as { type?: unknown } | null | undefined)?.type === 'Fuse'
  );
}

const COMMON_EOS = [
  '<eos>',
  '<|endoftext|>',
  '</s>',
  '<|eos|>',
  '<|end_of_text|>',
  '<｜end▁of▁sentence｜>',
  '<|im_end|>',
  '[SEP]',
];
const COMMON_PAD = ['<pad>', '<|pad|>', '[PAD]', '<｜▁pad▁｜>'];

function findRoles(file: TokenizerFile, config: TokenizerConfig): SpecialRoles {
  const has = (name: string) => file.added_tokens.some(token => token.content === name);
  const eos = config.eos_token ?? COMMON_EOS.find(has);
  if (eos === undefined)
    throw new GaslawError(
      'tokenizer_config.json: eos_token is missing; name the end-of-sequence token there',
    );
  const pad = config.pad_token ?? COMMON_PAD.find(has) ?? eos;
  return { eos, pad, ...(config.bos_token == null ? {} : { bos: config.bos_token }) };
}

function roleIds({ eos, pad, bos }: SpecialRoles, { vocabulary }: WordModel, added: readonly AddedToken[]) {
  const id = (text: string, role: string) => {
    const found = added.find(token => token.content === text)?.id ?? vocabulary.get(text);
    if (found === undefined)
      throw new GaslawError(`tokenizer_config.json: ${role} "${text}" is not in the vocabulary`);
    return found;
  };
  return {
    eos: id(eos, 'eos_token'),
    pad: id(pad, 'pad_token'),
    ...(bos === undefined ? {} : { bos: id(bos, 'bos_token') }),
  };
}

function surroundFrom(
  file: TokenizerFile,
  { add_bos_token, add_eos_token }: TokenizerConfig,
  { bos, eos }: { bos?: number; eos: number },
): Surround {
  if (add_bos_token == null && add_eos_token == null) return surroundOf(file.post_processor);
  return {
    before: add_bos_token && bos !== undefined ? [bos] : [],
    after: add_eos_token ? [eos] : [],
  };
}

function loadCharacter(file: TokenizerFile, roles: SpecialRoles): Tokenizer {
  return new CharacterTokenizer({
    vocabulary: denseVocabulary(file),
    specials: file.added_tokens.map(({ content, special }) => ({ text: content, control: special })),
    roles,
  });
}

/** Texts by id, checked to be dense. */
function denseVocabulary(file: TokenizerFile): string[] {
  const all = readVocabulary(file.model.vocab);
  for (const { content, id } of file.added_tokens) all.set(content, id);
  const vocabulary: string[] = [];
  for (const [text, id] of all) vocabulary[id] = text;
  for (let id = 0; id < vocabulary.length; id++)
    if (vocabulary[id] === undefined) throw new GaslawError(`tokenizer.json: no token has id ${id}`);
  return vocabulary;
}
