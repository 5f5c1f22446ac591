/**
 * A line chart of one metric over the steps of one stage, with a read-out.
 *
 * 1. What was measured is drawn thin, its moving mean strong; evaluations in between are dots.
 * 2. The read-out shows the last value; the page's script moves it along, for all charts of a stage together.
 */

import { percent, plain, si, THIN } from './format.ts';
import { html, type Markup } from './html.ts';
import { areaPath, dotsPath, frame, gridPath, linePath, mark, stepScale } from './plot.ts';
import { extent, linearScale, niceDomain } from './scale.ts';
import { hasValues, lastOf, type Series, smooth, thin } from './series.ts';

export type Unit = 'percent' | 'plain';

export interface LineChartOptions {
  readonly title: string;
  /** A sentence for those who do not know the metric. */
  readonly hint?: string;
  readonly unit: Unit;
  readonly series: Series;
  /** Evaluations on other data, drawn as dots. */
  readonly dots?: Series;
  /** Range of y that charts share; their own when absent. */
  readonly domain?: readonly [number, number];
  readonly height?: number;
  /** Whether the axis starts at zero. */
  readonly zero?: boolean;
}

export const formatOf = (unit: Unit) => (unit === 'percent' ? percent : plain);

/** Ticks are short: no decimals that say nothing, "40 k", "2e-4". */
const tickOf = (unit: Unit) => (value: number) => {
  if (unit === 'percent') return `${Number((100 * value).toPrecision(3))}${THIN}%`;
  if (Math.abs(value) >= 10_000) return si(value);
  return value !== 0 && Math.abs(value) < 1e-3 ? Number(value.toPrecision(3)).toExponential() : plain(value);
};

/** The range that charts of these series can share. */
export function sharedDomain(series: readonly Series[], unit: Unit, zero = true): readonly [number, number] {
  if (unit === 'percent') return [0, 1];
  const [low, high] = extent(series.flatMap(s => s.y));
  return niceDomain([zero ? Math.min(0, low) : low, high], 4);
}

export function lineChart(o: LineChartOptions): Markup | false {
  const all = [o.series, ...(o.dots ? [o.dots] : [])];
  if (!all.some(hasValues)) return false;
  const shown = hasValues(o.series) ? o.series : (o.dots as Series);
  const [raw, mean] = [thin(shown), thin(smooth(shown))];
  const axes = {
    x: stepScale(all),
    y: linearScale(o.domain ?? sharedDomain(all, o.unit, o.zero), 4),
  };
  const last = formatOf(o.unit)(lastOf(shown));
  const points = {
    unit: o.unit,
    x: raw.x,
    y: raw.y.map(short),
    low: axes.x.domain[0],
    high: axes.x.domain[1],
  };
  return html`<figure class="chart" data-chart="${JSON.stringify(points)}">
<figcaption><span class="name"${o.hint && html` data-tip="${o.hint}" tabindex="0"`}>${o.title}</span><output data-last="${last}">${last}</output></figcaption>
${frame({
  axes,
  label: `${o.title} over training steps, at the end ${last}`,
  height: o.height ?? 148,
  marks: [
    mark('grid', gridPath(axes)),
    mark('area', areaPath(mean, axes)),
    mark('raw', linePath(raw, axes)),
    mark('mean', linePath(mean, axes)),
    o.dots && mark('dots', dotsPath(o.dots, axes)),
  ],
  over: html`<i class="cursor"></i>`,
  xFormat: value => String(value),
  yFormat: tickOf(o.unit),
})}</figure>`;
}

/** Four digits are enough to draw and to read; NaN becomes null. */
const short = (value: number): number | null =>
  Number.isFinite(value) ? Number(value.toPrecision(4)) : null;
