import { describe, expect, it } from 'vitest';
import { memoryFiles } from '../util/files.ts';
import { exampleRun, exampleTextRun } from './example-data.ts';
import { isWhole, textOf, unbalanced } from './fixtures/page.ts';
import { collectReport, type ReportData, renderReport, writeReport } from './index.ts';
import { SCRIPT } from './script.ts';

const run = exampleRun();
const page = renderReport(run);

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
    const stages = run.stages.map(stage => ({
      ...stage,
      passAt1: 0.1,
      passAt1Interval: [0.07, 0.15] as const,
    }));
    const text = textOf(renderReport({ ...run, stages }));
    expect(text).toContain(
      'from 10 % to 10 % right answers on problems it had never seen, which may be chance',
    );
    expect(text).not.toContain('learned to reason');
    expect(text).toContain('may be chance.');
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
