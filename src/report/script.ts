/**
 * The page's script: read-outs, tips, sorting. Without it the page still says everything that matters.
 */
export const SCRIPT = `
'use strict';
const tip = document.getElementById('tip');
const all = (root, query) => [...root.querySelectorAll(query)];

const showTip = element => {
  shown = element;
  tip.textContent = element.dataset.tip;
  tip.hidden = false;
  const at = element.getBoundingClientRect();
  const box = tip.getBoundingClientRect();
  const wide = document.documentElement.clientWidth;
  const left = Math.max(8, Math.min(wide - box.width - 8, at.left + at.width / 2 - box.width / 2));
  const below = at.top - box.height - 10 < 4;
  tip.style.left = left + scrollX + 'px';
  tip.style.top = (below ? at.bottom + 10 : at.top - box.height - 10) + scrollY + 'px';
};
let shown;
let pointer = 'mouse';
const hideTip = () => { tip.hidden = true; shown = undefined; };
const isMouse = event => event.pointerType === 'mouse';
addEventListener('pointerdown', event => {
  pointer = event.pointerType;
  if (!event.target.closest('[data-tip]')) hideTip();
}, true);
addEventListener('keydown', event => { pointer = 'mouse'; if (event.key === 'Escape') hideTip(); });
for (const element of all(document, '[data-tip]')) {
  element.addEventListener('pointerenter', event => { if (isMouse(event)) showTip(element); });
  element.addEventListener('pointerleave', event => { if (isMouse(event)) hideTip(); });
  element.addEventListener('focus', () => { if (pointer === 'mouse' && element.matches(':focus-visible')) showTip(element); });
  element.addEventListener('blur', hideTip);
  // A first touch on a box explains it, a second one goes to its entry below.
  element.addEventListener('click', event => {
    if (pointer === 'mouse' || shown === element) return;
    event.preventDefault();
    showTip(element);
  });
}

const format = (unit, y) => {
  if (y === null || y === undefined) return '\\u2013';
  if (unit === 'percent') return (100 * y).toFixed(1) + '\\u202f%';
  const size = Math.abs(y);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return y.toExponential(1);
  return size >= 100 ? y.toFixed(0) : String(Number(y.toPrecision(3)));
};
const nearest = (xs, x) => {
  let best = 0;
  for (let i = 1; i < xs.length; i++) if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) best = i;
  return best;
};
for (const row of all(document, '.multiples')) {
  const charts = all(row, '[data-chart]').map(figure => ({ figure, ...JSON.parse(figure.dataset.chart) }));
  const linked = row.parentElement.querySelector('.at[data-steps]');
  const move = (chart, event) => {
    const area = chart.figure.querySelector('.canvas').getBoundingClientRect();
    const share = Math.max(0, Math.min(1, (event.clientX - area.left) / area.width));
    const step = chart.low + share * (chart.high - chart.low);
    for (const c of linked ? charts : [chart]) {
      const i = nearest(c.x, step);
      const output = c.figure.querySelector('output');
      output.textContent = linked ? format(c.unit, c.y[i]) : 'step ' + c.x[i] + ': ' + format(c.unit, c.y[i]);
      const cursor = c.figure.querySelector('.cursor');
      cursor.style.left = 100 * (c.x[i] - c.low) / (c.high - c.low || 1) + '%';
      cursor.style.opacity = 1;
    }
    if (linked) linked.textContent = 'step ' + Math.round(step);
  };
  const rest = () => {
    for (const c of charts) {
      const output = c.figure.querySelector('output');
      output.textContent = output.dataset.last;
      c.figure.querySelector('.cursor').style.opacity = 0;
    }
    if (linked) linked.textContent = linked.dataset.steps;
  };
  for (const chart of charts) {
    const plot = chart.figure.querySelector('.plot');
    plot.addEventListener('pointermove', event => move(chart, event));
    plot.addEventListener('pointerdown', event => move(chart, event));
    plot.addEventListener('pointerleave', event => { if (isMouse(event)) rest(); });
  }
}

for (const button of all(document, 'table.sortable button')) {
  button.addEventListener('click', () => {
    const head = button.parentElement;
    const table = head.closest('table');
    const column = Number(button.dataset.sort);
    const down = head.getAttribute('aria-sort') !== 'descending';
    for (const other of all(table, 'th[aria-sort]')) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const value = row => { const cell = row.cells[column]; return cell.dataset.value ?? cell.textContent; };
    const known = row => value(row) !== '' && value(row) !== 'NaN';
    const compare = (a, b) => column === 0 ? value(b).localeCompare(value(a)) : Number(value(b)) - Number(value(a));
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => known(b) - known(a) || (down ? compare(a, b) : compare(b, a)));
    table.tBodies[0].append(...rows);
  });
}

addEventListener('beforeprint', () => { for (const d of all(document, 'details')) d.open = true; });
`;
