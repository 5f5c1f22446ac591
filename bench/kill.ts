/**
 * Kills a run with SIGKILL at random moments, resumes it each time, and compares it with an unbroken run:
 * `node dist/bench/kill.js [--kills 20] [--seed 1]` prints one JSON object and exits 1 when anything differs.
 *
 * 1. Every step is followed by a checkpoint, so that each attempt gets further; the moments spread over the whole run.
 * 2. Compared are the SHA-256 of every model file and of the answers, and the metrics without the clock's.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Random } from '../src/util/random.ts';

export interface KillOptions {
  /** The built command line. */
  readonly main: string;
  /** Recipe and its options, without --out and --resume. */
  readonly recipe: readonly string[];
  readonly kills: number;
  readonly seed: number;
}

export interface KillReport {
  readonly kills: number;
  /** Kills that met a running process (the run had not ended before). */
  readonly met: number;
  /** Seconds of the unbroken run. */
  readonly seconds: number;
  /** What was compared, and what of it differs. */
  readonly compared: readonly string[];
  readonly different: readonly string[];
  /** Standard error of a process that failed by itself. */
  readonly failures: readonly string[];
}

/** Runs the recipe unbroken and broken in a temporary folder, which is removed afterwards. */
export async function killRuns(options: KillOptions): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'gaslaw-kill-'));
  try {
    return await compare(folder, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(folder: string, o: KillOptions): Promise<KillReport> {
  const [whole, broken] = [join(folder, 'whole'), join(folder, 'broken')];
  const failures: string[] = [];
  const started = performance.now();
  noteFailure(failures, await attempt(o, whole));
  const seconds = (performance.now() - started) / 1000;
  const random = new Random(o.seed).fork('kills');
  let met = 0;
  for (let kill = 0; kill < o.kills; kill++) {
    const ended = await attempt(o, broken, killDelay(random, seconds, o.kills));
    noteFailure(failures, ended);
    if (ended.killed) met++;
  }
  noteFailure(failures, await attempt(o, broken));
  const [a, b] = [fingerprint(whole), fingerprint(broken)];
  const compared = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return {
    kills: o.kills,
    met,
    seconds,
    compared,
    different: compared.filter(name => a[name] !== b[name]),
    failures,
  };
}

const STARTUP_MS = 300;

/** Milliseconds: together the attempts get about as far as the unbroken run. */
const killDelay = (random: Random, seconds: number, kills: number): number =>
  STARTUP_MS + random.uniform() * ((2000 * seconds) / kills);

interface Ended {
  readonly killed: boolean;
  readonly code: number | null;
  readonly stderr: string;
}

/** Starts or resumes the run in `out`; kills it after `delayMs` when given. */
function attempt(o: KillOptions, out: string, delayMs?: number): Promise<Ended> {
  const resume = existsSync(join(out, 'config.json')) ? ['--resume'] : [];
  const child = spawn(process.execPath, [o.main, 'run', ...o.recipe, '--out', out, ...resume], {
    env: { ...process.env, GASLAW_CHECKPOINT_SECONDS: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', chunk => {
    stderr += chunk;
  });
  const timer = delayMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), delayMs);
  return new Promise(done =>
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      done({ killed: signal === 'SIGKILL', code, stderr });
    }),
  );
}

function noteFailure(failures: string[], ended: Ended): void {
  if (!ended.killed && ended.code !== 0) failures.push(ended.stderr);
}

/** Digests by file name; of the metrics, one a stage. */
function fingerprint(run: string): Record<string, string> {
  const found: Record<string, string> = {};
  if (!existsSync(run)) return found;
  for (const entry of readdirSync(join(run, 'models'), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found[path.slice(run.length + 1)] = digest(readFileSync(path));
  }
  found['samples.jsonl'] = digest(readFileSync(join(run, 'samples.jsonl')));
  for (const [stage, lines] of metricsByStage(run)) found[`metrics of ${stage}`] = digest(lines.join('\n'));
  return found;
}

const digest = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** Metrics that the clock makes. */
const CLOCK = new Set(['time', 'tokensPerSecond', 'matmulShare', 'rollout_seconds']);

function metricsByStage(run: string): Map<string, string[]> {
  const stages = new Map<string, string[]>();
  for (const line of readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n')) {
    const metrics = JSON.parse(line) as { stage: string };
    const kept = Object.entries(metrics).filter(([name]) => !CLOCK.has(name));
    stages.set(metrics.stage, [...(stages.get(metrics.stage) ?? []), JSON.stringify(kept)]);
  }
  return stages;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { kills: { type: 'string' }, seed: { type: 'string' } } });
  const report = await killRuns({
    main: join(import.meta.dirname, '../src/cli/main.js'),
    recipe: ['r1', '--size', 'debug'],
    kills: Number(values.kills ?? 20),
    seed: Number(values.seed ?? 1),
  });
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (report.different.length > 0 || report.failures.length > 0) process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
