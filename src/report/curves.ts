/**
 * Learning curves: small multiples of one design, a row for each stage of reinforcement learning, then the losses.
 *
 * 1. Charts of one metric share their range over the stages, so heights can be compared.
 * 2. What only a practitioner looks at (clipping, norms, speed) is folded away below.
 */
import type { ReportData } from './data.ts';
import { html, type Markup } from './html.ts';
import { lineChart, sharedDomain, type Unit } from './line-chart.ts';
import { hasValues, metricNames, type Series, seriesOf } from './series.ts';
import { type Kind, kindOf } from './story.ts';

interface Metric {
  /** Names in the metrics lines, the first that a stage has. */
  readonly names: readonly string[];
  readonly title: string;
  readonly unit: Unit;
  readonly hint: string;
  /** Evaluations of the same thing on held-out problems. */
  readonly dots?: string;
  readonly zero?: boolean;
}

const MAIN: readonly Metric[] = [
  {
    names: ['reward/accuracy', 'eval/pass_at_1'],
    dots: 'eval/pass_at_1',
    title: 'right answers',
    unit: 'percent',
    hint: 'Share of sampled answers that are right (pass@1 while training); dots are held-out problems.',
  },
  {
    names: ['response_length'],
    title: 'tokens an answer',
    unit: 'plain',
    hint: 'Mean tokens of an answer. It grows when thinking longer pays.',
  },
  {
    names: ['entropy'],
    title: 'entropy',
    unit: 'plain',
    hint: 'How undecided the model is at each token, in nats. Near zero it has stopped exploring.',
  },
  {
    names: ['reward'],
    title: 'reward',
    unit: 'plain',
    hint: 'What the model is trained to raise: right answers, plus a little for form and language.',
  },
];

const PERCENT =
  /^(?:reward\/(?:accuracy|format|language|arithmetic)|truncated|equal_groups|clip_ratio\/.*|matmulShare|.*pass_at_.*)$/;
const HIDDEN = new Set([
  'time',
  'tokens',
  'flops',
  'sampling_flops',
  'sampled_tokens',
  'etaSeconds',
  'problems_sampled',
]);

export function curvesSection(data: ReportData): Markup | false {
  const stages = trainedStages(data);
  if (stages.length === 0) return false;
  const rl = stages.filter(stage => stage.kind === 'rl');
  const rest = stages.filter(stage => stage.kind !== 'rl');
  return html`<section id="curves"><h2>${rl.length > 0 ? 'How it learned' : 'How the loss fell'}</h2>
${
  rl.length > 0 &&
  html`<p class="lead">One row for each stage of reinforcement learning; thin lines are what was measured at each step, strong ones their moving mean.
Charts of a column share one scale. ${lengthRemark(data, rl)}</p>${rl.map(stage => rlRow(data, stage, rl))}`
}
${losses(data, rest)}
${moreCurves(data, stages)}</section>`;
}

interface TrainedStage {
  readonly name: string;
  readonly title: string;
  readonly kind: Kind;
}

/** Stages with metrics, preparatory ones (`student-base`) included, in order. */
function trainedStages(data: ReportData): TrainedStage[] {
  return [...new Set(data.metrics.map(line => line.stage))].map(name => {
    const stage = data.stages.find(s => s.name === name);
    if (stage) return { name, title: stage.title, kind: kindOf(data, stage) };
    const owner = data.stages.find(s => name.startsWith(`${s.name}-`));
    const reward = data.metrics.some(line => line.stage === name && 'reward' in line);
    const title = owner ? `${owner.title}: ${name.slice(owner.name.length + 1)}` : name;
    return { name, title, kind: reward ? 'rl' : 'pretrain' };
  });
}

const pick = (data: ReportData, stage: string, names: readonly string[]): Series =>
  names.map(name => seriesOf(data.metrics, stage, name)).find(hasValues) ?? { x: [], y: [] };

