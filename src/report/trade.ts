/**
 * What accuracy costs: bytes, milliseconds, and compute for each right answer, for every model of the run.
 */
import type { ReportData, Stage } from './data.ts';
import { bytes, flops, isNumber, milliseconds, NONE, percent, percentInterval, plain, si } from './format.ts';
import { html, type Markup } from './html.ts';
import { type ScatterPoint, scatter } from './scatter.ts';
import { costPerCorrect, isMeasured, kindOf, type Measured } from './story.ts';

interface Measure {
  readonly title: string;
  readonly xTitle: string;
  readonly value: (stage: Stage) => number | undefined;
  readonly format: (value: number) => string;
}

const secondsText = (s: number): string => (s < 1 ? milliseconds(s * 1000) : `${plain(s)} s`);

const MEASURES: readonly Measure[] = [
  { title: 'Accuracy and size', xTitle: 'bytes of the file', value: s => s.bytes, format: bytes },
  {
    title: 'Accuracy and waiting time',
    xTitle: 'milliseconds for one answer',
    value: s => s.answerMs,
    format: milliseconds,
  },
  {
    title: 'Accuracy and time for a right answer',
    xTitle: 'CPU time for one right answer',
    value: s => costPerCorrect(s).seconds,
    format: secondsText,
  },
  {
    title: 'Accuracy and compute for a right answer',
    xTitle: 'model FLOPs for one right answer',
    value: s => costPerCorrect(s).flops,
    format: flops,
  },
];

export function tradeSection(data: ReportData): Markup | false {
  const stages = data.stages.filter(isMeasured);
  if (stages.length < 2) return false;
  const priced = stages.some(stage => isNumber(costPerCorrect(stage).flops));
  return html`<section id="trade"><h2>What accuracy costs</h2>
<p class="lead">Up is better, left is cheaper. The line joins the models that nothing else beats (the Pareto front); their names are bold.${
    priced &&
    html` The cost of a <em>right</em> answer is the cost of one answer divided by pass@1,
because wrong ones have to be paid for too.`
  }</p>
<div class="scatters">${MEASURES.map(measure => measureScatter(data, stages, measure))}</div>
${table(data, stages)}</section>`;
}

function measureScatter(data: ReportData, stages: readonly Measured[], m: Measure): Markup | false {
  const points = stages.map((stage): ScatterPoint => {
    const x = m.value(stage) ?? Number.NaN;
    const tip = `${stage.title}: ${percent(stage.passAt1)} right (${percentInterval(stage.passAt1Interval)}), ${isNumber(x) ? m.format(x) : NONE} ${m.xTitle}`;
    return {
      name: stage.name,
      kind: kindOf(data, stage),
      x,
      y: stage.passAt1,
      interval: stage.passAt1Interval,
      tip,
    };
  });
  return scatter({ title: m.title, xTitle: m.xTitle, points, xFormat: m.format });
}

interface Column {
  readonly title: string;
  readonly hint?: string;
  readonly value: (stage: Stage) => number | undefined;
  readonly text: (stage: Stage) => string;
}

const columnsOf = (k: number): readonly Column[] => [
  { title: 'pass@1', value: s => s.passAt1, text: s => percent(s.passAt1) },
  {
    title: '95 % interval',
    value: s => s.passAt1Interval?.[0],
    text: s => percentInterval(s.passAt1Interval),
  },
  { title: `pass@${k}`, value: s => s.passAtK, text: s => percent(s.passAtK) },
  { title: 'parameters', value: s => s.activeParameters, text: s => si(s.activeParameters) },
  { title: 'file', value: s => s.bytes, text: s => bytes(s.bytes) },
  {
    title: 'tokens',
    hint: 'mean tokens of an answer',
    value: s => s.responseTokens,
    text: s => plain(s.responseTokens),
  },
  {
    title: 'time an answer',
    hint: 'milliseconds, decoded one at a time',
    value: s => s.answerMs,
    text: s => milliseconds(s.answerMs),
  },
  {
    title: 'time a right answer',
    hint: 'CPU time: an answer’s time divided by pass@1',
    value: s => costPerCorrect(s).seconds,
    text: s => orNone(costPerCorrect(s).seconds, secondsText),
  },
  {
    title: 'FLOPs a right answer',
    hint: '2 · parameters · tokens, divided by pass@1',
    value: s => costPerCorrect(s).flops,
    text: s => flops(costPerCorrect(s).flops),
  },
];

const orNone = (value: number | undefined, format: (value: number) => string): string =>
  isNumber(value) ? format(value) : NONE;

function table(data: ReportData, stages: readonly Stage[]): Markup {
  const columns = columnsOf(stages[0]?.k ?? 1).filter(column =>
    stages.some(stage => isNumber(column.value(stage))),
  );
  const head = columns.map(
    ({ title, hint }, i) =>
      html`<th scope="col"${hint && html` title="${hint}"`}><button type="button" data-sort="${i + 1}">${title}</button></th>`,
  );
  const rows = stages.map(
    stage =>
      html`<tr class="${kindOf(data, stage)}"><th scope="row"><i class="swatch"></i>${stage.title}</th>${columns.map(c => html`<td data-title="${c.title}" data-value="${String(c.value(stage) ?? '')}">${c.text(stage)}</td>`)}</tr>`,
  );
  return html`<div class="scroll"><table class="sortable"><thead><tr><th scope="col"><button type="button" data-sort="0">model</button></th>${head}</tr></thead><tbody>${rows}</tbody></table></div>
${footnote(stages)}`;
}

/** What the figures of the table are, those that it has. */
function footnote(stages: readonly Stage[]): Markup | false {
  const costs = stages.map(costPerCorrect);
  const notes = [
    costs.some(c => isNumber(c.seconds)) &&
      'CPU time is the wall clock of one answer at a time on this machine.',
    costs.some(c => isNumber(c.flops)) && 'FLOPs are 2 · active parameters a token.',
  ].filter(note => note !== false);
  return notes.length > 0 && html`<p class="note">${notes.join(' ')}</p>`;
}
