/** What the device says to the model: before, and what is left after. */
import { html, type Markup } from '../html.ts';
import { type CompressionData, chosenOf, type FindingFigures, originalOf } from './data.ts';

export function findingsSection(data: CompressionData): Markup | false {
  const [before, after] = [originalOf(data), chosenOf(data)];
  const { fixes, notes, findings } = after;
  if (findings.length + fixes.length + notes.length + before.findings.length === 0) return false;
  const gone =
    before === after
      ? []
      : before.findings.filter(f => !findings.some(g => g.why === f.why && g.node === f.node));
  return html`<section id="findings"><h2>What stands in the way on ${data.device.name}</h2>
<p class="lead">${findings.length === 0 ? 'Nothing: all of the chosen model runs where it should.' : `Of the chosen model: ${countText(findings)}.`}</p>
${findings.map(finding)}
${list('Done for the device', fixes)}${list('Notes', notes)}
${gone.length > 0 && html`<details class="more"><summary>${gone.length} of the original that are gone</summary>${gone.map(finding)}</details>`}</section>`;
}

function countText(findings: readonly FindingFigures[]): string {
  const severities = [...new Set(findings.map(f => f.severity))];
  return severities.map(s => `${findings.filter(f => f.severity === s).length} × ${s}`).join(', ');
}

const finding = ({ node, op, severity, why, fix, source }: FindingFigures): Markup =>
  html`<div class="finding ${severity}"><p><strong>${severity}: ${node === '' ? 'the model' : `${node} (${op})`}</strong>: ${why}</p><p>${fix}</p><p class="source">${source}</p></div>`;

const list = (title: string, items: readonly string[]): Markup | false =>
  items.length > 0 && html`<h3>${title}</h3><ul>${items.map(item => html`<li>${item}</li>`)}</ul>`;