function rlRow(data: ReportData, stage: TrainedStage, all: readonly TrainedStage[]): Markup {
  const charts = MAIN.map(metric => {
    const series = pick(data, stage.name, metric.names);
    const dots = metric.dots ? seriesOf(data.metrics, stage.name, metric.dots) : undefined;
    const domain = sharedDomain(
      all.map(other => pick(data, other.name, metric.names)),
      metric.unit,
    );
    return lineChart({ ...metric, series, dots: dots && hasValues(dots) ? dots : undefined, domain });
  });
  return html`<div class="row ${stage.kind}"><h3>${stage.title} <span class="at" data-steps="${stepsOf(data, stage.name)}">${stepsOf(data, stage.name)}</span></h3><div class="multiples">${charts}</div></div>`;
}

function stepsOf(data: ReportData, stage: string): string {
  const count = data.metrics.filter(line => line.stage === stage).length;
  return `${count} ${count === 1 ? 'step' : 'steps'}`;
}

/** Says whether answers grew longer in the first stage of reinforcement learning, from its first and last tenth. */
function lengthRemark(data: ReportData, rl: readonly TrainedStage[]): string {
  const first = rl[0];
  const { y } = first ? pick(data, first.name, ['response_length']) : { y: [] };
  const tenth = Math.ceil(y.length / 10);
  if (first === undefined || y.length < 10) return '';
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [early, late] = [mean(y.slice(0, tenth)), mean(y.slice(-tenth))];
  if (!(late > early * 1.15)) return '';
  return `In ${first.title}, answers grew from ${early.toFixed(0)} to ${late.toFixed(0)} tokens although nothing asked for length: the model found out that trying longer helps.`;
}

function losses(data: ReportData, stages: readonly TrainedStage[]): Markup | false {
  const charts = stages.flatMap(stage => lossCharts(data, stage));
  if (charts.length === 0) return false;
  const [title, note] = data.stages.some(stage => stage.accuracy !== undefined)
    ? [
        'Learning from pictures: the loss',
        'Surprise at the right class, in nats, on pictures that are moved a little each time.',
      ]
    : [
        'Learning from text: the loss',
        'Surprise at the next token, in nats. It falls as the model learns to predict; it cannot reach zero where the text is random.',
      ];
  return html`<div class="row"><h3>${title}</h3>
<p class="note">${note}</p>
<div class="multiples">${charts}</div></div>`;
}

function lossCharts(data: ReportData, stage: TrainedStage): (Markup | false)[] {
  const names = metricNames(data.metrics, stage.name).filter(name =>
    /bits_?per_?byte|^(?!loss$).*loss/i.test(name),
  );
  const chart = (name: string, title: string) =>
    lineChart({ title, unit: 'plain', zero: false, series: seriesOf(data.metrics, stage.name, name) });
  const wrap = (inner: Markup | false) => inner && html`<div class="${stage.kind}">${inner}</div>`;
  return [
    wrap(chart('loss', stage.title)),
    ...names.map(name => wrap(chart(name, `${stage.title}: ${words(name)}`))),
  ];
}

const words = (name: string): string =>
  name
    .replace(/[_/]/g, ' ')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase();

function moreCurves(data: ReportData, stages: readonly TrainedStage[]): Markup | false {
  const shown = new Set(['loss', ...MAIN.flatMap(metric => metric.names)]);
  const rows = stages.map(stage => {
    const own = stage.kind === 'rl' ? [...shown].filter(name => name !== 'loss') : ['loss'];
    const names = metricNames(data.metrics, stage.name).filter(
      name => !own.includes(name) && !HIDDEN.has(name),
    );
    const charts = names.map(name =>
      lineChart({
        title: words(name),
        unit: PERCENT.test(name) ? 'percent' : 'plain',
        series: seriesOf(data.metrics, stage.name, name),
        height: 110,
      }),
    );
    return (
      charts.some(Boolean) &&
      html`<div class="row ${stage.kind}"><h3>${stage.title}</h3><div class="multiples small">${charts}</div></div>`
    );
  });
  return (
    rows.some(Boolean) && html`<details class="more"><summary>All other curves</summary>${rows}</details>`
  );
}
