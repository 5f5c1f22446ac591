/** The command line as scripts and people use it: the built program in processes of its own. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, '../dist/src/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'gaslaw-cli-'));
const run = join(folder, 'run');

function gaslaw(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    cwd: folder,
  });
  return { status, stdout, stderr };
}

/** The one JSON object on stdout. */
const json = (stdout: string): Record<string, unknown> => {
  expect(stdout.trim().split('\n')).toHaveLength(1);
  return JSON.parse(stdout) as Record<string, unknown>;
};

const STAGES = [
  'base',
  'zero',
  'cold-start',
  'reasoning-rl',
  'rejection-sft',
  'all-scenarios-rl',
  'student-distilled',
  'student-rl-only',
  'student-int8',
  'student-int4',
];

beforeAll(() => {
  writeFileSync(join(folder, 'text.txt'), 'the quick brown fox jumps over the lazy dog. '.repeat(60));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('gaslaw run r1 --size debug', () => {
  it('runs every stage and writes models and a report', { timeout: 180_000 }, () => {
    const { status, stdout, stderr } = gaslaw('run', 'r1', '--size', 'debug', '--out', run, '--json');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(status).toBe(0);
    const result = json(stdout) as {
      stages: { name: string; passAt1: number; bytes: number }[];
      report: string;
    };
    expect(result.stages.map(s => s.name).sort()).toEqual([...STAGES].sort());
    for (const stage of result.stages) expect(stage.passAt1).toBeGreaterThanOrEqual(0);
    expect(existsSync(result.report)).toBe(true);
    const size = (name: string) => result.stages.find(s => s.name === name)?.bytes as number;
    expect(size('student-int4')).toBeLessThan(size('student-int8'));
    const lines = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const loss = (line: string) => (JSON.parse(line) as { stage: string; loss: number }).loss;
    const base = lines.filter(line => line.includes('"stage":"base"'));
    expect(loss(base.at(-1) as string)).toBeLessThan(0.7 * loss(base[0] as string));
  });

  it('refuses a folder that has a run, and says what to do', () => {
    const { status, stderr } = gaslaw('run', 'r1', '--size', 'debug', '--out', run);
    expect(status).toBe(2);
    expect(stderr).toContain('--resume');
  });

  it('evaluates, inspects, generates and benches what it made', { timeout: 120_000 }, () => {
    const model = join(run, 'models/zero');
    const e = json(
      gaslaw('eval', model, '--task', 'countdown', '--samples', '8', '--k', '2', '--json').stdout,
    );
    expect(e).toMatchObject({ task: 'countdown', samples: 8, k: 2 });
    expect(e.passAt1Interval).toHaveLength(2);
    const i = json(gaslaw('inspect', model, '--json').stdout);
    expect(i).toMatchObject({ architecture: 'llama' });
    const g = json(gaslaw('generate', model, '--prompt', '3 5 4>35:', '--max-tokens', '5', '--json').stdout);
    expect((g.ids as number[]).length).toBeLessThanOrEqual(5);
    const again = json(
      gaslaw('generate', model, '--prompt', '3 5 4>35:', '--max-tokens', '5', '--json').stdout,
    );
    expect(again.ids).toEqual(g.ids);
    const b = json(gaslaw('bench', model, '--runs', '1', '--json').stdout);
    expect(b.decodeTokensPerSecond).toBeGreaterThan(0);
    const onnx = readdirSync(join(run, 'models/student-int4/onnx')).find(name =>
      name.endsWith('.onnx'),
    ) as string;
    const q = json(gaslaw('inspect', join(run, 'models/student-int4/onnx', onnx), '--json').stdout);
    expect(Object.keys(q.ops as object)).toContain('com.microsoft.MatMulNBits');
  });
});

describe('gaslaw run text', () => {
  it('learns a text and scores it', { timeout: 60_000 }, () => {
    const out = join(folder, 'text-run');
    const r = gaslaw('run', 'text', '--size', 'debug', '--set', 'text=text.txt', '--out', out, '--json');
    expect(r.status).toBe(0);
    const [stage] = json(r.stdout).stages as { natsPerToken: number }[];
    expect(stage?.natsPerToken).toBeLessThan(Math.log(28)); // better than a guess among its 28 characters
    const p = json(gaslaw('perplexity', out, '--text', 'text.txt', '--json').stdout);
    expect(p.perplexity).toBeCloseTo(Math.exp(p.natsPerToken as number), 6);
  });
});

describe('mistakes', () => {
  it.each([
    [['run', 'nope'], 2, 'r1, text'],
    [['run', 'r1', '--size', 'huge'], 2, 'debug, small, full'],
    [['run', 'r1', '--seed', 'x'], 2, '--seed is "x"'],
    [['run', 'text', '--set', 'nope=1'], 2, 'no option "nope"'],
    [['run', 'text', '--size', 'debug', '--set', 'text=missing.txt'], 2, 'missing.txt'],
    [['eval', 'missing', '--task', 'countdown'], 1, 'missing'],
    [['eval', 'missing', '--task', 'chess'], 2, 'countdown'],
    [['inspect', 'text.txt'], 2, 'not a model'],
    [['generate', 'missing'], 2, '--prompt'],
    [['nope'], 2, 'nope'],
  ])('%j: exit code %i and one sentence', (args, code, text) => {
    const { status, stderr, stdout } = gaslaw(...(args as string[]));
    expect(status).toBe(code);
    expect(stderr).toContain(text);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stdout).toBe('');
  });
});
