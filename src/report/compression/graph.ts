/** The graph before and after: each layer with its size, work and bits, and what it loses alone. */
import { bitsOf, DTYPE_CODES, type DType } from '../../graph/dtype.ts';
import { bytes, plain, si } from '../format.ts';
import { html, type Markup, type Part } from '../html.ts';
import type { CompressionData } from './data.ts';
import type { Layer, LayerPair } from './layers.ts';

export function graphSection(data: CompressionData): Markup | false {
  const { layers, sensitivity } = data;
  if (layers.length === 0) return false;
  const most = Math.max(...layers.map(l => Math.max(l.before?.macs ?? 0, l.after?.macs ?? 0)));
  const losses = new Map(sensitivity?.layers.map(l => [l.name, l.value]));
  return html`<section id="graph"><h2>The graph, before and after</h2>
<p class="lead">Every layer that multiplies by weights, in the order in which they run. The bars are multiply-adds: grey before, coloured after.${sensitivity && html` The last column is sensitivity: ${sensitivity.what}.`}</p>
<div class="layer head"><span>layer</span><span>multiply-adds</span><span>weights</span><span>${sensitivity && 'sensitivity'}</span></div>
${layers.map(layer => row(layer, most, losses))}</section>`;
}

function row(layer: LayerPair, most: number, losses: ReadonlyMap<string, number>): Markup {
  const { before, after, name, op } = layer;
  const loss = losses.get(name);
  const tip = `${op} ${name}: ${both(before && si(before.macs), after && si(after.macs))} multiply-adds`;
  return html`<div class="layer${after ? '' : ' gone'}"><span><code>${name}</code><small>${op} ${both(before && dimsText(before), after && dimsText(after))}</small></span>
<span class="works" data-tip="${tip}" tabindex="0">${bar(before, most)}${bar(after, most)}<small>${both(before && si(before.macs), after && si(after.macs))}</small></span>
<span>${both(before && weightText(before), after && weightText(after))}<small>${both(before && bytes(before.weightBytes), after && bytes(after.weightBytes))}</small></span>
<span>${loss !== undefined && plain(loss)}</span></div>`;
}

const bar = (layer: Layer | undefined, most: number): Part =>
  html`<i style="width:${((100 * (layer?.macs ?? 0)) / most).toFixed(1)}%"></i>`;

/** "a → b", "a" when both are the same, "a, taken out", "b, new". */
function both(before: string | undefined, after: string | undefined): string {
  if (before === undefined) return `${after}, new`;
  if (after === undefined) return `${before}, taken out`;
  return before === after ? before : `${before} → ${after}`;
}

const dimsText = ({ dims }: Layer): string => dims.join('×');

const isDType = (name: string): name is DType => Object.hasOwn(DTYPE_CODES, name);

/** Bits of a dtype; types of GGUF by their name. */
const weightText = ({ weightDtype }: Layer): string =>
  isDType(weightDtype) ? `${bitsOf(weightDtype)} bit` : weightDtype;
