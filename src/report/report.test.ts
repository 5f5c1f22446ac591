import { describe, expect, it } from 'vitest';
import { wilson } from '../tasks/statistics.ts';
import { memoryFiles } from '../util/files.ts';
import type { Stage } from './data.ts';
import { exampleRun, exampleTextRun } from './example-data.ts';
import { isWhole, textOf, unbalanced } from './fixtures/page.ts';
import { collectReport, type ReportData, renderReport, writeReport } from './index.ts';
import { SCRIPT } from './script.ts';

const run = exampleRun();
const page = renderReport(run);

/** The example's stages, the base with one share of right answers and all others with another. */
const withShares = (base: number, others: number) =>
  run.stages.map(stage => {
    const passAt1 = stage.name === 'base' ? base : others;
    return { ...stage, passAt1, passAt1Interval: wilson(Math.round(200 * passAt1), 200) };
  });

const folderOf = (data: ReportData, result = true) => {
  const { stages, metrics, samples, machine, finished: _, seconds, ...config } = data;
  const lines = (items: readonly unknown[]) => items.map(item => `${JSON.stringify(item)}\n`).join('');
  return memoryFiles({
    'run/config.json': JSON.stringify({ ...config, machine }),
    'run/metrics.jsonl': lines(metrics),
    'run/samples.jsonl': lines(samples),
    ...Object.fromEntries(stages.map(stage => [`run/stages/${stage.name}.json`, JSON.stringify(stage)])),
    ...(result && {
      'run/result.json': JSON.stringify({ ...config, seconds, report: 'report.html', stages }),
    }),
  });
};

