/**
 * How answers change: the same held-out problems, side by side through the stages.
 *
 * 1. Problems are chosen for what they show: first those that the base misses and the final model solves, one in each
 *    alphabet if there are two, and at the end one that still fails, if there is one.
 */
import type { SampleLine } from '../train/run.ts';
import type { ReportData } from './data.ts';
import { html, type Markup, type Part } from './html.ts';
import { kindOf, rolesOf } from './story.ts';

const SHOWN = 5;

export interface ProblemAnswers {
  readonly problem: number;
  readonly prompt: string;
  readonly answers: readonly SampleLine[];
}

export function answersSection(data: ReportData): Markup | false {
  const problems = chooseProblems(problemsOf(data.samples), rolesOf(data).final?.name);
  if (problems.length === 0) return false;
  return html`<section id="answers"><h2>How answers change</h2>
<p class="lead">The same problems, answered by each model in turn. The <span class="think">thinking</span> is grey, the <span class="answer">answer</span> is marked.
Only the answer counts; it is checked by a program.${problems.some(isChinese) && ' Some problems come in Chinese digits: a second language, so that mixing languages can be seen and cured.'}</p>
<div class="problems">${problems.map((problem, i) => problemPanel(data, problem, i === 0))}</div></section>`;
}

/** Answers by problem, problems in order. */
export function problemsOf(samples: readonly SampleLine[]): ProblemAnswers[] {
  const groups = new Map<string, SampleLine[]>();
  for (const line of samples) {
    const key = `${line.task} ${line.problem}`;
    groups.set(key, [...(groups.get(key) ?? []), line]);
  }
  return [...groups.values()].map(answers => ({
    problem: answers[0]?.problem ?? 0,
    prompt: answers[0]?.prompt ?? '',
    answers,
  }));
}

/**
 * The problems to show: most change first, both alphabets, one failure.
 * @param final the stage whose answer tells whether a problem was learned; the last one when absent
 */
export function chooseProblems(
  problems: readonly ProblemAnswers[],
  final?: string,
  count = SHOWN,
): ProblemAnswers[] {
  const solved = (p: ProblemAnswers) =>
    (p.answers.find(a => a.stage === final) ?? p.answers.at(-1))?.correct ?? false;
  const stages = Math.max(0, ...problems.map(p => p.answers.length));
  const whole = problems.filter(p => p.answers.length === stages);
  const ranked = whole.toSorted((a, b) => interest(b, solved(b)) - interest(a, solved(a)));
  const first = ranked[0];
  const other = first && ranked.find(p => p !== first && isChinese(p) !== isChinese(first));
  const failed = stages > 1 ? whole.find(p => !solved(p)) : undefined;
  const best = new Set([first, other, ...ranked].filter(p => p !== undefined && p !== failed));
  const kept = [...best].slice(0, failed ? count - 1 : count) as ProblemAnswers[]; // undefined was filtered out
  return failed ? [...kept, failed] : kept;
}

const isChinese = (p: ProblemAnswers): boolean => /[〇一二三四五六七八九]/.test(p.prompt);

/** Wrong at first and right in the end is what tells most; then, right from early on. */
const interest = ({ answers }: ProblemAnswers, solved: boolean): number =>
  (answers[0]?.correct ? 0 : 100) + (solved ? 50 : 0) + answers.filter(a => a.correct).length;

function problemPanel(data: ReportData, p: ProblemAnswers, open: boolean): Markup {
  const words = inWords(p);
  const marks = p.answers.map(
    a => html`<i class="${a.correct ? 'yes' : 'no'}" title="${a.stage}">${a.correct ? '✓' : '✗'}</i>`,
  );
  return html`<details class="problem"${open && html` open`}><summary><code>${p.prompt}</code>${words && html`<span class="note">${words}</span>`}<span class="marks">${marks}</span></summary>
<div class="answers">${p.answers.map(line => answerCard(data, line))}</div></details>`;
}

/** A Countdown prompt as a sentence. */
export function inWords(p: ProblemAnswers): string | undefined {
  const match = /^([\d〇一二三四五六七八九 ]+)>([\d〇一二三四五六七八九]+):?$/u.exec(p.prompt.trim());
  if (p.answers[0]?.task !== 'countdown' || !match) return undefined;
  const numbers = (match[1] as string).trim().split(/\s+/);
  return `make ${match[2]} from ${numbers.slice(0, -1).join(', ')} and ${numbers.at(-1)}`;
}

function answerCard(data: ReportData, line: SampleLine): Markup {
  const stage = data.stages.find(s => s.name === line.stage);
  return html`<article class="response ${stage ? kindOf(data, stage) : 'pretrain'}"><h4>${stage?.title ?? line.stage}<span class="verdict ${line.correct ? 'yes' : 'no'}">${line.correct ? '✓ right' : '✗ wrong'}</span></h4>
<p>${styledResponse(line.response)}</p><span class="note">${[...line.response].length} characters</span></article>`;
}

/** The response with its tags as styles: thinking dimmed, attempts kept together, the answer marked. */
export function styledResponse(response: string): Part {
  let inside: 'plain' | 'think' | 'answer' = 'plain';
  return response.split(/(<\/?(?:think|answer)>)/).map(piece => {
    if (/^<\/?(?:think|answer)>$/.test(piece)) {
      inside = piece === '<think>' ? 'think' : piece === '<answer>' ? 'answer' : 'plain';
      return undefined;
    }
    return (
      piece !== '' && html`<span class="${inside}">${inside === 'answer' ? piece : attempts(piece)}</span>`
    );
  });
}

/** Pieces that end in ✓ or ✗, each kept on a line where it fits. */
const attempts = (text: string): Part =>
  text
    .split(/(?<=[✓✗])/u)
    .map(
      piece =>
        html`<span class="try">${piece.replace(/[✓✗]$/u, '')}${/[✓✗]$/u.test(piece) && html`<i class="${piece.endsWith('✓') ? 'yes' : 'no'}">${piece.at(-1)}</i>`}</span>`,
    );
