/** What a classifier makes of pictures that it has never seen: the mistaken ones, right ones, and which classes are confused. */
import type { ShownPicture } from '../train/run.ts';
import type { ReportData, Stage } from './data.ts';
import { percent } from './format.ts';
import { html, type Markup } from './html.ts';

export function picturesSection(data: ReportData): Markup | false {
  const stage = data.stages.findLast(s => (s.pictures?.length ?? 0) > 0);
  if (!stage) return false;
  const all = stage.pictures ?? [];
  const [wrong, right] = [false, true].map(is => all.filter(p => (p.label === p.found) === is));
  return html`<section id="pictures"><h2>What it sees</h2>
<p class="lead">Held-out pictures, as the last model of the run takes them.</p>
${row('no', `Mistaken: ${wrong.length === 0 ? 'none' : 'what it is, and what the model took it for'}`, wrong)}
${row('yes', 'Right', right)}
${confusionTable(stage)}</section>`;
}

const row = (kind: string, title: string, pictures: readonly ShownPicture[]): Markup =>
  html`<h3>${title}</h3><div class="pictures ${kind}">${pictures.map(picture)}</div>`;

const picture = ({ image, label, found }: ShownPicture): Markup =>
  html`<figure><img src="${image}" alt="${label}"><figcaption>${label}${found !== label && html` <b class="no">→ ${found}</b>`}</figcaption></figure>`;

/** Most classes of which the whole table is shown. */
const TABLED = 12;

function confusionTable({ confusion, classes, title }: Stage): Markup | false {
  if (!confusion || !classes) return false;
  if (classes.length > TABLED) return confusedPairs(confusion, classes);
  const cell = (row: readonly number[], of: number, as: number): Markup => {
    const share = row[as] / Math.max(1, sum(row));
    const shade = of === as ? 'right' : 'wrong';
    return html`<td class="${row[as] > 0 && shade}" style="--s:${share.toFixed(3)}" data-tip="${`${classes[of]} taken for ${classes[as]}: ${percent(share)}`}">${row[as] || ''}</td>`;
  };
  return html`<h3>Which class is taken for which</h3>
<p class="note">${title}: a row is what pictures are, a column what they were taken for; ${sum(confusion.map(sum)).toLocaleString('en')} held-out pictures.</p>
<div class="scroll"><table class="confusion"><thead><tr><th></th>${classes.map(name => html`<th>${name}</th>`)}<th>right</th></tr></thead>
<tbody>${confusion.map((row, of) => html`<tr><th>${classes[of]}</th>${row.map((_, as) => cell(row, of, as))}<td>${percent(row[of] / Math.max(1, sum(row)))}</td></tr>`)}</tbody></table></div>`;
}

/** The classes that are mistaken for each other most. */
function confusedPairs(confusion: readonly (readonly number[])[], classes: readonly string[]): Markup {
  const pairs = confusion.flatMap((row, of) =>
    row.map((count, as) => ({ of, as, count })).filter(p => p.of !== p.as && p.count > 0),
  );
  const worst = pairs.toSorted((a, b) => b.count - a.count).slice(0, TABLED);
  return html`<h3>Taken for each other most</h3><ul>${worst.map(({ of, as, count }) => html`<li>${classes[of]} for ${classes[as]}: ${count}</li>`)}</ul>`;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
