/** What there was to choose from: quality against each cost, with the Pareto front, and a table. */
import { bytes, GAP, isNumber, milliseconds, NONE, percent, percentInterval, si } from '../format.ts';
import { html, type Markup } from '../html.ts';
import { type Domain, extent, niceDomain } from '../scale.ts';
import { type ScatterPoint, scatter } from '../scatter.ts';
import type { Kind } from '../story.ts';
import { type CandidateFigures, type CompressionData, latencyOf } from './data.ts';

interface Measure {
  readonly title: string;
  readonly xTitle: string;
  readonly value: (c: CandidateFigures) => number | undefined;
  readonly format: (value: number) => string;
}

const MEASURES: readonly Measure[] = [
  { title: 'Quality and latency', xTitle: 'milliseconds of one run', value: latencyOf, format: milliseconds },
  { title: 'Quality and size', xTitle: 'bytes of the file', value: c => c.bytes, format: bytes },
  {
    title: 'Quality and memory',
    xTitle: 'bytes of memory at the peak',
    value: c => c.peakMemoryBytes,
    format: bytes,
  },
  { title: 'Quality and work', xTitle: 'multiply-adds of one run', value: c => c.macs, format: si },
];

export function choicesSection(data: CompressionData): Markup | false {
  if (data.candidates.length < 2 && data.failed.length === 0) return false;
  const kind = data.candidates[0]?.quality.kind;
  return html`<section id="choices"><h2>What there was to choose from</h2>
<p class="lead">Up is better, left is cheaper. The line joins what nothing else beats in that cost. In the table <em>front</em> marks candidates that no other beats
in ${kind}, latency, memory and bytes together.</p>
<div class="scatters">${MEASURES.map(measure => measureScatter(data, measure))}</div>
${table(data)}${failures(data)}</section>`;
}

/** A colour for what was done. */
function kindOf({ name }: CandidateFigures, i: number): Kind {
  if (i === 0) return 'pretrain';
  const pruned = /prun|elastic|search|depth/.test(name);
  const integers = /int\d|mixed/.test(name);
  if (pruned) return integers ? 'rl' : 'distil';
  return integers ? 'export' : 'sft';
}

function measureScatter({ candidates }: CompressionData, m: Measure): Markup | false {
  const values = new Set(candidates.map(m.value).filter(isNumber));
  if (values.size < 2) return false;
  const points = candidates.map((c, i): ScatterPoint => {
    const x = m.value(c) ?? Number.NaN;
    const tip = `${c.title}: ${percent(c.quality.value)} ${c.quality.kind} (${percentInterval(c.quality.interval)}), ${isNumber(x) ? m.format(x) : NONE} ${m.xTitle}`;
    const { value: y, interval } = c.quality;
    return { name: c.name, kind: kindOf(c, i), x, y, interval, tip };
  });
  return scatter({ title: m.title, xTitle: m.xTitle, points, xFormat: m.format, yDomain: domainOf(points) });
}

/** From below the lowest interval to above the highest, in whole steps. */
function domainOf(points: readonly ScatterPoint[]): Domain {
  const [low, high] = niceDomain(extent(points.flatMap(p => [p.y, ...(p.interval ?? [])])), 5);
  return [Math.max(0, low), Math.min(1, high)];
}

interface Column {
  readonly title: string;
  readonly value: (c: CandidateFigures) => number | undefined;
  readonly text: (c: CandidateFigures) => string;
}

const columnsOf = (kind: string): readonly Column[] => [
  { title: kind, value: c => c.quality.value, text: c => percent(c.quality.value) },
  {
    title: '95 % interval',
    value: c => c.quality.interval?.[0],
    text: c => percentInterval(c.quality.interval),
  },
  {
    title: `points lost at 95${GAP}%`,
    value: c => c.quality.lost?.[0],
    text: ({ quality: { lost } }) => lost?.map(share => (100 * share).toFixed(1)).join(' to ') ?? NONE,
  },
  { title: 'file', value: c => c.bytes, text: c => bytes(c.bytes) },
  { title: 'multiply-adds', value: c => c.macs, text: c => si(c.macs) },
  { title: 'memory', value: c => c.peakMemoryBytes, text: c => bytes(c.peakMemoryBytes) },
  { title: 'estimated', value: c => c.estimatedMs, text: c => milliseconds(c.estimatedMs) },
  { title: 'measured', value: c => c.measuredMs, text: c => milliseconds(c.measuredMs) },
];

function table({ candidates, chosen, front }: CompressionData): Markup {
  const columns = columnsOf(candidates[0]?.quality.kind ?? 'quality').filter(column =>
    candidates.some(c => isNumber(column.value(c))),
  );
  const head = columns.map(
    ({ title }, i) => html`<th scope="col"><button type="button" data-sort="${i + 1}">${title}</button></th>`,
  );
  const rows = candidates.map((c, i) => {
    const marks = [
      c.name === chosen && 'chosen',
      front.includes(c.name) && 'front',
      !c.deploys && 'does not deploy',
    ];
    const words = marks.filter(mark => mark !== false).join(' · ');
    const cells = columns.map(
      column =>
        html`<td data-title="${column.title}" data-value="${String(column.value(c) ?? '')}">${column.text(c)}</td>`,
    );
    return html`<tr class="${kindOf(c, i)}${c.name === chosen ? ' chosen' : ''}"><th scope="row"><i class="swatch"></i>${c.title} <small class="note">${words}</small></th>${cells}</tr>`;
  });
  return html`<div class="scroll"><table class="sortable"><thead><tr><th scope="col"><button type="button" data-sort="0">candidate</button></th>${head}</tr></thead><tbody>${rows}</tbody></table></div>
${estimateNote(candidates)}`;
}

/** How far estimates are off, where there are some. */
function estimateNote(candidates: readonly CandidateFigures[]): Markup | false {
  const found = candidates.find(c => c.estimate)?.estimate;
  if (!found) return false;
  const { basis, unseenModels: error } = found;
  const from =
    basis === 'kind'
      ? 'published measurements of other devices of its kind'
      : 'published measurements of this device';
  return html`<p class="note">Estimates come from ${from}${error && html`; on models that the fit never saw they are off by ${percent(error.medianError)} in the median (rank correlation ${error.rankCorrelation.toFixed(2)}, ${error.rows} rows)`}.</p>`;
}

const failures = ({ failed }: CompressionData): Markup | false =>
  failed.length > 0 &&
  html`<details class="more"><summary>${failed.length} not made</summary><ul>${failed.map(f => html`<li>${f.title}: ${f.error}</li>`)}</ul></details>`;
