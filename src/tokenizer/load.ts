/**
 * Reads `tokenizer.json` (and `tokenizer_config.json` for the roles) into the tokenizer that it describes.
 *
 * 1. What the file asks for and is not done here (a normalizer, merges, another model) is an error that names it:
 *    encoding differently from the model's own tokenizer is worse than not encoding.
 * 2. Files without a config get their roles from the usual names of end and padding tokens.
 */
import { z } from 'zod';
import { GaslawError } from '../util/errors.ts';
import { BYTE_SPELLING, ByteTokenizer } from './byte.ts';
import { CharacterTokenizer } from './character.ts';
import type { SpecialRoles, SpecialToken, Tokenizer } from './tokenizer.ts';

const component = z.object({ type: z.string() }).loose().nullish();

const fileSchema = z.object({
  added_tokens: z.array(z.object({ id: z.number(), content: z.string(), special: z.boolean() })).default([]),
  normalizer: component,
  pre_tokenizer: component,
  post_processor: component,
  model: z
    .object({
      type: z.string(),
      vocab: z.record(z.string(), z.number()),
      merges: z.array(z.unknown()).default([]),
    })
    .loose(),
});

type TokenizerFile = z.infer<typeof fileSchema>;

const tokenName = z
  .union([z.string(), z.object({ content: z.string() }).transform(t => t.content)])
  .nullish();
const configSchema = z.object({ eos_token: tokenName, pad_token: tokenName, bos_token: tokenName });

type TokenizerConfig = z.infer<typeof configSchema>;

/** The tokenizer of parsed `tokenizer.json` content. Throws a GaslawError that names what is missing or unsupported. */
export function loadTokenizer(file: unknown, config?: unknown): Tokenizer {
  const parsed = read(fileSchema, file, 'tokenizer.json');
  const roles = findRoles(parsed, read(configSchema, config ?? {}, 'tokenizer_config.json'));
  refuse(parsed);
  return parsed.pre_tokenizer?.type === 'ByteLevel' ? loadByte(parsed, roles) : loadCharacter(parsed, roles);
}

function read<T>(schema: z.ZodType<T>, value: unknown, name: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new GaslawError(`${name}: ${issue.path.join('.')}: ${issue.message}`);
}

function refuse(file: TokenizerFile): void {
  const merges = file.model.merges.length;
  const extra = file.pre_tokenizer?.type;
  const reason =
    file.model.type !== 'BPE'
      ? `model type ${file.model.type}`
      : merges > 0
        ? `a BPE model with ${merges} merges`
        : file.normalizer
          ? `normalizer ${file.normalizer.type}`
          : extra !== undefined && extra !== 'ByteLevel'
            ? `pre-tokenizer ${extra}`
            : undefined;
  if (reason !== undefined)
    throw new GaslawError(`tokenizer.json: ${reason} is not supported yet; character and byte level are`);
}

const COMMON_EOS = ['<eos>', '<|endoftext|>', '</s>', '<|eos|>'];
const COMMON_PAD = ['<pad>', '<|pad|>', '[PAD]'];

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

function specialsOf(file: TokenizerFile): SpecialToken[] {
  return file.added_tokens.map(({ content, special }) => ({ text: content, control: special }));
}

/** Texts by id, checked to be dense. */
function vocabularyOf(file: TokenizerFile): string[] {
  const all = { ...file.model.vocab, ...Object.fromEntries(file.added_tokens.map(t => [t.content, t.id])) };
  const vocabulary: string[] = [];
  for (const [text, id] of Object.entries(all)) vocabulary[id] = text;
  for (let id = 0; id < vocabulary.length; id++)
    if (vocabulary[id] === undefined) throw new GaslawError(`tokenizer.json: no token has id ${id}`);
  return vocabulary;
}

function loadCharacter(file: TokenizerFile, roles: SpecialRoles): Tokenizer {
  return new CharacterTokenizer({ vocabulary: vocabularyOf(file), specials: specialsOf(file), roles });
}

function loadByte(file: TokenizerFile, roles: SpecialRoles): Tokenizer {
  const tags = file.added_tokens.filter(token => !token.special).map(token => token.content);
  const tokenizer = new ByteTokenizer({ tags, roles });
  const vocabulary = vocabularyOf(file);
  const expected = [...BYTE_SPELLING, ...Object.keys(tokenizer.special)];
  if (vocabulary.length !== expected.length || vocabulary.some((text, id) => text !== expected[id]))
    throw new GaslawError(
      'tokenizer.json: byte-level vocabulary is not the 256 bytes followed by the special tokens',
    );
  return tokenizer;
}
