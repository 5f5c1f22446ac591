/**
 * Charts: SVG for the marks, HTML for the words.
 *
 * 1. The SVG of a chart is a unit square of 1000 × 1000 that stretches with the page, its strokes do not; ticks and
 *    labels are text placed in percent. So a chart fills any width and its text keeps its size, on a phone and on paper.
 *    What the labels of y need at the left is reckoned from their lengths.
 * 2. Dots are lines of no length with round ends, which stay round when the square stretches.
 */
import { html, type Markup, type Part } from './html.ts';
import { linearScale, type Scale } from './scale.ts';
import type { Series } from './series.ts';

export interface Axes {
  readonly x: Scale;
  readonly y: Scale;
}

const UNIT = 1000;
const at = (x: number): string => String(Math.round(x * UNIT));

export const pointAt = ({ x, y }: Axes, px: number, py: number): string =>
  `${at(x.place(px))} ${at(1 - y.place(py))}`;

/** Stretches of consecutive finite points. */
function stretches(series: Series): (readonly [number, number])[][] {
  const out: (readonly [number, number])[][] = [[]];
  series.x.forEach((x, i) => {
    const y = series.y[i] as number;
    if (Number.isFinite(y)) out.at(-1)?.push([x, y]);
    else if (out.at(-1)?.length) out.push([]);
  });
  return out.filter(stretch => stretch.length > 0);
}

/** Path data of a line; it breaks where values are not finite. */
export const linePath = (series: Series, axes: Axes): string =>
  stretches(series)
    .map(stretch => `M${stretch.map(([x, y]) => pointAt(axes, x, y)).join('L')}`)
    .join('');

/** Path data of the area between a line and the bottom. */
export const areaPath = (series: Series, axes: Axes): string =>
  stretches(series)
    .map(stretch => {
      const [first, last] = [stretch[0]?.[0] ?? 0, stretch.at(-1)?.[0] ?? 0];
      const line = stretch.map(([x, y]) => pointAt(axes, x, y)).join('L');
      return `M${at(axes.x.place(first))} ${UNIT}L${line}L${at(axes.x.place(last))} ${UNIT}Z`;
    })
    .join('');

export const dotsPath = (series: Series, axes: Axes): string =>
  stretches(series)
    .flat()
    .map(([x, y]) => `M${pointAt(axes, x, y)}h0`)
    .join('');

/** Horizontal lines at the y ticks, a vertical one at each of `xs`. */
export function gridPath({ x, y }: Axes, xs: readonly number[] = []): string {
  const across = y.ticks.map(tick => `M0 ${at(1 - y.place(tick))}H${UNIT}`);
  return [...across, ...xs.map(tick => `M${at(x.place(tick))} 0V${UNIT}`)].join('');
}

export const mark = (name: string, d: string): Markup | false =>
  d !== '' && html`<path class="${name}" d="${d}"/>`;

export interface FrameOptions {
  readonly axes: Axes;
  /** What the chart shows, for those who cannot see it. */
  readonly label: string;
  readonly height: number;
  readonly marks: readonly Part[];
  /** HTML over the marks: points, labels. */
  readonly over?: Part;
  readonly xFormat: (value: number) => string;
  readonly yFormat: (value: number) => string;
  readonly xTitle?: string;
  readonly yTitle?: string;
}

/** The plot with its ticks. */
export function frame(o: FrameOptions): Markup {
  const { x, y } = o.axes;
  return html`<div class="plot" style="height:${o.height}px;--left:${roomFor(y.ticks.map(o.yFormat))}px"><div class="canvas">
<svg viewBox="0 0 ${UNIT} ${UNIT}" preserveAspectRatio="none" role="img" aria-label="${o.label}">${o.marks}</svg>
${y.ticks.map(tick => html`<span class="yt" style="top:${percentOf(1 - y.place(tick))}">${o.yFormat(tick)}</span>`)}
${x.ticks.map(tick => html`<span class="xt" style="left:${percentOf(x.place(tick))}">${o.xFormat(tick)}</span>`)}
${o.over}</div>${o.xTitle && html`<span class="xtitle">${o.xTitle}</span>`}${o.yTitle && html`<span class="ytitle">${o.yTitle}</span>`}</div>`;
}

/** Pixels at the left of the marks: the longest label at 7 a character, the most that a common font takes. */
export const roomFor = (labels: readonly string[]): number =>
  Math.max(38, 8 + 7 * Math.max(0, ...labels.map(label => label.length)));

export const percentOf = (share: number): string => `${(100 * share).toFixed(2)}%`;

/** A scale over whole steps from the first to the last. */
export function stepScale(series: readonly Series[]): Scale {
  const all = series.flatMap(s => s.x);
  const last = all.reduce((a, b) => Math.max(a, b), 0);
  const scale = linearScale([all.reduce((a, b) => Math.min(a, b), last), last || 1], 4);
  return { ...scale, ticks: scale.ticks.filter(Number.isInteger) };
}
