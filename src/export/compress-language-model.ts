/**
 * A language model in the fewest bits that keep it, among the forms that a device takes: GGUF types, or ONNX directories.
 *
 *   candidates/NAME.json   each candidate's result; its presence means that its files are done
 *   candidates/NAME.gguf   or a folder: the model
 *   model.gguf             the chosen one again, where it is such a file
 *   front.json             all of them, the Pareto front, the choice
 *   report.html            the same as a page, where there is a text
 *
 * 1. With a text, its first nine tenths calibrate and the rest is scored: what is lost is counted in hundredths of perplexity. Without one
 *    nothing is known of quality, and only a limit on memory can choose.
 * 2. Memory is the weights' bytes: a decoder reads all of them for each token.
 */
import { paretoFront } from '../compress/search/pareto.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { GaslawError, Interrupted, UsageError } from '../util/errors.ts';
import { type FileStore, rangeReader, readJson } from '../util/files.ts';
import { languagePage } from './compression-page.ts';
import { quantizeLanguageModel } from './quantize-language-model.ts';

export interface LanguageBudget {
  readonly maxMemoryBytes?: number;
  /** By how many hundredths perplexity may rise; 1 when nothing is limited. */
  readonly maxDropPoints?: number;
}

export interface CompressLanguageOptions {
  readonly files: FileStore;
  readonly folder: string;
  readonly device: DeviceProfile;
  /** Path of a text. */
  readonly data?: string;
  /** Path of the tokenizer, of a llama2.c file. */
  readonly tokenizer?: string;
  readonly budget: LanguageBudget;
  readonly version: string;
  /** Name of the command, as the page prints it. */
  readonly command: string;
  readonly openRuntime: () => Promise<Runtime>;
  readonly signal?: AbortSignal;
  readonly log?: (line: string) => void;
}

export interface LanguageCandidate {
  readonly name: string;
  readonly output: string;
  readonly bytes: number;
  readonly perplexity?: number;
  /** Hundredths of perplexity lost. */
  readonly drop?: number;
}

export interface CompressedLanguage {
  readonly device: string;
  readonly met: boolean;
  /** How the choice is made, in words. */
  readonly rule: string;
  /** What stands between the chosen one and the budget, in words. */
  readonly missed: readonly string[];
  readonly baseline: { readonly bytes: number; readonly perplexity?: number };
  readonly result: LanguageCandidate;
  readonly front: readonly LanguageCandidate[];
  readonly candidates: readonly LanguageCandidate[];
  readonly failed: readonly { readonly name: string; readonly error: string }[];
  readonly files: readonly string[];
}

const GGUF = ['q8_0', 'q6_k', 'q5_k', 'q4_k', 'q3_k', 'q2_k'];
const GRAPHS = ['float16', 'int8', 'int4'];

/** The dtypes worth trying, the widest first. Throws a UsageError when the device takes neither form. */
export function dtypesFor({ id, formats }: DeviceProfile): readonly string[] {
  const takes = new Set(formats.value);
  if (takes.has('gguf')) return GGUF;
  if (takes.has('onnx')) return GRAPHS;
  throw new UsageError(
    `${id} takes ${formats.value.join(', ')}, none of which a language model is written in; name a device with gguf or onnx`,
  );
}

interface Stored extends LanguageCandidate {
  readonly bytesBefore: number;
  readonly perplexityBefore?: number;
}

export async function compressLanguageModel(
  path: string,
  options: CompressLanguageOptions,
): Promise<CompressedLanguage> {
  const { device, budget, data, log = () => {} } = options;
  if (data === undefined && budget.maxMemoryBytes === undefined)
    throw new UsageError(
      'without a text nothing is known of quality; give one, or a limit on memory',
      'data',
    );
  const dtypes = dtypesFor(device);
  log(`plan: ${dtypes.length} candidates for ${device.id}: ${dtypes.join(', ')}`);
  const done: Stored[] = [];
  const failed: { name: string; error: string }[] = [];
  let stopped: Interrupted | undefined;
  for (const name of dtypes) {
    if (options.signal?.aborted) {
      stopped = new Interrupted('stopped; the candidates so far are kept');
      break;
    }
    try {
      done.push(await candidate(path, name, options));
      log(lineOf(done.at(-1) as Stored));
    } catch (error) {
      if (!(error instanceof GaslawError) || error instanceof UsageError) throw error;
      failed.push({ name, error: error.message });
      log(`${name}: not made: ${error.message}`);
    }
  }
  if (done.length === 0) throw stopped ?? new GaslawError(failed[0].error);
  const result = chosenOf(done, failed, options);
  await putOnTop(result, options);
  await options.files.write(`${options.folder}/front.json`, `${JSON.stringify(result, null, 2)}\n`);
  if (stopped) throw stopped;
  if (data !== undefined) {
    const runtime = await options.openRuntime();
    const page = await languagePage(result, { ...options, path, data, runtime, rule: result.rule });
    await options.files.write(`${options.folder}/report.html`, page);
  }
  return result;
}

const TOP = 'model.gguf';
const isFile = (output: string): boolean => output.endsWith('.gguf');

/** The chosen file where people look for it; nothing of an earlier choice stays there. */
async function putOnTop(
  { result: { output } }: CompressedLanguage,
  { files, folder }: CompressLanguageOptions,
): Promise<void> {
  if (isFile(output)) await files.write(`${folder}/${TOP}`, piecesOf(files, output));
  else await files.remove(`${folder}/${TOP}`);
}

