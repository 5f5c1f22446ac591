/**
 * The pipeline as a diagram: a box for each stage with its figures, an arrow for each "starts from".
 * Solid arrows carry weights, dashed ones answers to learn from.
 */
import type { ReportData, Stage } from './data.ts';
import { type Box, type Layout, type Node, narrowLayout, wideLayout } from './diagram-layout.ts';
import {
  bytes,
  GAP,
  isNumber,
  type Maybe,
  milliseconds,
  percent,
  percentInterval,
  plain,
  si,
} from './format.ts';
import { html, type Markup } from './html.ts';
import { givesWeights, type Kind, kindOf, shareOf } from './story.ts';

const WIDE = { width: 1120, boxHeight: 174, gapX: 44, gapY: 40 };
const NARROW = { width: 350, boxHeight: 140, gap: 28, lane: 16 };

/** Both forms; the page shows the one that fits. */
export function pipelineDiagram(data: ReportData): Markup {
  const nodes = data.stages.map(
    (stage): Node => ({ name: stage.name, kind: kindOf(data, stage), from: stage.from }),
  );
  return html`<div class="diagram wide">${drawing(data, nodes, wideLayout(nodes, WIDE), 'w')}</div>
<div class="diagram narrow">${drawing(data, nodes, narrowLayout(nodes, NARROW), 'n')}</div>`;
}

function drawing(data: ReportData, nodes: readonly Node[], layout: Layout, id: string): Markup {
  const stageOf = (name: string) => data.stages.find(stage => stage.name === name) as Stage;
  const arrows = layout.arrows.map(({ from, to, d }) => {
    const kind = givesWeights(stageOf(to), stageOf(from)) ? 'weights' : 'answers';
    return html`<path class="arrow ${kind}" d="${d}" marker-end="url(#head-${id})"/>`;
  });
  const boxes = layout.boxes.map((box, i) => stageBox(stageOf(box.name), (nodes[i] as Node).kind, box));
  return html`<svg viewBox="-2 -2 ${layout.width + 4} ${layout.height + 4}" role="group" aria-label="The stages of the run and what each starts from">
<defs><marker id="head-${id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7.5" markerHeight="7.5" markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 .6 7.4 4 0 7.4Z"/></marker></defs>
${arrows}${boxes}</svg>`;
}

/** A stage: title, the share that is right with its interval as a bar, and what else is known of it. */
function stageBox(stage: Stage, kind: Kind, { x, y, width, height }: Box): Markup {
  const lines = wrap(stage.title, Math.floor((width - 28) / 7.4));
  // in a narrow box the interval has no room beside the figure
  const beside = width >= BESIDE;
  const top = height - (beside ? 110 : 126);
  const share = shareOf(stage);
  const interval = percentInterval(share.interval);
  const rows = [...(beside ? [] : ([['95 %', interval]] as const)), ...boxRows(stage)];
  return html`<a class="box ${kind}" href="#stage-${stage.name}" data-tip="${tipOf(stage)}"><g transform="translate(${x} ${y})">
<rect class="card" width="${width}" height="${height}" rx="10"/><rect class="edge" x="0" y="${12}" width="3.5" height="${height - 24}" rx="1.75"/>
${lines.map((line, i) => html`<text class="title" x="15" y="${(lines.length === 1 ? 25 : 21) + 15 * i}">${line}</text>`)}
<text class="big" x="15" y="${top + 30}">${percent(share.value)}</text>
${beside && html`<text class="small end" x="${width - 14}" y="${top + 29}">${interval}</text>`}
${intervalBar(stage, 15, top + 42, width - 29)}
${rows.map(([name, value], i) => html`<text x="15" y="${top + 64 + 16 * i}">${name}</text><text class="end strong" x="${width - 14}" y="${top + 64 + 16 * i}">${value}</text>`)}
</g></a>`;
}

const boxRows = (stage: Stage): readonly (readonly [name: string, value: string])[] =>
  stage.accuracy === undefined
    ? [
        [`pass@${stage.k}`, percent(stage.passAtK)],
        ['answer', `${plain(rounded(stage.responseTokens))}${GAP}tokens`],
        ['parameters', si(stage.activeParameters)],
      ]
    : [
        ['file', bytes(stage.bytes)],
        ['multiply-adds', si(stage.macs)],
        stage.latencyMs === undefined
          ? [stage.page ? 'parameters' : 'trainable parameters', si(stage.parameters)]
          : ['a picture', milliseconds(stage.latencyMs)],
      ];

/** Least width of a box in which the interval stands beside pass@1. */
const BESIDE = 180;

const rounded = (x: Maybe): Maybe => (isNumber(x) ? Number(x.toFixed(1)) : x);

/** The share on a track from 0 to 100 %, its interval as a band. */
function intervalBar(stage: Stage, x: number, y: number, width: number): Markup {
  const known = shareOf(stage);
  const [share, low, high] = [known.value, ...known.interval].map(x => (isNumber(x) ? x : 0));
  const px = (value: number) => (value * width).toFixed(1);
  return html`<rect class="track" x="${x}" y="${y}" width="${width}" height="4" rx="2"/>
<rect class="fill" x="${x}" y="${y}" width="${px(share)}" height="4" rx="2"/>
<rect class="band" x="${(x + low * width).toFixed(1)}" y="${y - 2}" width="${px(high - low)}" height="8" rx="2"/>`;
}

const tipOf = (stage: Stage): string =>
  `${stage.title}: ${stage.summary}. ${stage.from.length > 0 ? `Starts from ${stage.from.join(' and ')}. ` : ''}` +
  `${percent(shareOf(stage).value)} of ${stage.accuracy === undefined ? 'single answers' : 'pictures'} are right (95 % interval ${percentInterval(shareOf(stage).interval)}).`;

/** Words in at most two lines; what does not fit is cut. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) as string;
    if (line === '') lines[lines.length - 1] = word;
    else if (`${line} ${word}`.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  const kept = lines.slice(0, 2).map(line => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
  return lines.length > 2 ? [kept[0] as string, `${(kept[1] as string).slice(0, width - 1)}…`] : kept;
}
