/**
 * The top of the report: what was done, in a sentence, and the few figures that matter.
 */
import type { ReportData, Stage } from './data.ts';
import { bytes, duration, isNumber, milliseconds, percent, percentInterval, plain, si } from './format.ts';
import { html, type Markup, type Part } from './html.ts';
import { tile } from './page.ts';
import { hasValues, lastOf, metricNames, type Series, seriesOf } from './series.ts';
import { differenceOf, isMeasured, kindOf, type Measured, type Roles, rolesOf } from './story.ts';

export function headline(data: ReportData): Markup {
  const roles = rolesOf(data);
  const state = data.finished ? '' : ' · not finished yet';
  return html`<header><p class="kicker">gaslaw · recipe ${data.recipe} · size ${data.size} · seed ${data.seed}${state}</p>
<h1>${sentence(data, roles)}</h1>
${explanation(data, roles)}
<div class="figures">${figures(data, roles)}</div></header>`;
}

const small = (share: number): string => percent(share).replace('.0', '');

const accuracyOf = (stage: Stage | undefined): number | undefined =>
  stage && isNumber(stage.passAt1) ? stage.passAt1 : undefined;

/** One sentence for a stranger, as far as the run got. */
export function sentence(data: ReportData, roles: Roles): string {
  const { base, final, distilled } = roles;
  const made = data.stages.findLast(isOfPictures);
  if (made) return picturesSentence(data, made);
  if (base === undefined) return `A run of recipe ${data.recipe}, before its first stage is done.`;
  if (!isMeasured(base) || !isMeasured(final) || final === base) return trainedSentence(data, base);
  const gain = differenceOf(final, base);
  const model = `A model of ${si(base.parameters)} parameters, started from random numbers,`;
  if (gain.value <= 0)
    return `${model} went through ${data.stages.length} stages and did not learn to reason: of its answers to problems it had never seen, ${small(base.passAt1)} were right before and ${small(final.passAt1)} after.`;
  const figures = `from ${small(base.passAt1)} to ${small(final.passAt1)} right answers on problems it had never seen`;
  if (gain.interval[0] <= 0)
    return `${model} went through ${data.stages.length} stages: ${figures}, which may be chance.`;
  const smallest = smallestStudent(roles);
  const passedOn = distilled && isMeasured(smallest) && differenceOf(smallest, base).interval[0] > 0;
  return `${model} learned to reason: ${figures}${passedOn ? `, and passed the skill on to a student of ${bytes(smallest.bytes)}` : ''}.`;
}

type OfPictures = Stage & Required<Pick<Stage, 'accuracy' | 'accuracyInterval'>>;

const isOfPictures = (stage: Stage): stage is OfPictures => isNumber(stage.accuracy);

function picturesSentence({ stages }: ReportData, last: OfPictures): string {
  const network = stages.find(isOfPictures) ?? last;
  const learned = network.accuracyInterval[0] > guessing(network) ? 'learned' : 'did not learn';
  const model = `A network of ${si(network.parameters)} trainable parameters, started from random numbers, ${learned} to tell ${network.classes?.length ?? 'some'} kinds of pictures apart`;
  if (last === network) return `${model}: ${small(network.accuracy)} of those it had never seen.`;
  return `${model}, and fits in ${bytes(last.bytes)} on ${last.device}: ${small(last.accuracy)} right on those it had never seen (before: ${small(network.accuracy)}).`;
}

/** Accuracy of naming the commonest class always; 0 when the classes' counts are not known. */
function guessing({ confusion = [] }: Stage): number {
  const counts = confusion.map(row => row.reduce((a, b) => a + b, 0));
  return (
    Math.max(0, ...counts) /
    Math.max(
      1,
      counts.reduce((a, b) => a + b, 0),
    )
  );
}

function trainedSentence(data: ReportData, stage: Stage): string {
  if (isNumber(stage.bitsPerByte))
    return `A model of ${si(stage.parameters)} parameters, started from random numbers, learned to predict text: it needs ${plain(stage.bitsPerByte)} bits for a byte of text that it had never seen, where the text itself takes 8.`;
  const curve = textCurve(data);
  const [from, to] = [curve?.series.y.find(Number.isFinite), curve && lastOf(curve.series)];
  const model = `A model of ${si(stage.parameters)} parameters, started from random numbers,`;
  if (accuracyOf(stage) !== undefined) return `${model} gives ${percent(stage.passAt1)} right answers.`;
  if (!curve || from === undefined || to === undefined) return `${model} was trained.`;
  return `${model} learned to predict text: its ${curve.title} fell from ${plain(from)} to ${plain(to)}.`;
}

/** What stands for the quality of a language model: bits per byte, else the loss on held-out text, else the loss. */
export function textCurve(data: ReportData): { title: string; series: Series } | undefined {
  const wanted: readonly (readonly [RegExp, string])[] = [
    [/bits_?per_?byte/i, 'bits per byte'],
    [/(?:eval|validation|val).*loss/i, 'validation loss'],
    [/^loss$/, 'loss'],
  ];
  const stages = [...new Set(data.metrics.map(line => line.stage))];
  for (const [pattern, title] of wanted) {
    for (const stage of stages) {
      const name = metricNames(data.metrics, stage).find(n => pattern.test(n));
      const series = name && seriesOf(data.metrics, stage, name);
      if (series && hasValues(series)) return { title, series };
    }
  }
  return undefined;
}

