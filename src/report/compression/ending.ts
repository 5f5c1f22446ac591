/** The end of the page: words, files, and how to make it again. */
import { html, type Markup } from '../html.ts';
import { type CompressionData, chosenOf } from './data.ts';
import { budgetText } from './overview.ts';

const WORDS: readonly (readonly [word: string, meaning: string])[] = [
  [
    'accuracy',
    'Share of examples that get the right class, on examples that calibrated and trained nothing.',
  ],
  [
    'agreement',
    'Share of examples that get the class which the original gives them: for data without labels.',
  ],
  [
    'fidelity',
    '1 minus the size of the error relative to the output, of the output that suffers most: for outputs that are no classes.',
  ],
  [
    'likelihood',
    'For language models: the probability of each token over that which the original gives it, as a geometric mean; perplexity before divided by perplexity after.',
  ],
  [
    'file',
    'As it is written for the device. That goes for the original too, so its bytes can differ from those of the file that it came in.',
  ],
  ['95 % interval', 'The range in which the true figure lies in 95 of 100 such measurements (Wilson).'],
  ['Pareto front', 'The candidates that no other one beats in everything.'],
  ['multiply-add', 'One multiplication and one addition: the work of a network is counted in them.'],
  [
    'int8, W8A8',
    'Weights and values in 8-bit integers in place of 32-bit numbers: a quarter of the bytes, and faster on most devices.',
  ],
  ['pruning', 'Taking out whole channels that matter least; the file and the work shrink.'],
  ['recovery', 'Training the smaller model on the original’s answers, and on labels where there are some.'],
];

export function endingSections(data: CompressionData): Markup {
  const facts: readonly (readonly [string, string])[] = [
    ['device', data.device.id],
    ['chosen', chosenOf(data).title],
    ['budget', budgetText(data.budget) || 'none'],
    ['gaslaw', `version ${data.version}`],
  ];
  return html`<section id="words"><h2>How to read this</h2>
<dl class="glossary">${WORDS.map(([word, meaning]) => html`<div><dt>${word}</dt><dd>${meaning}</dd></div>`)}</dl></section>
<section id="again"><h2>Files, and how to make them again</h2>
<ul>${data.files.map(file => html`<li><code>${file}</code></li>`)}</ul>
<pre><code>${data.command}</code></pre>
<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
<p class="note">The same command in the same folder goes on where it was. All figures are in <code>front.json</code> beside this page.</p></section>`;
}
