/**
 * What a command prints and where.
 *
 * 1. With --json stdout carries one JSON object and nothing else; everything for people goes to stderr.
 * 2. Progress is one line rewritten on a terminal, and a plain line now and then elsewhere.
 * 3. A GaslawError is one sentence, with the option that is at fault, and an exit code; anything else is a defect and shows its stack.
 * 4. Colours are each stream's own: only on a terminal, and not with NO_COLOR.
 */
import pc from 'picocolors';
import type { Quality } from '../compress/quality.ts';
import { GGML_TYPES } from '../formats/gguf/types.ts';
import type { GgufFallback } from '../models/gguf/write.ts';
import { percent } from '../report/format.ts';
import type { ProgressUpdate } from '../train/loop.ts';
import { GaslawError, Interrupted, UsageError } from '../util/errors.ts';
import { progressLine } from './progress.ts';

export interface Output {
  /** The command's result: the object with --json, else the lines. */
  result(object: unknown, lines: () => readonly string[]): void;
  /** A line for the person who watches; a leading `name:` stands out. */
  log(line: string): void;
  warn(line: string): void;
  progress(update: ProgressUpdate): void;
}

const PLAIN_INTERVAL_MS = 5000;
const CLEAR_LINE = '\r\x1b[2K';

const colorsOf = (stream: NodeJS.WriteStream) =>
  pc.createColors(stream.isTTY === true && process.env.NO_COLOR === undefined && process.env.TERM !== 'dumb');
export const stderrColors = () => colorsOf(process.stderr);
export const stdoutColors = () => colorsOf(process.stdout);

export function createOutput(json: boolean): Output {
  const colors = stderrColors();
  const progress = createProgress();
  const line = (text: string) => {
    progress.close();
    process.stderr.write(`${text}\n`);
  };
  return {
    result(object, lines) {
      progress.close();
      const text = json ? JSON.stringify(object) : lines().join('\n');
      process.stdout.write(`${text}\n`);
    },
    log: text => line(text.replace(/^[\w-]+:/, name => colors.bold(name))),
    warn: text => line(colors.yellow(`warning: ${text}`)),
    progress: progress.show,
  };
}

/** What a step of compression cost. */
export const qualityLines = ({
  quality,
  qualityBefore,
  qualityAfter,
  qualityOn,
}: Partial<Quality> & { readonly qualityOn?: string }): string[] =>
  quality === undefined
    ? []
    : [`${quality} ${percent(qualityBefore)} → ${percent(qualityAfter)} on ${qualityOn}`];

/** One line of what a GGUF file stores otherwise than asked, if anything. */
export function tellFallbacks(output: Output, fallbacks: readonly GgufFallback[] = []): void {
  if (fallbacks.length > 0) output.warn(fallbacks.map(fallbackText).join('; '));
}

function fallbackText({ wanted, type, tensors, of, columns }: GgufFallback): string {
  const rows = columns.join(', ').replace(/, (\d+)$/, ' and $1');
  return `${tensors} of ${of} tensors in ${type}, not ${wanted}: rows of ${rows} are no multiple of ${GGML_TYPES[wanted].elements}`;
}

function createProgress(): { show(update: ProgressUpdate): void; close(): void } {
  let open = false;
  let last = Number.NEGATIVE_INFINITY;
  const terminal = process.stderr.isTTY === true;
  return {
    show(update) {
      if (terminal) process.stderr.write(CLEAR_LINE + progressLine(update, process.stderr.columns || 80));
      open = terminal;
      const now = performance.now();
      if (terminal || (now - last < PLAIN_INTERVAL_MS && update.step < update.steps)) return;
      last = now;
      process.stderr.write(`${progressLine(update, 160)}\n`);
    },
    close() {
      if (open) process.stderr.write(CLEAR_LINE);
      open = false;
    },
  };
}

/**
 * `gaslaw recipes | head -1` ends the program, it does not fail it; a disk that is full under stdout does, in one sentence.
 * What stderr cannot take is dropped: a run does not end because nobody watches.
 */
export function watchStreams(): void {
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    tell(`cannot write to standard output: ${error.code === 'ENOSPC' ? 'the disk is full' : error.message}`);
    process.exit(1);
  });
}

const tell = (sentence: string): boolean =>
  process.stderr.write(`${stderrColors().red('gaslaw:')} ${sentence}\n`);

/** Options whose argument has another name. */
const OPTIONS: Readonly<Record<string, string>> = {
  dims: 'dim',
  folder: 'out',
  maxLatencyMs: 'max-latency',
  maxMemoryBytes: 'max-memory',
};

const optionOf = (argument: string | undefined): string =>
  argument === undefined ? '' : ` (--${OPTIONS[argument] ?? argument})`;

/** Runs a command's body; returns the exit code. */
export async function guard(body: () => Promise<void>): Promise<number> {
  try {
    await body();
    return 0;
  } catch (error) {
    if (process.stderr.isTTY) process.stderr.write(CLEAR_LINE);
    if (!(error instanceof GaslawError)) {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      return 1;
    }
    tell(`${error.message}${optionOf(error.argument)}`);
    if (error instanceof Interrupted) return 130;
    return error instanceof UsageError ? 2 : 1;
  }
}
