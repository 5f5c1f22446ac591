/**
 * What a command prints and where.
 *
 * 1. With --json stdout carries one JSON object and nothing else; everything for people goes to stderr.
 * 2. Progress is one line rewritten on a terminal, and a plain line now and then elsewhere.
 * 3. A GaslawError is one sentence and an exit code; anything else is a defect and shows its stack.
 */
import pc from 'picocolors';
import type { ProgressUpdate } from '../train/loop.ts';
import { GaslawError, UsageError } from '../util/errors.ts';

export interface Output {
  /** The command's result: the object with --json, else the lines. */
  result(object: unknown, lines: () => readonly string[]): void;
  log(line: string): void;
  warn(line: string): void;
  progress(update: ProgressUpdate): void;
}

const PLAIN_INTERVAL_MS = 5000;

export function createOutput(json: boolean): Output {
  const terminal = process.stderr.isTTY === true;
  let open = false;
  let last = 0;
  const closeLine = () => {
    if (open) process.stderr.write('\r\x1b[2K');
    open = false;
  };
  const line = (text: string) => {
    closeLine();
    process.stderr.write(`${text}\n`);
  };
  return {
    result(object, lines) {
      closeLine();
      process.stdout.write(
        json
          ? `${JSON.stringify(object)}\n`
          : lines()
              .map(l => `${l}\n`)
              .join(''),
      );
    },
    log: line,
    warn: text => line(pc.yellow(`warning: ${text}`)),
    progress(update) {
      if (terminal) {
        process.stderr.write(`\r\x1b[2K${progressLine(update, process.stderr.columns ?? 80)}`);
        open = true;
        return;
      }
      const now = performance.now();
      if (now - last < PLAIN_INTERVAL_MS && update.step < update.steps) return;
      last = now;
      line(progressLine(update, 160));
    },
  };
}

const BAR = 20;

/** `zero  [####    ] 40/120  reward 0.31  12.3k tok/s  61 % of matmul  ETA 2:10`, cut to `width`. */
export function progressLine(u: ProgressUpdate, width: number): string {
  const filled = Math.round((BAR * u.step) / u.steps);
  const bar = `[${'#'.repeat(filled)}${' '.repeat(BAR - filled)}]`;
  const parts = [`${u.stage} ${bar} ${u.step}/${u.steps}`];
  const m = u.metrics;
  if (m['reward/accuracy'] !== undefined) parts.push(`right ${(100 * m['reward/accuracy']).toFixed(0)} %`);
  else if (m.loss !== undefined) parts.push(`loss ${m.loss.toFixed(3)}`);
  if (m.response_length !== undefined) parts.push(`length ${m.response_length.toFixed(0)}`);
  if (m.entropy !== undefined) parts.push(`entropy ${m.entropy.toFixed(2)}`);
  parts.push(`${thousands(u.tokensPerSecond)} tok/s`);
  if (u.matmulShare !== undefined) parts.push(`${(100 * u.matmulShare).toFixed(0)} % of matmul`);
  parts.push(`ETA ${clock(u.etaSeconds)}`);
  return parts.join('  ').slice(0, width - 1);
}

/** `52.0 %`, aligned. */
export const percent = (x: number): string => `${(100 * x).toFixed(1).padStart(5)} %`;

const thousands = (n: number): string => (n >= 1000 ? `${(n / 1000).toFixed(1)}k` : n.toFixed(0));

const clock = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

/** Runs a command's body; returns the exit code. */
export async function guard(body: () => Promise<void>): Promise<number> {
  try {
    await body();
    return 0;
  } catch (error) {
    if (error instanceof GaslawError) {
      process.stderr.write(`${pc.red('gaslaw:')} ${error.message}\n`);
      return error instanceof UsageError ? 2 : 1;
    }
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
}
