/**
 * Scatter plots of accuracy against a cost, with the Pareto front and labels that keep out of each other's way.
 *
 * 1. Labels are placed greedily at the best free place around their point, once for a phone and once for a desk.
 */
import type { Interval } from '../tasks/statistics.ts';
import { isNumber } from './format.ts';
import { html, type Markup } from './html.ts';
import { type Axes, frame, gridPath, linePath, mark, percentOf, pointAt } from './plot.ts';
import { airyLogDomain, type Domain, linearScale, logScale } from './scale.ts';
import { type Kind, paretoFront } from './story.ts';

export interface ScatterPoint {
  readonly name: string;
  readonly kind: Kind;
  readonly x: number;
  readonly y: number;
  readonly interval?: Interval;
  readonly tip: string;
}

export interface ScatterOptions {
  readonly title: string;
  readonly xTitle: string;
  readonly points: readonly ScatterPoint[];
  readonly xFormat: (value: number) => string;
  /** Range of y; from 0 to 1 when absent. */
  readonly yDomain?: Domain;
}

const HEIGHT = 340;
interface Canvas {
  readonly width: number;
  readonly height: number;
}

/** The plot without its axes, in pixels, on a phone and on a desk. */
const CANVASES = {
  narrow: { width: 290, height: HEIGHT - 48 },
  wide: { width: 470, height: HEIGHT - 48 },
} as const satisfies Record<string, Canvas>;

export function scatter(o: ScatterOptions): Markup | false {
  const points = o.points.filter(point => isNumber(point.x) && point.x > 0 && isNumber(point.y));
  if (points.length < 2) return false;
  const axes = {
    x: logScale(airyLogDomain(points.map(point => point.x))),
    y: linearScale(o.yDomain ?? [0, 1], 5),
  };
  const front = paretoFront(points);
  const offsets = (canvas: Canvas) =>
    placeLabels(
      points.map(point => pixelsOf(point, axes, canvas)),
      canvas,
    );
  const [narrow, wide] = [offsets(CANVASES.narrow), offsets(CANVASES.wide)];
  return html`<figure class="chart scatter"><figcaption><span class="name">${o.title}</span></figcaption>
${frame({
  axes,
  label: `${o.title}: ${points.map(point => point.tip).join('; ')}`,
  height: HEIGHT,
  marks: [
    mark('grid', gridPath(axes, axes.x.ticks)),
    mark('front', frontPath(front, axes)),
    ...points.map(point => whisker(point, axes)),
  ],
  over: points.map((point, i) => [
    label(point, axes, narrow[i] as Offset, `narrow${front.includes(point) ? ' best' : ''}`),
    label(point, axes, wide[i] as Offset, `wide${front.includes(point) ? ' best' : ''}`),
    dot(point, axes),
  ]),
  xFormat: o.xFormat,
  yFormat: value => `${Number((100 * value).toPrecision(3))} %`,
  xTitle: o.xTitle,
})}</figure>`;
}

/** The front as steps: from one point on, its accuracy is to be had. */
function frontPath(front: readonly ScatterPoint[], axes: Axes): string {
  const series = front.flatMap((point, i) => [
    ...(i > 0 ? [[point.x, front[i - 1]?.y ?? 0]] : []),
    [point.x, point.y],
  ]);
  const end = [axes.x.domain[1], front.at(-1)?.y ?? 0];
  const all = [...series, end];
  return linePath({ x: all.map(p => p[0] as number), y: all.map(p => p[1] as number) }, axes);
}

function whisker(point: ScatterPoint, axes: Axes): Markup | false {
  if (!point.interval?.every(isNumber)) return false;
  const [low, high] = point.interval;
  return mark(`whisker ${point.kind}`, `M${pointAt(axes, point.x, low)}L${pointAt(axes, point.x, high)}`);
}

const placeOf = (point: ScatterPoint, axes: Axes): string =>
  `left:${percentOf(axes.x.place(point.x))};top:${percentOf(1 - axes.y.place(point.y))}`;

const dot = (point: ScatterPoint, axes: Axes): Markup =>
  html`<span class="pt ${point.kind}" style="${placeOf(point, axes)}" tabindex="0" data-tip="${point.tip}"><i></i></span>`;

/** The point's name beside it, with a thin line to it where it had to move away. */
function label(point: ScatterPoint, axes: Axes, { side, dy }: Offset, form: string): Markup {
  const line =
    dy !== 0 && html`<svg class="leader" viewBox="0 0 1 1"><path d="M0 0L${side * 9} ${dy}"/></svg>`;
  return html`<span class="lab ${form}" style="${placeOf(point, axes)}">${line}<b class="${side > 0 ? 'right' : 'left'}" style="top:${dy}px">${point.name}</b></span>`;
}

export interface LabelBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

export interface Offset {
  readonly side: 1 | -1;
  /** Pixels below the point. */
  readonly dy: number;
}

const pixelsOf = (point: ScatterPoint, axes: Axes, canvas: Canvas): LabelBox => ({
  x: axes.x.place(point.x) * canvas.width,
  y: (1 - axes.y.place(point.y)) * canvas.height,
  width: point.name.length * 6.4 + 4,
});

const LINE = 14;
const AWAY = 10;

interface Rect {
  readonly left: number;
  readonly right: number;
  readonly y: number;
}

const rectOf = (point: LabelBox, { side, dy }: Offset): Rect => {
  const near = point.x + side * AWAY;
  const far = near + side * point.width;
  return { left: Math.min(near, far), right: Math.max(near, far), y: point.y + dy };
};

/** For every point the side and height of its label. */
export function placeLabels(points: readonly LabelBox[], size: Canvas): Offset[] {
  const dots = points.map((p): Rect => ({ left: p.x - 5, right: p.x + 5, y: p.y }));
  const taken: Rect[] = [];
  const hits = (rect: Rect, self: number) =>
    [...taken, ...dots.filter((_, i) => i !== self)].filter(
      other => rect.left < other.right && other.left < rect.right && Math.abs(rect.y - other.y) < LINE,
    ).length;
  const outside = (rect: Rect) =>
    rect.left < -26 || rect.right > size.width + 12 || rect.y < 4 || rect.y > size.height - 4;
  const order = points.map((_, i) => i).sort((a, b) => (points[a] as LabelBox).y - (points[b] as LabelBox).y);
  const out: Offset[] = [];
  for (const i of order) {
    const point = points[i] as LabelBox;
    const score = (offset: Offset) => {
      const rect = rectOf(point, offset);
      return (
        hits(rect, i) * 1000 + (outside(rect) ? 1e6 : 0) + Math.abs(offset.dy) + (offset.side < 0 ? 3 : 0)
      );
    };
    const best = CANDIDATES.reduce((a, b) => (score(b) < score(a) ? b : a));
    taken.push(rectOf(point, best));
    out[i] = best;
  }
  return out;
}

const CANDIDATES: readonly Offset[] = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7].flatMap(step =>
  ([1, -1] as const).map(side => ({ side, dy: step * LINE })),
);
