/** How a language model goes on with text that it has never seen, beside what stands there. */
import type { Passage } from '../train/run.ts';
import type { ReportData } from './data.ts';
import { html, type Markup } from './html.ts';

export function writingSection(data: ReportData): Markup | false {
  const passages = data.stages.flatMap(stage => stage.passages ?? []);
  if (passages.length === 0) return false;
  return html`<section id="writing"><h2>What it writes</h2>
<p class="lead">It is given the <span class="begun">grey</span> beginning of a passage from the held-out text and goes on alone, one token after another. Beside it is what stands there.
Nobody could guess that; look whether it spells, and how far it keeps to the matter.</p>
${passages.map(passagePair)}</section>`;
}

const passagePair = (p: Passage): Markup =>
  html`<div class="answers pair">${card('pretrain', 'the model', p.begun, p.written)}${card('export', 'the text', p.begun, p.actual)}</div>`;

const card = (kind: string, title: string, begun: string, rest: string): Markup =>
  html`<article class="response ${kind}"><h4>${title}</h4><p><span class="begun">${begun}</span>${rest}</p></article>`;
