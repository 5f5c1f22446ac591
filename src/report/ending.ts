/**
 * The end of the report: how to read it, words explained, how to make the run again.
 */
import type { ReportData } from './data.ts';
import { duration } from './format.ts';
import { html, type Markup } from './html.ts';
import { rolesOf } from './story.ts';

const WORDS: readonly (readonly [word: string, meaning: string])[] = [
  ['pass@1', 'How often a single answer is right, averaged over held-out problems.'],
  [
    'pass@k',
    'How often at least one of k answers is right: what the model could do with k tries and a checker.',
  ],
  [
    '95 % interval',
    'The range in which the true figure lies in 95 of 100 such measurements; problems, not answers, are counted as the independent ones.',
  ],
  ['held-out', 'Kept away from all training, so that knowing it by heart cannot help.'],
  ['token', 'The piece a model reads and writes at a time; for a character-level model, one character.'],
  [
    'GRPO',
    'Group relative policy optimization: answer a problem many times, and make what the better-than-average answers did more likely.',
  ],
  [
    'verifiable reward',
    'Points given by a program that checks the answer, not by a person or another model.',
  ],
  ['entropy', 'How undecided the model is at each token; falling entropy means it has made up its mind.'],
  ['SFT', 'Supervised fine-tuning: going on to learn from chosen texts.'],
  ['rejection sampling', 'Sampling many answers and keeping the right ones to learn from.'],
  ['distillation', 'Training a small model on the answers of a larger one.'],
  ['int8, int4', 'Weights stored in 8 or 4 bits instead of 32: smaller files, slightly different answers.'],
  [
    'bits per byte',
    'Bits needed to write down a byte of text with the model’s predictions; lower is better.',
  ],
  ['FLOP', 'One multiplication or addition; a model does about two for each parameter and token.'],
];

/** Words that a run on pictures alone has. */
const OF_PICTURES: typeof WORDS = [
  ['held-out', 'Kept away from all training, so that knowing it by heart cannot help.'],
  ['95 % interval', 'The range in which the true share lies in 95 of 100 such measurements (Wilson).'],
  [
    'trainable parameters',
    'The numbers that training moves. Means and variances of normalizations lie in the file besides; gaslaw inspect counts them too.',
  ],
  [
    'multiply-add',
    'A multiplication whose product is added to a sum; nearly all the work of such a network.',
  ],
  ['int8', 'Weights and activations in 8 bits instead of 32: a quarter of the file, faster on small chips.'],
  ['pruning', 'Taking out channels that matter little, so that less has to be computed and stored.'],
];

/** Words that a run without accuracies has no use for. */
const PLAIN_RUN = new Set(['held-out', 'token', 'bits per byte', 'FLOP']);

const ANSWERS = html`, <code>metrics.jsonl</code> and <code>samples.jsonl</code> beside this page. Every model was measured on the same
problems with the same random seeds, so differences are between models, not between exams.`;

export function endingSections(data: ReportData): Markup {
  const reasons = data.stages.length > 1 || data.metrics.some(line => 'reward' in line);
  const ofPictures = data.stages.some(stage => stage.accuracy !== undefined);
  const words = ofPictures
    ? OF_PICTURES
    : WORDS.filter(([word]) => reasons || PLAIN_RUN.has(word)).filter(
        ([word]) => word !== 'bits per byte' || !reasons,
      );
  return html`<section id="words"><h2>How to read this</h2>
<p class="lead">All figures come from this run’s own files: <code>result.json</code>${reasons && !ofPictures ? ANSWERS : html` and <code>metrics.jsonl</code> beside this page.`}</p>
<dl class="glossary">${words.map(([word, meaning]) => html`<div><dt>${word}</dt><dd>${meaning}</dd></div>`)}</dl></section>
<section id="again"><h2>Run it again</h2>
<pre><code>${commandsOf(data).join('\n')}</code></pre>
<dl class="facts">${factsOf(data).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
<p class="note">The same seed on the same machine gives the same weights, bit for bit; a run that was interrupted goes on with <code>--resume</code>.</p></section>`;
}

/** Commands that make this run and use its models. */
export function commandsOf(data: ReportData): string[] {
  const { recipe, size, seed, options = {} } = data;
  const { final, base } = rolesOf(data);
  const model = (final ?? base)?.model;
  const sample = data.samples[0];
  const passage = data.stages.at(-1)?.passages?.[0];
  const own = Object.entries(options).map(([name, value]) => ` --set ${quoted(`${name}=${value}`)}`);
  const run = `gaslaw run ${recipe} --size ${size} --seed ${seed}${own.join('')} --out my-run`;
  if (model && passage) return [run, `gaslaw generate my-run/${model} --prompt ${quoted(passage.begun)}`];
  if (!model || !sample) return [run];
  return [
    run,
    `gaslaw eval my-run/${model} --task ${quoted(sample.task)}`,
    `gaslaw generate my-run/${model} --prompt ${quoted(sample.prompt)}`,
  ];
}

/** A word of a shell command; in quotes when it has to be. */
const quoted = (text: string): string =>
  /^[\w./:=@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

function factsOf(data: ReportData): (readonly [string, string | number])[] {
  const samples = data.stages[0]?.samples;
  return [
    ['recipe', `${data.recipe}, size ${data.size}`],
    ['seed', data.seed],
    ['gaslaw', `version ${data.version}`],
    ['duration', duration(data.seconds)],
    ...(samples ? [['held-out problems', samples] as const] : []),
    ...Object.entries(data.machine),
  ];
}
