/**
 * The pipeline section: the diagram, what its arrows mean, and every stage in plain words.
 */
import type { ReportData, Stage } from './data.ts';
import { pipelineDiagram } from './diagram.ts';
import {
  bytes,
  duration,
  flops,
  isNumber,
  milliseconds,
  percent,
  percentInterval,
  plain,
  si,
} from './format.ts';
import { html, type Markup, type Part } from './html.ts';
import { computeOf, givesWeights, isMeasured, KINDS, type Kind, kindOf, tookNoStep } from './story.ts';

/** What a kind of stage does, for someone who has never trained a model. */
const PLAIN: Readonly<Record<Kind, string>> = {
  pretrain:
    'The model reads text and learns to guess the next token: what texts look like, not what is right.',
  rl: 'The model tries many answers to each problem. A program checks them, and what right answers did more than wrong ones is made more likely.',
  sft: 'The model reads chosen answers that a checker found right, and learns to write such answers itself.',
  distil:
    'A smaller model reads verified answers of the large one: it copies the reasoning instead of finding it.',
  export: 'The same model with its numbers rounded to fewer bits. Nothing is trained.',
};

export function stagesSection(data: ReportData): Markup | false {
  if (data.stages.length === 0) return false;
  const alone = data.stages.length === 1;
  return html`<section id="pipeline"><h2>${alone ? 'The model' : 'The pipeline'}</h2>
${!alone && introduction(data)}${!alone && pipelineDiagram(data)}${!alone && legend(data)}
<div class="stages">${data.stages.map((stage, i) => stageEntry(data, stage, i))}</div></section>`;
}

const introduction = ({ stages }: ReportData): Markup =>
  stages.some(isOfPictures)
    ? html`<p class="lead">Each box is a model, measured on the same held-out pictures. The big figure is the share that it gets right; beside it and on the bar is the range that chance allows
(95 % interval). Touch a box for what happened there.</p>`
    : html`<p class="lead">Each box is a model, measured on the same held-out problems. The big figure is how often a single answer is right (<em>pass@1</em>); beside it
and on the bar is the range that chance allows (95 % interval). Touch a box for what happened there.</p>`;

function legend(data: ReportData): Markup {
  const kinds = [...new Set(data.stages.map(stage => kindOf(data, stage)))];
  const answers = data.stages.some(stage =>
    data.stages.some(other => stage.from.includes(other.name) && !givesWeights(stage, other)),
  );
  const line = (name: string, text: string) =>
    html`<span class="key"><svg class="line" viewBox="0 0 26 8"><path class="arrow ${name}" d="M0 4H26"/></svg>${text}</span>`;
  return html`<p class="legend">${kinds.map(kind => html`<span class="key ${kind}"><i></i>${kind === 'pretrain' && data.stages.some(isOfPictures) ? 'Training' : KINDS[kind]}</span>`)}
${line('weights', 'weights go on')}${answers && line('answers', 'answers to learn from')}</p>`;
}

function stageEntry(data: ReportData, stage: Stage, i: number): Markup {
  const kind = kindOf(data, stage);
  return html`<article class="stage ${kind}" id="stage-${stage.name}"><h3><span class="num">${i + 1}</span>${stage.title}<code>${stage.name}</code></h3>
<p><strong>${capital(stage.summary)}.</strong> ${tookNoStep(data, stage) ? withoutSteps(data, stage, kind) : plainly(stage, kind)}</p>
<dl>${factsOf(data, stage).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
${stage.notes && stage.notes.length > 0 && html`<ul>${stage.notes.map(note => html`<li>${note}</li>`)}</ul>`}</article>`;
}

const isOfPictures = (stage: Stage): boolean => isNumber(stage.accuracy);

const plainly = (stage: Stage, kind: Kind): Part => {
  if (!isOfPictures(stage)) return PLAIN[kind];
  if (stage.page)
    return html`Channels that matter least were taken out and the rest learned from the whole network; numbers were rounded to few bits. <a href="${stage.page}">All candidates, and how this one was chosen</a>; there the network’s own file, too, counts as it is written for the device.`;
  return 'The model sees a picture, guesses its class, and each weight is moved a little towards the right guess; again and again.';
};

/** Of a stage without steps: why, and whose weights it has. */
function withoutSteps({ stages }: ReportData, stage: Stage, kind: Kind): string {
  const parent = stages.find(other => givesWeights(stage, other));
  const why =
    kind === 'sft' || kind === 'distil'
      ? 'There was no verified answer to learn from, so it took no step'
      : 'It took no step';
  return `${why}: it has the ${parent ? '' : 'random '}weights that it started from${parent ? `, those of ${parent.title}` : ''}.`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

type Fact = readonly [name: string, value: string];

/** What the diagram does not say; for a stage alone, everything. */
function factsOf(data: ReportData, stage: Stage): Fact[] {
  const alone = data.stages.length === 1;
  const steps = data.metrics.filter(line => line.stage === stage.name).length;
  const size: Fact[] = [
    [isOfPictures(stage) && !stage.page ? 'trainable parameters' : 'parameters', si(stage.parameters)],
    ['file', bytes(stage.bytes)],
  ];
  return [
    ...(isMeasured(stage)
      ? answerFacts(stage, alone)
      : isOfPictures(stage)
        ? pictureFacts(stage)
        : textFacts(stage)),
    ...(alone || isOfPictures(stage) ? size : []),
    ...(kindOf(data, stage) === 'export' ? [] : [['steps', String(steps)] as const]),
    ...(computeOf(stage) > 0 ? [['compute', flops(computeOf(stage))] as const] : []),
    ['time', duration(stage.seconds)],
  ];
}

const answerFacts = (stage: Stage, alone: boolean): Fact[] => [
  ['pass@1', percent(stage.passAt1)],
  ['95 % interval', percentInterval(stage.passAt1Interval)],
  ...(alone ? [[`pass@${stage.k}`, percent(stage.passAtK)] as const] : []),
  ['one language', percent(stage.language)],
  ...Object.entries(stage.other ?? {}).map(([task, value]): Fact => [`task ${task}`, percent(value)]),
];

const pictureFacts = (stage: Stage): Fact[] => [
  ['right', percent(stage.accuracy)],
  ['95 % interval', percentInterval(stage.accuracyInterval)],
  ['multiply-adds', si(stage.macs)],
  ...(isNumber(stage.latencyMs) ? [['a picture takes', milliseconds(stage.latencyMs)] as const] : []),
  ...(isNumber(stage.memoryBytes) ? [['memory', bytes(stage.memoryBytes)] as const] : []),
];

const textFacts = ({ bitsPerByte, natsPerToken, validationTokens }: Stage): Fact[] =>
  isNumber(bitsPerByte)
    ? [
        ['bits per byte', plain(bitsPerByte)],
        ['nats per token', plain(natsPerToken)],
        ['held-out tokens', si(validationTokens)],
      ]
    : [];