const PIECE_BYTES = 2 ** 24;

async function* piecesOf(files: FileStore, path: string): AsyncGenerator<Uint8Array> {
  const [range, size] = [await rangeReader(files, path), await files.size(path)];
  for (let at = 0; at < size; at += PIECE_BYTES) yield range(at, Math.min(PIECE_BYTES, size - at));
}

async function candidate(path: string, name: string, o: CompressLanguageOptions): Promise<Stored> {
  const { files, folder, data, tokenizer, version, openRuntime } = o;
  const stored = `${folder}/candidates/${name}.json`;
  if (await files.exists(stored)) return (await readJson(files, stored)) as Stored; // written below
  const out = `${folder}/candidates/${name}${GGUF.includes(name) ? '.gguf' : ''}`;
  const report = await quantizeLanguageModel(files, openRuntime, path, {
    dtype: name,
    data,
    tokenizer,
    out,
    version,
  });
  const { output, bytesBefore, bytesAfter, qualityBefore, qualityAfter } = report;
  const known = qualityBefore !== undefined && qualityAfter !== undefined;
  const result: Stored = {
    name,
    output,
    bytes: bytesAfter,
    bytesBefore,
    ...(known && {
      perplexity: qualityAfter,
      perplexityBefore: qualityBefore,
      drop: 100 * (qualityAfter / qualityBefore - 1),
    }),
  };
  await files.write(stored, `${JSON.stringify(result)}\n`);
  return result;
}

// ---- the choice ----

function chosenOf(
  done: readonly Stored[],
  failed: CompressedLanguage['failed'],
  { device, budget, folder, data }: CompressLanguageOptions,
): CompressedLanguage {
  const judged = done.map(c => ({ c, misses: missesOf(c, budget) }));
  const within = judged.filter(j => j.misses.length === 0);
  const best = judged.reduce((x, y) => (isBetter(y.c, x.c, budget) ? y : x));
  const plain = ({ bytesBefore: _, perplexityBefore: __, ...c }: Stored): LanguageCandidate => c;
  const [{ bytesBefore, perplexityBefore }] = done;
  return {
    device: device.id,
    met: within.length > 0,
    rule: ruleOf(budget),
    missed: best.misses,
    baseline: {
      bytes: bytesBefore,
      ...(perplexityBefore !== undefined && { perplexity: perplexityBefore }),
    },
    result: plain(best.c),
    front: paretoFront(done, c => [c.bytes, c.drop ?? 0]).map(plain),
    candidates: done.map(plain),
    failed,
    files: [
      isFile(best.c.output) ? `${folder}/${TOP}` : best.c.output,
      `${folder}/front.json`,
      ...(data === undefined ? [] : [`${folder}/report.html`]),
    ],
  };
}

const mostOf = ({ maxMemoryBytes, maxDropPoints }: LanguageBudget): number | undefined =>
  maxDropPoints ?? (maxMemoryBytes === undefined ? 1 : undefined);

/** How the choice is made, in words. */
function ruleOf(budget: LanguageBudget): string {
  const most = mostOf(budget);
  const drop = most === undefined ? [] : [`perplexity at most ${most} % higher`];
  const { maxMemoryBytes } = budget;
  return maxMemoryBytes === undefined
    ? `the smallest file with ${drop.join()}`
    : `the least perplexity with ${[`at most ${maxMemoryBytes} bytes`, ...drop].join(', ')}`;
}

function missesOf({ bytes, drop }: LanguageCandidate, budget: LanguageBudget): string[] {
  const { maxMemoryBytes } = budget;
  const most = mostOf(budget);
  return [
    ...(maxMemoryBytes !== undefined && bytes > maxMemoryBytes
      ? [
          `memory ${bytes} bytes where ${maxMemoryBytes} are allowed (${Math.round(100 * (bytes / maxMemoryBytes - 1))} % over)`,
        ]
      : []),
    ...(most !== undefined && drop !== undefined && drop > most
      ? [`perplexity ${drop.toFixed(2)} % higher, ${most} allowed`]
      : []),
  ];
}

/** Nearer to the budget; as near, with a limit on memory the least loss, else the fewest bytes. */
function isBetter(a: LanguageCandidate, b: LanguageCandidate, budget: LanguageBudget): boolean {
  const nearer = excessOf(b, budget) - excessOf(a, budget);
  const better = (b.drop ?? -b.bytes) - (a.drop ?? -a.bytes); // without a text: wider is better
  return (nearer || (budget.maxMemoryBytes === undefined ? b.bytes - a.bytes : better)) > 0;
}

function excessOf({ bytes, drop = 0 }: LanguageCandidate, budget: LanguageBudget): number {
  const { maxMemoryBytes = Number.POSITIVE_INFINITY } = budget;
  const most = mostOf(budget) ?? Number.POSITIVE_INFINITY;
  return Math.max(0, bytes / maxMemoryBytes - 1) + Math.max(0, (drop - most) / 100);
}

function lineOf({ name, bytes, perplexity, drop }: LanguageCandidate): string {
  const quality =
    perplexity === undefined
      ? ''
      : `, perplexity ${perplexity.toFixed(3)} (${drop && drop > 0 ? '+' : ''}${drop?.toFixed(2)} %)`;
  return `${name}: ${bytes} bytes${quality}`;
}
