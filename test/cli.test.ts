/** The command line as scripts and people use it: recipes end to end, and the fields that scripts rely on. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { zeros } from '../src/graph/ir.ts';
import { encodeModel } from '../src/graph/protobuf.ts';
import { Builder } from '../src/ops/builder.ts';
import { modelFor } from '../src/ops/opset.ts';
import { gaslaw, jsonOf } from './gaslaw.ts';

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-cli-'));
const cli = (...args: string[]) => gaslaw(folder, args);
const modelOf = (stage: string) => join('run', 'models', stage);

const STAGES = [
  'base',
  'zero',
  'cold-start',
  'reasoning-rl',
  'rejection-sft',
  'all-scenarios-rl',
  'student-base',
  'student-distilled',
  'student-rl-only',
  'student-int8',
  'student-int4',
];

const share = z.number().min(0).max(1);
const interval = z.tuple([share, share]).refine(([low, high]) => low <= high);
const count = z.number().int().nonnegative();
const positive = z.number().positive();

const stageSchema = z.object({
  name: z.enum(STAGES),
  model: z.string(),
  parameters: count,
  activeParameters: count,
  bytes: count,
  passAt1: share,
  passAt1Interval: interval,
  passAtK: share,
  passAtKInterval: interval,
  k: count,
  samples: count,
  responseTokens: positive,
  seconds: positive,
});
const runSchema = z.object({
  recipe: z.literal('r1'),
  size: z.literal('debug'),
  seed: z.literal(1),
  seconds: positive,
  report: z.string(),
  stages: z.array(stageSchema),
});
const evalSchema = z.object({
  task: z.literal('countdown'),
  level: z.literal('3x12'),
  samples: count,
  k: count,
  passAt1: share,
  passAt1Interval: interval,
  passAtK: share,
  responseTokens: positive,
  seconds: positive,
});
const generateSchema = z.object({
  promptIds: z.array(count),
  ids: z.array(count),
  text: z.string(),
  seconds: positive,
  tokensPerSecond: positive,
});
const inspectSchema = z.object({
  architecture: z.literal('llama'),
  parameters: count,
  activeParameters: count,
  bytes: count,
  forwardFlopsPerToken: positive,
  trainingFlopsPerToken: positive,
  kvElementsPerToken: positive,
});
const value = z.object({
  name: z.string(),
  dtype: z.string(),
  shape: z.array(z.union([z.string(), z.number()])).optional(),
});
const inspectOnnxSchema = z.object({
  parameters: count,
  bytes: count,
  inputs: z.array(value),
  outputs: z.array(value),
  ops: z.record(z.string(), count),
  parametersByOp: z.record(z.string(), count),
  macs: count.optional(),
  notDifferentiable: z.array(z.object({ node: z.string(), op: z.string(), why: z.string() })).optional(),
});
const benchSchema = z.object({
  prefillTokensPerSecond: positive,
  decodeTokensPerSecond: positive,
  timeToFirstTokenMs: positive,
  loadSeconds: positive,
  peakRssBytes: positive,
});
const benchOnnxSchema = z.object({ medianMs: positive, p95Ms: positive, peakRssBytes: positive });
const perplexitySchema = z.object({
  tokens: count,
  natsPerToken: positive,
  perplexity: positive,
  bitsPerByte: positive,
});

beforeAll(() =>
  writeFileSync(join(folder, 'text.txt'), 'the quick brown fox jumps over the lazy dog. '.repeat(60)),
);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('gaslaw run r1 --size debug', () => {
  let result: z.infer<typeof runSchema>;
  beforeAll(() => {
    result = runSchema.parse(jsonOf(cli('run', 'r1', '--size', 'debug', '--out', 'run', '--json')));
  }, 180_000);

  it('runs every stage once and leaves models and a report', () => {
    expect(result.stages.map(s => s.name).sort()).toEqual([...STAGES].sort());
    expect(existsSync(join(folder, result.report))).toBe(true);
    for (const stage of result.stages)
      expect(existsSync(join(folder, 'run', stage.model, 'config.json'))).toBe(true);
  });

  it('makes smaller files with fewer bits', () => {
    const bytes = (name: string) => result.stages.find(s => s.name === name)?.bytes as number;
    expect(bytes('student-int8')).toBeLessThan(bytes('student-distilled'));
    expect(bytes('student-int4')).toBeLessThan(bytes('student-int8'));
  });

  it('learns: the base loses less at the end than at the beginning', () => {
    const lines = readFileSync(join(folder, 'run/metrics.jsonl'), 'utf8').trim().split('\n');
    const base = lines
      .map(l => JSON.parse(l) as { stage: string; loss: number })
      .filter(l => l.stage === 'base');
    expect(base.at(-1)?.loss).toBeLessThan(0.7 * (base[0]?.loss as number));
  });

  it('refuses a folder that has a run, and says what to do', () => {
    const { status, stderr } = cli('run', 'r1', '--size', 'debug', '--out', 'run');
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /^gaslaw: run: there is a run already; resume it, or choose another folder \(--resume\)\n$/,
    );
    expect(cli('run', 'r1', '--size', 'debug', '--seed', '2', '--out', 'run', '--resume').stderr).toContain(
      'seed 1',
    );
  });

  it('eval measures what the run measured', () => {
    const stage = result.stages.find(s => s.name === 'zero');
    const args = ['--task', 'countdown', '--samples', String(stage?.samples), '--k', String(stage?.k)];
    const e = evalSchema.parse(jsonOf(cli('eval', modelOf('zero'), ...args, '--json')));
    expect(e.passAt1).toBe(stage?.passAt1);
    expect(e.responseTokens).toBeCloseTo(stage?.responseTokens as number, 6);
  });

  it('a run folder stands for the distilled student', () => {
    const whole = jsonOf(cli('inspect', 'run', '--json'));
    expect(whole).toEqual(jsonOf(cli('inspect', modelOf('student-distilled'), '--json')));
    expect(whole).not.toEqual(jsonOf(cli('inspect', modelOf('base'), '--json')));
  });

  it('generate repeats itself with the same seed, and is an ONNX file’s as well as a directory’s', () => {
    const args = ['--prompt', '3 5 4>35:', '--max-tokens', '6', '--json'];
    const first = generateSchema.parse(jsonOf(cli('generate', modelOf('zero'), ...args)));
    expect(first.ids.length).toBeLessThanOrEqual(6);
    expect(first.promptIds).toHaveLength('3 5 4>35:'.length - 1); // 35 is one token
    expect(generateSchema.parse(jsonOf(cli('generate', modelOf('zero'), ...args))).ids).toEqual(first.ids);
    const student = modelOf('student-distilled');
    const file = generateSchema.parse(jsonOf(cli('generate', `${student}/onnx/model.onnx`, ...args)));
    expect(file.ids).toEqual(generateSchema.parse(jsonOf(cli('generate', student, ...args))).ids);
  });

  it('generate leaves a stop string out', () => {
    const args = ['--prompt', '3 5 4>35:', '--temperature', '0', '--max-tokens', '30', '--json'];
    const { text } = generateSchema.parse(jsonOf(cli('generate', modelOf('zero'), ...args)));
    const stop = text.slice(4, 6);
    const stopped = generateSchema.parse(jsonOf(cli('generate', modelOf('zero'), ...args, '--stop', stop)));
    expect(stopped.text).toBe(text.slice(0, text.indexOf(stop)));
  });

  it('chat answers every line and checks problems', () => {
    const input = '3 5 4 > 35\n\nsort 2 1\n';
    const { status, stdout } = gaslaw(folder, ['chat', modelOf('zero'), '--max-tokens', '8'], { input });
    expect(status).toBe(0);
    expect(stdout.match(/ (right|wrong: .*)$/gm)).toHaveLength(2);
    const asked = gaslaw(folder, ['chat', modelOf('zero'), '--task', 'countdown', '--max-tokens', '8'], {
      input: '\n',
    });
    expect(asked.stdout).toMatch(/^\d+ \d+ \d+>\d+:\n/);
  });

  it('inspect and bench read directories and ONNX files', { timeout: 60_000 }, () => {
    const i = inspectSchema.parse(jsonOf(cli('inspect', modelOf('base'), '--json')));
    expect(i.parameters).toBe(result.stages.find(s => s.name === 'base')?.parameters);
    expect(i.trainingFlopsPerToken).toBe(3 * i.forwardFlopsPerToken);
    const alone = jsonOf(cli('inspect', `${modelOf('base')}/config.json`, '--json'));
    expect(alone).toEqual({
      ...i,
      layers: 2,
      vocabulary: expect.any(Number),
      context: expect.any(Number),
      bytes: undefined,
    });
    const int4 = modelOf('student-int4');
    const onnx = readdirSync(join(folder, int4, 'onnx')).find(name => name.endsWith('.onnx')) as string;
    const file = inspectOnnxSchema.parse(jsonOf(cli('inspect', `${int4}/onnx/${onnx}`, '--json')));
    expect(file.ops['com.microsoft.MatMulNBits']).toBeGreaterThan(0);
    const student = result.stages.find(s => s.name === 'student-int4')?.parameters as number;
    expect(file.parameters / student).toBeCloseTo(1, 2);
    const cacheOf = (dtype: string) => (dtype === 'q8' ? ['--kv-cache', 'int8'] : []);
    for (const dtype of ['f32', 'q8', 'q4', 'q4g128'])
      benchSchema.parse(
        jsonOf(cli('bench', modelOf('base'), '--runs', '1', '--dtype', dtype, ...cacheOf(dtype), '--json')),
      );
    const exported = cli('generate', `${int4}/onnx/${onnx}`, '--prompt', '3', '--dtype', 'q8');
    expect(exported.status).toBe(2);
    expect(exported.stderr).toContain('the format that it was exported in');
    benchSchema.parse(jsonOf(cli('bench', int4, '--runs', '1', '--json')));
  });

  it('goes on with a finished run without training again', { timeout: 60_000 }, () => {
    const again = runSchema.parse(
      jsonOf(cli('run', 'r1', '--size', 'debug', '--out', 'run', '--resume', '--json')),
    );
    expect(again.stages).toEqual(result.stages);
  });
});

describe('gaslaw run text', () => {
  const out = 'text-run';

  it('learns a text, scores it, writes like it', { timeout: 60_000 }, () => {
    const r = cli('run', 'text', '--size', 'debug', '--set', 'text=text.txt', '--out', out, '--json');
    const passage = z.object({ begun: z.string(), written: z.string(), actual: z.string() });
    const stage = z.object({ natsPerToken: positive, passages: z.array(passage).min(1) });
    const { stages } = z.object({ stages: z.array(stage) }).parse(jsonOf(r));
    expect(stages[0]?.natsPerToken).toBeLessThan(Math.log(28)); // better than a guess among its 28 characters
    const p = perplexitySchema.parse(jsonOf(cli('perplexity', out, '--text', 'text.txt', '--json')));
    expect(p.tokens).toBe(60 * 45 - 1);
    expect(p.perplexity).toBeCloseTo(Math.exp(p.natsPerToken), 9);
    expect(p.bitsPerByte).toBeCloseTo(p.natsPerToken / Math.LN2, 9); // one byte a character
    expect(cli('generate', out, '--prompt', 'the ', '--max-tokens', '8').stdout).toMatch(/^[a-z. ]{8}\n$/);
  });
});

it('run text --set architecture=deepseek: a sparse model with a latent cache', { timeout: 60_000 }, () => {
  const settings = ['--set', 'text=text.txt', '--set', 'architecture=deepseek'];
  const r = cli('run', 'text', '--size', 'debug', ...settings, '--out', 'sparse', '--json');
  const stage = z.object({ natsPerToken: positive, parameters: positive, activeParameters: positive });
  const { stages } = z.object({ stages: z.array(stage) }).parse(jsonOf(r));
  const [learned] = stages as [z.infer<typeof stage>];
  expect(learned.natsPerToken).toBeLessThan(Math.log(28));
  expect(learned.activeParameters).toBeLessThan(learned.parameters);
  expect(jsonOf(cli('inspect', 'sparse', '--json'))).toMatchObject({
    architecture: 'deepseek_v3',
    parameters: learned.parameters,
    activeParameters: learned.activeParameters,
    kvElementsPerToken: 2 * (16 + 8),
  });
  expect(cli('generate', 'sparse', '--prompt', 'the ', '--max-tokens', '8').stdout).toMatch(/^[a-z. ]{8}\n$/);
  const metrics = readFileSync(join(folder, 'sparse/metrics.jsonl'), 'utf8');
  expect(JSON.parse(metrics.split('\n')[0] as string)).toHaveProperty('moe/max_vio');
});

describe('any other graph', () => {
  it('is inspected, and timed with the dimensions that are given', () => {
    const b = new Builder('product');
    const x = b.input('x', 'float32', ['rows', 4]);
    b.output(x.matmul(b.initializer('w', zeros('float32', [4, 3]))), 'y');
    writeFileSync(join(folder, 'product.onnx'), encodeModel(modelFor(b.graph)));
    const i = inspectOnnxSchema.parse(jsonOf(cli('inspect', 'product.onnx', '--json')));
    expect(i).toMatchObject({ parameters: 12, ops: { MatMul: 1 }, macs: 12, parametersByOp: { MatMul: 12 } });
    expect(i.notDifferentiable).toEqual([]);
    expect(i.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['rows', 4] }]);
    const bench = jsonOf(cli('bench', 'product.onnx', '--runs', '3', '--dim', 'rows=7', '--json'));
    expect(
      benchOnnxSchema.extend({ dims: z.object({ rows: z.literal(7) }) }).parse(bench).p95Ms,
    ).toBeGreaterThan(0);
    expect(cli('bench', 'product.onnx', '--dim', 'columns=7').stderr).toContain('it has rows');
  });

  it('may keep its weights in another file', () => {
    const external = join(import.meta.dirname, '../src/graph/fixtures/external.onnx');
    expect(inspectOnnxSchema.parse(jsonOf(cli('inspect', external, '--json'))).bytes).toBeGreaterThan(
      statSync(external).size,
    );
  });
});

it('gaslaw recipes lists sizes and options', () => {
  const schema = z.array(
    z.object({ name: z.string(), summary: z.string(), sizes: z.record(z.string(), z.string()) }),
  );
  const recipes = schema.parse(jsonOf(cli('recipes', '--json')));
  expect(recipes.map(r => r.name)).toEqual(['r1', 'images', 'text']);
  expect(cli('recipes').stdout).toContain('--size small');
});

it('gaslaw alone and --help show every command', () => {
  const { status, stdout } = cli();
  expect(status).toBe(0);
  for (const name of ['run', 'recipes', 'eval', 'generate', 'chat', 'perplexity', 'inspect', 'bench'])
    expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
  expect(cli('--help').stdout).toBe(stdout);
});
