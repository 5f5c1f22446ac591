/** Option values from the command line: one sentence and exit code 2 for what is not a number, or out of range. */
import type { Command } from 'commander';
import { AUGMENT_NAMES, type AugmentName } from '../data/augment.ts';
import { OPEN_DTYPES } from '../export/language-model.ts';
import { CACHE_DTYPES } from '../generate/cache-format.ts';
import type { DraftFigures, Drafting } from '../generate/open.ts';
import { percent } from '../report/format.ts';
import { UsageError } from '../util/errors.ts';

/** Parser for whole numbers of at least `least`. */
export const whole =
  (name: string, least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least || text.trim() === '') {
      throw new UsageError(`${name} is "${text}"; give a whole number of at least ${least}`);
    }
    return value;
  };

/** Parser for numbers within [low, high]. */
export const within =
  (name: string, low: number, high: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!(value >= low && value <= high) || text.trim() === '') {
      throw new UsageError(`${name} is "${text}"; give a number between ${low} and ${high}`);
    }
    return value;
  };

/** Parser for one of several words. */
export const oneOf =
  <T extends string>(name: string, words: readonly T[]) =>
  (text: string): T => {
    const found = words.find(word => word === text);
    if (!found) throw new UsageError(`${name} is "${text}"; it must be one of ${words.join(', ')}`);
    return found;
  };

/** Adds an option that may be given several times; its value is a list. */
export const repeated = (command: Command, flags: string, description: string): Command =>
  command.option(flags, `${description}; may be repeated`, (value: string, all?: string[]) => [
    ...(all ?? []),
    value,
  ]);

/** `name=value` apart. Throws a UsageError without `=`. */
export function nameAndValue(option: string, pair: string): [name: string, value: string] {
  const at = pair.indexOf('=');
  if (at < 1) throw new UsageError(`${option} ${pair}: write it as name=value`);
  return [pair.slice(0, at), pair.slice(at + 1)];
}

/** Numbers for symbolic dims by name. */
export type Dims = ReadonlyMap<string, number>;

/** Parser of an option that may be given several times, each time with a name and its number. */
const numbersOf =
  (option: string, parse: (name: string) => (text: string) => number) =>
  (pair: string, others?: ReadonlyMap<string, number>): ReadonlyMap<string, number> => {
    const [name, value] = nameAndValue(option, pair);
    return new Map([...(others ?? []), [name, parse(`${option} ${name}`)(value)]]);
  };

/** Numbers for symbolic dims of a graph; `otherwise` says what dims without one are. */
export const dimOption = (otherwise?: string) =>
  [
    '--dim <name=n>',
    `a number for a symbolic dimension of a graph${otherwise ? ` (default: ${otherwise})` : ''}; may be repeated`,
    numbersOf('--dim', name => whole(name, 1)),
  ] as const;

/** Inputs that are constants from now on. */
export const CONSTANT_OPTION = [
  '--constant <name=n>',
  'an input that is n in every run, for example a sample rate; may be repeated',
  numbersOf('--constant', name => within(name, -1e15, 1e15)),
] as const;

/** Throws a UsageError for the first of `names` that was given: an option that would do nothing is refused, not passed over. */
export function refuse(command: Command, names: readonly string[], why: string): void {
  for (const name of names) {
    const key = name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (command.getOptionValueSource(key) === 'cli') throw new UsageError(`--${name}: ${why}`);
  }
}

/** What `<model>` may be where a language model is meant, and where any other graph is. */
export const LANGUAGE_MODEL =
  'run folder, Hugging Face directory, .safetensors, .gguf, llama2.c .bin or exported .onnx file';
export const GRAPH_FILE = '.onnx or .tflite file';

/** In what format the weights are opened. */
export const DTYPE_OPTION = [
  '--dtype <name>',
  `open the weights as ${OPEN_DTYPES.join(', ')} (default: stored for quantized GGUF files, else f32)`,
  oneOf('--dtype', OPEN_DTYPES),
] as const;

/** Changes that training makes to examples. */
export const AUGMENT_OPTION = [
  '--augment <list>',
  `how training changes examples: ${AUGMENT_NAMES.join(', ')} (default: crop, and flip of coloured images)`,
  (text: string): readonly AugmentName[] => text.split(',').map(oneOf('--augment', AUGMENT_NAMES)),
] as const;

/** Whose tokenizer a llama2.c file has. */
export const TOKENIZER_OPTION = [
  '--tokenizer <path>',
  "a llama2.c file's tokenizer (default: tokN.bin or tokenizer.bin beside it)",
] as const;

/** Whose guesses are checked. */
export const DRAFT_OPTION = [
  '--draft <n>',
  'up to n tokens are guessed, to be checked at once: n from the text so far, mtp or mtp:n by the module that DeepSeek files hold for it',
  draftingOf,
] as const;

function draftingOf(text: string): Drafting | undefined {
  if (text === 'mtp') return { by: 'mtp', tokens: 1 };
  const by = text.startsWith('mtp:') ? 'mtp' : 'lookup';
  const tokens = whole('--draft', 0)(by === 'mtp' ? text.slice(4) : text);
  return tokens === 0 ? undefined : { by, tokens };
}

/** How drafts fared, for a table. */
export const draftCells = ({
  draftedTokens,
  acceptedTokens,
  acceptance,
  tokensPerStep,
}: DraftFigures): [string, string] => [
  percent(acceptance),
  `of ${draftedTokens} accepted (${acceptedTokens}), ${tokensPerStep.toFixed(2)} tokens a step`,
];

/** How keys and values are kept. */
export const CACHE_OPTION = [
  '--kv-cache <name>',
  `keep keys and values as ${CACHE_DTYPES.join(', ')} (default: f32)`,
  oneOf('--kv-cache', CACHE_DTYPES),
] as const;

export const JSON_OPTION = ['--json', 'print one JSON object'] as const;
