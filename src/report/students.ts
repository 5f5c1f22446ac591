/**
 * Two students of one size: one read the large model's answers, the other had to find out alone, at the same compute.
 */
import type { ReportData, Stage } from './data.ts';
import { flops, percent, percentInterval, plain, si, THIN } from './format.ts';
import { html, type Markup } from './html.ts';
import {
  computeOf,
  differenceOf,
  isMeasured,
  type Kind,
  kindOf,
  type Measured,
  rolesOf,
  tookNoStep,
} from './story.ts';

export function studentsSection(data: ReportData): Markup | false {
  const { distilled, rlOnly, final, exports } = rolesOf(data);
  if (!isMeasured(distilled) || !isMeasured(rlOnly)) return false;
  if (tookNoStep(data, distilled) || tookNoStep(data, rlOnly)) return false; // nothing to compare
  const rows = [final, distilled, ...exports.filter(s => s.from.includes(distilled.name)), rlOnly].filter(
    isMeasured,
  );
  return html`<section id="students"><h2>Copy or discover?</h2>
<p class="lead">Two students of ${si(distilled.parameters)} parameters. One was <em>distilled</em>: it read verified answers of the large model. The other learned by
reinforcement <em>alone</em>. ${verdict(distilled, rlOnly)} ${budget(distilled, rlOnly)}</p>
<div class="forest" role="table" aria-label="pass@1 with 95 % intervals">${rows.map(stage => forestRow(stage, kindOf(data, stage)))}
<div class="forest-row axis" aria-hidden="true"><span></span><span class="lane">${[0, 25, 50, 75, 100].map(tick => html`<i style="left:${tick}%">${tick}${THIN}%</i>`)}</span><span></span></div></div></section>`;
}

/** Who is ahead, and whether the difference is more than chance. */
export function verdict(distilled: Measured, rlOnly: Measured): string {
  const { value, interval } = differenceOf(distilled, rlOnly);
  const points = (x: number) => (100 * x).toFixed(1);
  const range = `95 % interval ${points(interval[0])} to ${points(interval[1])}`;
  if (interval[0] <= 0 && interval[1] >= 0) {
    return `The difference, ${points(value)} points in favour of the distilled one (${range}), may be chance.`;
  }
  const ahead = value > 0 ? 'The distilled one is ahead' : 'The one that learned alone is ahead';
  return `${ahead} by ${points(Math.abs(value))} points (${value > 0 ? range : `95 % interval ${points(-interval[1])} to ${points(-interval[0])}`}).`;
}

function budget(distilled: Stage, rlOnly: Stage): string {
  const [a, b] = [computeOf(distilled), computeOf(rlOnly)];
  if (!(a > 0 && b > 0)) return '';
  const ratio = b / a;
  const same = Math.abs(ratio - 1) < 0.1 ? 'about the same compute' : `${plain(ratio)} times the compute`;
  return `Learning alone took ${flops(b)}, sampling included; being taught took ${flops(a)}: ${same}.`;
}

function forestRow(stage: Measured, kind: Kind): Markup {
  const [low, high] = stage.passAt1Interval;
  const share = (x: number) => `${(100 * x).toFixed(1)}%`;
  return html`<div class="forest-row ${kind}" role="row"><span role="rowheader">${stage.title}<small>${si(stage.parameters)} parameters</small></span>
<span class="lane" role="cell"><i class="interval" style="left:${share(low)};width:${share(high - low)}"></i><i class="value" style="left:${share(stage.passAt1)}"></i></span>
<span role="cell"><b>${percent(stage.passAt1)}</b><small>${percentInterval(stage.passAt1Interval)}</small></span></div>`;
}
