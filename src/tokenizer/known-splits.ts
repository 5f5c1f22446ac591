/**
 * How the published byte-level families cut text into words, by the names that llama.cpp gives them (`tokenizer.ggml.pre`).
 *
 * 1. The expressions are those of each family's `tokenizer.json`; each cuts what the one before it left.
 *    Qwen's files also put text into composed form (NFC) first; llama.cpp does not, and nor does what is made from here.
 * 2. `ignoreMerges`, `addBos`: what llama.cpp does under that name without being told.
 */

export interface KnownSplit {
  /** Oniguruma's syntax, in order. */
  readonly patterns: readonly string[];
  readonly ignoreMerges?: boolean;
  readonly addBos?: boolean;
}

const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** GPT-4's words with other digits or letters. */
const gpt4 = (digits: string, letter = String.raw`\p{L}`, others = String.raw`\p{L}`): string =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?` +
  `${letter}+|${digits}| ?[^\\s${others}\\p{N}]+` +
  String.raw`[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const [UPPER, LOWER] = [String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`];
const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
const GPT4O =
  String.raw`[^\r\n\p{L}\p{N}]?${UPPER}*${LOWER}+${CONTRACTION}|[^\r\n\p{L}\p{N}]?${UPPER}+${LOWER}*${CONTRACTION}` +
  String.raw`|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** Letters with case of Unicode's first planes, as DeepSeek LLM lists them. */
const CASED_LETTERS =
  'A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370' +
  '-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7' +
  '-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf' +
  '\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50' +
  '-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc' +
  '\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115' +
  '\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e' +
  '\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722' +
  '-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a' +
  '\ud801\udc00-\ud801\udc4f\ud801\udcb0-\ud801\udcd3\ud801\udcd8-\ud801\udcfb\ud803\udc80-' +
  '\ud803\udcb2\ud803\udcc0-\ud803\udcf2\ud806\udca0-\ud806\udcdf\ud83a\udd00-\ud83a\udd43';

const CHINESE = '[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+';

const LLAMA3: KnownSplit = { patterns: [gpt4(String.raw`\p{N}{1,3}`)], ignoreMerges: true, addBos: true };
const QWEN2: KnownSplit = { patterns: [gpt4(String.raw`\p{N}`)] };

export const KNOWN_SPLITS = {
  'gpt-2': { patterns: [GPT2] },
  'llama-bpe': LLAMA3,
  qwen2: QWEN2,
  'deepseek-r1-qwen': QWEN2,
  qwen35: {
    patterns: [gpt4(String.raw`\p{N}`, String.raw`[\p{L}\p{M}]`, String.raw`\p{L}\p{M}`)],
  },
  'deepseek-llm': {
    patterns: [
      '[\r\n]',
      `\\s?[${CASED_LETTERS}]+`,
      '\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+',
      '\\s+$',
      CHINESE,
      '\\p{N}',
    ],
  },
  'deepseek-coder': { patterns: ['[\r\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', CHINESE, '\\p{N}'] },
  'deepseek-v3': {
    patterns: [
      '\\p{N}{1,3}',
      '[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+',
      '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+' +
        String.raw`|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    ],
  },
  'gpt-4o': { patterns: [GPT4O] },
} as const satisfies Record<string, KnownSplit>;

export type KnownSplitName = keyof typeof KNOWN_SPLITS;

/** Other names of the same. */
const ALIASES: Readonly<Record<string, KnownSplitName>> = {
  llama3: 'llama-bpe',
  'llama-v3': 'llama-bpe',
  falcon3: 'llama-bpe',
  llama4: 'gpt-4o',
  megrez: 'qwen2',
  'phi-2': 'gpt-2',
  exaone4: 'gpt-2',
};

/** The split of that name; undefined when it is not known here. */
export function knownSplit(name: string): KnownSplit | undefined {
  const key = ALIASES[name] ?? name;
  return Object.hasOwn(KNOWN_SPLITS, key) ? KNOWN_SPLITS[key as KnownSplitName] : undefined;
}

/** The `pre_tokenizer` of `tokenizer.json` that cuts at these expressions, then spells bytes. */
export const byteLevelSplit = (patterns: readonly string[]) => ({
  type: 'Sequence',
  pretokenizers: [
    ...patterns.map(Regex => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false })),
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
});

/** The name under which llama.cpp cuts text as this `pre_tokenizer` does; undefined when there is none. */
export function nameOfSplit(preTokenizer: unknown): KnownSplitName | undefined {
  const patterns = signature(patternsOf(preTokenizer));
  return Object.entries(KNOWN_SPLITS).find(([, split]) => signature(split.patterns) === patterns)?.[0] as
    | KnownSplitName
    | undefined; // the keys of the table
}

/** Files spell ends of lines as escapes or as they are. */
const signature = (patterns: readonly (string | undefined)[]): string =>
  JSON.stringify(patterns.map(p => p?.replaceAll('\r', '\\r').replaceAll('\n', '\\n') ?? null));

interface Step {
  readonly type?: string;
  readonly pretokenizers?: readonly unknown[];
  readonly pattern?: { readonly Regex?: string };
  readonly individual_digits?: boolean;
  readonly use_regex?: boolean;
}

function patternsOf(json: unknown): (string | undefined)[] {
  const step = (json ?? {}) as Step;
  if (step.type === 'Sequence') return (step.pretokenizers ?? []).flatMap(patternsOf);
  if (step.type === 'Split') return [step.pattern?.Regex];
  if (step.type === 'Digits') return [step.individual_digits ? '\\p{N}' : undefined];
  if (step.type === 'ByteLevel') return step.use_regex === false ? [] : [GPT2];
  return [undefined];
}
