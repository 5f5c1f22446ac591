/** Memory over the run: bytes of values alive while each node runs. */
import { bytes } from '../format.ts';
import { html, type Markup } from '../html.ts';
import { areaPath, frame, gridPath, linePath, mark } from '../plot.ts';
import { linearScale, niceDomain } from '../scale.ts';
import { lastOf, type Series, thin } from '../series.ts';
import { type CandidateFigures, type CompressionData, chosenOf, originalOf } from './data.ts';

export function memorySection(data: CompressionData): Markup | false {
  const [before, after] = [originalOf(data), chosenOf(data)];
  if (before.memory.length < 2) return false;
  const all = before === after ? [seriesOf(before)] : [seriesOf(before), seriesOf(after)];
  const { ramBytes } = data.device;
  const top = Math.max(...all.flatMap(s => s.y));
  const limit = data.budget.maxMemoryBytes ?? ramBytes;
  const shown = limit !== undefined && limit < 3 * top ? limit : undefined;
  const axes = {
    x: linearScale([0, 1], 4),
    y: linearScale(niceDomain([0, Math.max(top, shown ?? 0, 1)], 4), 4),
  };
  const peaks = [before, after].map(c => peakOf(c));
  return html`<section id="memory"><h2>Memory over the run</h2>
<p class="lead">Bytes of values that are alive while each node runs, from the first node to the last: what working memory (the arena) has to hold.
Before at most <em>${peaks[0].text}</em>, after <em>${peaks[1].text}</em>${ramBytes !== undefined && html`; the device has ${bytes(ramBytes)}`}.</p>
<figure class="chart wide-plot"><figcaption><span class="name">alive, before (grey) and after</span><output>${bytes(peaks[1].bytes)} at most</output></figcaption>
${frame({
  axes,
  label: `Memory over the run: before at most ${peaks[0].text}, after ${peaks[1].text}`,
  height: 240,
  marks: [
    mark('grid', gridPath(axes)),
    ...all.map(
      (series, i) =>
        html`<g class="${i === 0 ? 'pretrain' : 'distil'}">${mark('area', areaPath(series, axes))}${mark('mean', linePath(series, axes))}</g>`,
    ),
    shown !== undefined && mark('limit', linePath({ x: [0, 1], y: [shown, shown] }, axes)),
  ],
  xFormat: share => `${Math.round(100 * share)} %`,
  yFormat: value => bytes(value),
})}</figure>${shown !== undefined && html`<p class="note">The dashed line is ${data.budget.maxMemoryBytes === undefined ? 'the device’s memory' : 'the budget'}.</p>`}</section>`;
}

/** Steps: each node's bytes over its share of the run. */
function seriesOf({ memory }: CandidateFigures): Series {
  const n = memory.length;
  const thinned = thin({ x: memory.map((_, i) => i), y: memory.map(m => m.bytes) }, 200);
  const x = thinned.x.flatMap((at, i) => [at / n, (thinned.x[i + 1] ?? n) / n]);
  return { x: [...x, 1], y: [...thinned.y.flatMap(v => [v, v]), lastOf(thinned) ?? 0] };
}

function peakOf({ memory }: CandidateFigures): { bytes: number; text: string } {
  const peak = memory.reduce((most, m) => (m.bytes > most.bytes ? m : most), { node: '', bytes: 0 });
  return {
    bytes: peak.bytes,
    text: peak.node === '' ? bytes(peak.bytes) : `${bytes(peak.bytes)} at ${peak.node}`,
  };
}