function explanation(data: ReportData, roles: Roles): Markup | false {
  const { zero, base, final } = roles;
  const reinforced = zero !== undefined && data.stages.some(stage => kindOf(data, stage) === 'rl');
  if (data.size === 'debug') return debugging(data, reinforced);
  if (!reinforced) return false;
  if (isMeasured(base) && isMeasured(final) && final !== base && differenceOf(final, base).interval[0] <= 0) {
    return html`<p class="lead">The base model only knew the form of an attempt and true arithmetic; what leads to right answers was to be made more likely by <em>reinforcement learning on verifiable rewards</em>,
the recipe that DeepSeek-R1 made known. ${noneRight(data) || 'On problems that it had never seen it does not show that this worked.'}</p>`;
  }
  return html`<p class="lead">Nobody showed it how. The base model only knew the form of an attempt and true arithmetic. Then it tried, and
whatever led to a right answer was made more likely: <em>reinforcement learning on verifiable rewards</em>, the recipe that DeepSeek-R1 made known,
here at a scale that fits on a laptop.</p>`;
}

const debugging = (data: ReportData, reinforced: boolean): Markup =>
  html`<p class="lead">Size <code>debug</code> takes a few steps in each stage: it tests that everything runs, not what a model can learn. ${reinforced && noneRight(data)}
To see a model learn, run <code>gaslaw run ${data.recipe} --size small</code>.</p>`;

/** Says so when no answer that was sampled for learning was right. */
function noneRight({ metrics }: ReportData): string | false {
  const shares = metrics.map(line => line['reward/accuracy']).filter(isNumber);
  return (
    shares.length > 0 &&
    Math.max(...shares) === 0 &&
    'No answer that it tried was right, so there was no right answer to make more likely.'
  );
}

/** The export of the distilled student with the fewest bytes, else the student itself. */
function smallestStudent({ distilled, exports }: Roles): Stage | undefined {
  const own = distilled ? [distilled, ...exports.filter(stage => stage.from.includes(distilled.name))] : [];
  return own.toSorted((a, b) => a.bytes - b.bytes)[0];
}

function figures(data: ReportData, roles: Roles): Part {
  const made = data.stages.findLast(isOfPictures);
  if (made) return picturesFigures(data, made);
  const smallest = smallestStudent(roles);
  return [
    ladder(roles),
    smallest
      ? tile(
          'Smallest student',
          bytes(smallest.bytes),
          `${percent(smallest.passAt1)} right · ${smallest.name}`,
        )
      : roles.base &&
        tile('Model', bytes((roles.final ?? roles.base).bytes), `${si(roles.base.parameters)} parameters`),
    textTile(data, roles),
    data.stages.length > 0 &&
      tile(
        'Whole run',
        duration(data.seconds),
        data.stages.length === 1 ? '1 stage' : `${data.stages.length} stages, every one measured`,
      ),
  ];
}

function picturesFigures(data: ReportData, last: OfPictures): Part {
  const network = data.stages.find(isOfPictures) ?? last;
  const before = (text: string) => (last === network ? 'the network as it was trained' : `${text} before`);
  return [
    tile('Right on held-out pictures', percent(last.accuracy), percentInterval(last.accuracyInterval)),
    tile('File', bytes(last.bytes), before(bytes(network.bytes))),
    tile('Multiply-adds a picture', si(last.macs), before(si(network.macs))),
    isNumber(last.latencyMs) &&
      tile('A picture takes', milliseconds(last.latencyMs), `on ${last.device}, estimated`),
    isNumber(last.memoryBytes) && tile('Memory at its peak', bytes(last.memoryBytes), `on ${last.device}`),
  ];
}

/** Base → R1-Zero → final, each with a bar. */
function ladder({ base, zero, final }: Roles): Markup | false {
  const rungs = [base, zero, final].filter((stage, i, all) => stage && all.indexOf(stage) === i) as Stage[];
  const known = rungs.filter(isMeasured);
  if (known.length === 0) return false;
  return html`<div class="tile ladder"><span class="label">Right at the first try (pass@1), held-out problems</span><ol>
${known.map(stage => rung(stage, stage === base ? 'Base' : stage === zero ? 'R1-Zero' : 'Final model'))}</ol></div>`;
}

const rung = (stage: Measured, label: string): Markup =>
  html`<li><span class="note">${label}</span><strong>${percent(stage.passAt1)}</strong><span class="bar"><i style="width:${(100 * stage.passAt1).toFixed(1)}%"></i></span><span class="note">${percentInterval(stage.passAt1Interval)}</span></li>`;

function textTile(data: ReportData, { base }: Roles): Markup | false {
  if (accuracyOf(base) !== undefined) return false;
  if (base && isNumber(base.bitsPerByte))
    return tile(
      'Held-out text',
      `${plain(base.bitsPerByte)} bits`,
      `a byte · ${plain(base.natsPerToken)} nats a token · lower is better`,
    );
  const curve = textCurve(data);
  return curve !== undefined && tile(`Final ${curve.title}`, plain(lastOf(curve.series)), 'lower is better');
}