describe('the page', () => {
  it('asks for nothing from outside', () => {
    expect(
      page.match(/https?:|["'(]\/\/|url\((?!#)|@import|<link(?! rel="icon" href="data:,")|<img|<iframe/gi),
    ).toBeNull();
    expect(page.match(/\s(?:src|action)=/g)).toBeNull();
    expect([...page.matchAll(/href="([^"]*)"/g)].every(([, to]) => /^(?:#|data:,)/.test(to as string))).toBe(
      true,
    );
    expect(page.includes('content="default-src &#39;none&#39;')).toBe(true);
  });

  it('is well formed', () => {
    for (const html of [page, renderReport(exampleTextRun())]) {
      expect(isWhole(html)).toBe(true);
      expect(unbalanced(html)).toEqual([]);
    }
  });

  it('has a script that parses and cannot end early', () => {
    expect(() => new Function(SCRIPT)).not.toThrow();
    expect(SCRIPT).not.toContain('</');
  });

  it('has an entry for every link', () => {
    for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) expect(page.includes(`id="${id}"`)).toBe(true);
  });

  it('shows text of the run as text, whatever it is', () => {
    const evil = `</script><script>alert(1)</script><img src=x onerror="a('b')">&amp;`;
    const samples = run.samples.map(s => ({
      ...s,
      response: `<think>${evil}</think><answer>${evil}</answer>`,
      prompt: evil,
    }));
    const stages = run.stages.map(s => ({ ...s, title: evil, summary: evil, notes: [evil] }));
    const metrics = run.metrics.map(line => ({ ...line, [evil]: 1 }));
    const html = renderReport({ ...run, samples, stages, metrics, machine: { [evil]: evil }, size: evil });
    expect(html.match(/<script/g)).toHaveLength(1);
    expect(html.includes('<img')).toBe(false);
    expect(textOf(html)).toContain('<script>alert(1)</script>');
    expect(unbalanced(html)).toEqual([]);
  });
});

describe('figures on the page', () => {
  it('are those of the data', () => {
    const text = textOf(page);
    for (const stage of run.stages) {
      expect(text).toContain(stage.title);
      expect(text).toContain(`${((stage.passAt1 as number) * 100).toFixed(1)} %`);
      expect(page.includes(`data-value="${stage.passAt1}"`)).toBe(true);
      expect(page.includes(`data-value="${stage.bytes}"`)).toBe(true);
    }
    expect(text).toContain('from 10.4 % to 74.2 % right answers');
    expect(text).toContain('a student of 164 kB');
    expect(text).toContain('13 min 23 s');
  });

  it('claim nothing when the model did not learn', () => {
    const text = textOf(renderReport({ ...run, stages: withShares(0.1, 0.1) }));
    expect(text).toContain(
      'did not learn to reason: of its answers to problems it had never seen, 10 % were right before and 10 % after.',
    );
    expect(text).toContain('does not show that this worked');
    expect(text).not.toMatch(/learned to reason|Nobody showed it how/);
  });

  it('call a small gain what it may be', () => {
    const text = textOf(renderReport({ ...run, stages: withShares(0.1, 0.12) }));
    expect(text).toContain(
      'from 10 % to 12 % right answers on problems it had never seen, which may be chance',
    );
    expect(text).not.toMatch(/learned to reason|Nobody showed it how/);
  });

  it('say that debug tests the plumbing, and that nothing was right', () => {
    const metrics = run.metrics.map(line => ({
      ...line,
      ...('reward/accuracy' in line && { 'reward/accuracy': 0 }),
    }));
    const text = textOf(renderReport({ ...run, size: 'debug', stages: withShares(0, 0), metrics }));
    expect(text).toContain('0 % were right before and 0 % after');
    expect(text).toContain('Size debug takes a few steps in each stage: it tests that everything runs');
    expect(text).toContain('No answer that it tried was right');
    expect(text).toContain('gaslaw run r1 --size small');
    expect(text).not.toContain('Nobody showed it how');
  });

  it('a stage without steps says whose weights it has, and students without steps are not compared', () => {
    const idle = ['cold-start', 'student-distilled', 'student-rl-only'];
    const metrics = run.metrics.filter(line => !idle.includes(line.stage));
    const stages = run.stages.map(stage =>
      idle.includes(stage.name) ? { ...stage, trainingFlops: 0, samplingFlops: 0 } : stage,
    );
    const text = textOf(renderReport({ ...run, stages, metrics }));
    expect(text).toMatch(
      /no verified answer to learn from, so it took no step: it has the weights that it started from, those of Base model/,
    );
    expect(text).toMatch(
      /\. It took no step: it has the weights that it started from, those of Student’s base/,
    );
    expect(text.match(/took no step/g)).toHaveLength(3);
    expect(text).not.toContain('Copy or discover?');
    expect(textOf(page)).not.toContain('took no step');
  });

  it('explain the costs that are there, and no others', () => {
    const untimed = run.stages.map(({ answerMs: _, ...stage }) => stage);
    const wrong = untimed.map(stage => ({ ...stage, passAt1: 0 }));
    const [all, some, none] = [run.stages, untimed, wrong].map(stages =>
      textOf(renderReport({ ...run, stages })),
    );
    expect(all).toContain('CPU time is the wall clock of one answer at a time on this machine. FLOPs are 2');
    expect(some).not.toContain('CPU time is');
    expect(some).toContain('FLOPs are 2 · active parameters a token.');
    expect(none).not.toMatch(/FLOPs are 2|The cost of a right answer/);
  });

  it('compare the students by difference, interval and compute', () => {
    expect(textOf(page)).toMatch(/distilled one is ahead by 27\.2 points \(95 % interval 18\.\d to 35\.\d\)/);
    expect(textOf(page)).toContain(
      'Learning alone took 6.3 TFLOP, sampling included; being taught took 6.2 TFLOP: about the same compute',
    );
  });

  it('end the curves with the last step', () => {
    const last = run.metrics.findLast(line => line.stage === 'zero');
    expect(textOf(page)).toContain(`${(Number(last?.['reward/accuracy']) * 100).toFixed(1)} %`);
  });

  it('say how to make the run again', () => {
    expect(textOf(page)).toContain('gaslaw run r1 --size small --seed 1 --out my-run');
    expect(textOf(renderReport({ ...run, options: { text: "it's here" } }))).toContain(
      `--set 'text=it'\\''s here'`,
    );
  });

  it('keep Chinese digits, dim the thinking and mark the answer', () => {
    expect(page.includes('七 九 二&gt;六一:')).toBe(true);
    expect(page.includes('<span class="answer">七*九-二</span>')).toBe(true);
    expect(textOf(page)).not.toMatch(/<\/?(?:think|answer)>/);
  });
});

describe('runs with less in them', () => {
  it.each<[string, Partial<ReportData>]>([
    ['nothing yet', { stages: [], metrics: [], samples: [], finished: false, machine: {} }],
    ['metrics alone', { stages: [], samples: [], finished: false }],
    ['one stage', { stages: run.stages.slice(0, 1) }],
    ['no metrics', { metrics: [] }],
    ['no samples', { samples: [] }],
    ['no times', { stages: run.stages.map(({ answerMs: _, ...stage }) => stage) }],
    [
      'nothing right',
      {
        stages: run.stages.map(stage => ({
          ...stage,
          passAt1: 0,
          passAtK: 0,
          passAt1Interval: [0, 0.014] as const,
        })),
      },
    ],
    ['a student alone', { stages: run.stages.slice(-2) }],
  ])('%s', (_, part) => {
    const html = renderReport({ ...run, ...part });
    expect(isWhole(html)).toBe(true);
    expect(unbalanced(html)).toEqual([]);
    expect(textOf(html)).not.toMatch(/NaN|undefined|Infinity|null/);
    expect(html.replace(/data-value="[^"]*"/g, '').replace(/<script>[\s\S]*<\/script>/, '')).not.toMatch(
      /NaN|Infinity|undefined/,
    );
  });

  it('values that are not numbers leave gaps, not zeros', () => {
    const metrics = run.metrics.map((line, i) =>
      i % 3 === 0 ? { ...line, loss: null as unknown as number, entropy: Number.NaN } : line,
    ); // null is what JSON has for NaN
    const html = renderReport({ ...run, metrics });
    expect(html.replace(/<script>[\s\S]*<\/script>/, '')).not.toContain('NaN');
    expect(isWhole(html)).toBe(true);
  });

  it('a text run speaks of bits per byte and not of pass@1', () => {
    const text = textOf(renderReport(exampleTextRun()));
    expect(text).toContain('needs 2.67 bits for a byte of text');
    expect(text).not.toContain('pass@1');
    expect(text).toContain('Good morrow, n oble sir, and <well>');
    expect(text).toContain('Good morrow, n eighbour Baptista.');
  });
});

describe('a run on pictures', () => {
  const { name, title, summary, from, model, seconds, trainingFlops, samplingFlops } = run.stages[0] as Stage;
  const network: Stage = {
    ...{ name, title, summary, from, model, seconds, trainingFlops, samplingFlops },
    parameters: 70_330,
    activeParameters: 70_330,
    bytes: 287_132,
    accuracy: 0.9,
    accuracyInterval: wilson(180, 200),
    heldOut: 200,
    macs: 5_532_544,
    classes: ['cat', 'dog'],
    confusion: [
      [90, 10],
      [10, 90],
    ],
  };
  const textWith = (stage: Stage) =>
    textOf(renderReport({ ...run, recipe: 'images', stages: [stage], samples: [], metrics: [] }));

  it('counts the parameters that train, and says so', () => {
    expect(textWith(network)).toContain('A network of 70.3 k trainable parameters');
    expect(textWith(network)).toContain('learned to tell 2 kinds of pictures apart: 90 % of those');
  });

  it('did not learn when naming one class always does as well', () => {
    const blind = { ...network, accuracy: 0.55, accuracyInterval: wilson(110, 200) };
    expect(textWith(blind)).toContain('did not learn to tell 2 kinds of pictures apart: 55 % of those');
  });
});

describe('reading a run folder', () => {
  it('finds everything a finished run left', async () => {
    const data = await collectReport(folderOf(run), 'run');
    expect(data).toEqual(run);
  });

  it('puts the stages of an unfinished run in order of training', async () => {
    const data = await collectReport(folderOf(run, false), 'run');
    expect(data.finished).toBe(false);
    expect(data.stages.map(stage => stage.name)).toEqual(run.stages.map(stage => stage.name));
    expect(data.seconds).toBe(118 + 214 + 31 + 74 + 52 + 71 + 40 + 66 + 81 + 6 + 6);
  });

  it('reads a folder with a configuration alone', async () => {
    const { recipe, size, seed, version } = run;
    const files = memoryFiles({ 'run/config.json': JSON.stringify({ recipe, size, seed, version }) });
    expect(await collectReport(files, 'run')).toMatchObject({
      stages: [],
      metrics: [],
      samples: [],
      seconds: 0,
    });
  });

  it('names a folder without a run', async () => {
    await expect(collectReport(memoryFiles(), 'nowhere')).rejects.toThrow('nowhere: there is no run here');
  });

  it('writes the page beside the run', async () => {
    const files = folderOf(run);
    expect(await writeReport(files, 'run')).toBe('run/report.html');
    expect(new TextDecoder().decode(await files.read('run/report.html'))).toBe(page);
  });
});
