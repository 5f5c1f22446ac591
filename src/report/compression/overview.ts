/** The top of the page: what became of the model, in a sentence and four figures. */
import { bytes, milliseconds, percent, percentInterval, plain } from '../format.ts';
import { html, type Markup, type Part } from '../html.ts';
import { tile } from '../page.ts';
import {
  type BudgetFigures,
  type CandidateFigures,
  type CompressionData,
  chosenOf,
  latencyOf,
  originalOf,
} from './data.ts';

export function overview(data: CompressionData): Markup {
  return html`<header><p class="kicker">gaslaw compress · ${data.model} · ${data.device.name}</p>
<h1>${sentence(data)}</h1>
${verdict(data)}
<div class="figures">${ladder(data)}${tiles(data)}</div></header>`;
}

/** "cnn.onnx on STM32G0B1: 281 kB became 71 kB, 98.9 % accuracy became 98.8 %." */
export function sentence(data: CompressionData): string {
  const [before, after] = [originalOf(data), chosenOf(data)];
  const words = [
    `${bytes(before.bytes)} became ${bytes(after.bytes)}`,
    ...(latencyOf(before) === undefined || latencyOf(after) === undefined
      ? []
      : [`${milliseconds(latencyOf(before))} became ${milliseconds(latencyOf(after))}`]),
    `${percent(before.quality.value)} ${after.quality.kind} became ${percent(after.quality.value)}`,
  ];
  if (after === before) return `${data.model} on ${data.device.name}: nothing smaller was worth it.`;
  return `${data.model} on ${data.device.name}: ${words.join(', ')}.`;
}

function verdict({ met, misses, budget, rule, unsure, data }: CompressionData): Markup {
  const asked = budgetText(budget);
  const text = met
    ? html`<strong class="yes">✓ The budget is met</strong>${asked && ` (${asked}).`}`
    : html`<strong class="no">✗ The budget is not met</strong>${asked && ` (${asked})`}. This comes nearest: ${misses.join('; ')}.`;
  return html`<p class="verdict-line">${text} <span class="note">Chosen: ${rule}${unsure && `; ${unsure}`}. ${data}</span></p>`;
}

export const budgetText = ({ maxLatencyMs, maxMemoryBytes, maxDropPoints }: BudgetFigures): string =>
  [
    ...(maxLatencyMs === undefined ? [] : [`at most ${milliseconds(maxLatencyMs)}`]),
    ...(maxMemoryBytes === undefined ? [] : [`at most ${bytes(maxMemoryBytes)} of memory`]),
    ...(maxDropPoints === undefined ? [] : [`at most ${plain(maxDropPoints)} points lost`]),
  ].join(', ');

function ladder(data: CompressionData): Markup {
  const [before, after] = [originalOf(data), chosenOf(data)];
  const { kind, examples } = after.quality;
  const what = {
    accuracy: `Accuracy on ${examples} examples that calibrated and trained nothing`,
    agreement: `Same class as the original, on ${examples} examples`,
    likelihood: `Likelihood that is left, on ${examples} tokens that nothing learned from`,
    fidelity: 'Fidelity: 1 − error of the worst output',
  }[kind];
  const { lost } = after.quality;
  const note =
    lost &&
    after !== before &&
    `lost: between ${lost.map(share => plain(100 * share)).join(' and ')} points at 95 %`;
  return html`<div class="tile ladder"><span class="label">${what}</span><ol>${rung('Before', before)}${rung('After', after)}</ol>${note && html`<span class="note">${note}</span>`}</div>`;
}

const rung = (label: string, { quality }: CandidateFigures): Markup =>
  html`<li><span class="note">${label}</span><strong>${percent(quality.value)}</strong><span class="bar"><i style="width:${(100 * quality.value).toFixed(1)}%"></i></span><span class="note">${quality.interval && percentInterval(quality.interval)}</span></li>`;

function tiles(data: CompressionData): Part {
  const [before, after] = [originalOf(data), chosenOf(data)];
  const was = (text: string, old: number | undefined, now: number | undefined): string => {
    if (old === undefined) return 'of the original it is not known';
    return now === undefined || old === now ? `was ${text}` : `was ${text} · ${plain(old / now)}×`;
  };
  return [
    tile('File for the device', bytes(after.bytes), was(bytes(before.bytes), before.bytes, after.bytes)),
    latencyOf(after) !== undefined &&
      tile(
        after.measuredMs === undefined ? 'Latency, estimated' : 'Latency, measured',
        milliseconds(latencyOf(after)),
        was(milliseconds(latencyOf(before)), latencyOf(before), latencyOf(after)),
      ),
    after.peakMemoryBytes !== undefined &&
      tile(
        'Memory at its peak',
        bytes(after.peakMemoryBytes),
        was(bytes(before.peakMemoryBytes), before.peakMemoryBytes, after.peakMemoryBytes),
      ),
  ];
}
