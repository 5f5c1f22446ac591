/**
 * The form of every response: `<think>reasoning</think><answer>result</answer>`, then end of sequence.
 *
 * 1. Only the last complete answer counts, and only outside the reasoning. A closing `</think>` that was never
 *    opened means the prompt had opened it, so what came before it was reasoning too.
 * 2. One pass over the tags: linear time, no recursion, never throws.
 * 3. The format score is graded (a fifth for each tag that occurs exactly once, a fifth for the exact form), because
 *    an all-or-nothing format reward stays at 0 for a model that has not met the form yet.
 * 4. The R1 template is the published one (DeepSeek-R1, table 1), for models that follow instructions.
 */
export const TAGS = ['<think>', '</think>', '<answer>', '</answer>'] as const;

type Tag = (typeof TAGS)[number];

const TAG = /<\/?(?:think|answer)>/g;
const EXACT_ORDER = TAGS.join('');

export interface ParsedResponse {
  /** Content of the last complete answer outside the reasoning, trimmed; absent when there is none. */
  readonly answer?: string;
  /** Text of the last reasoning block, closed or not; empty when there is none. */
  readonly think: string;
  /** Everything outside the reasoning, tags removed. */
  readonly visible: string;
  /** Graded form, 0 to 1. */
  readonly format: number;
}

class Scanner {
  answer: string | undefined;
  think = '';
  visible = '';
  #inside = false;
  #answerStart = -1;
  #last = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  tag(tag: Tag, at: number): void {
    this.#flush(at);
    this.#last = at + tag.length;
    if (tag === '<think>') this.#open();
    else if (tag === '</think>') this.#close();
    else if (tag === '<answer>') this.#answerStart = this.#inside ? -1 : this.#last;
    else this.#finishAnswer(at);
  }

  end(): void {
    this.#flush(this.#text.length);
  }

  #flush(end: number): void {
    const piece = this.#text.slice(this.#last, end);
    if (this.#inside) this.think += piece;
    else this.visible += piece;
  }

  #open(): void {
    if (!this.#inside) this.think = '';
    this.#inside = true;
    this.#answerStart = -1;
  }

  #close(): void {
    if (!this.#inside) {
      this.think = this.visible;
      this.visible = '';
      this.answer = undefined;
    }
    this.#inside = false;
    this.#answerStart = -1;
  }

  #finishAnswer(end: number): void {
    if (this.#answerStart >= 0) this.answer = this.#text.slice(this.#answerStart, end).trim();
    this.#answerStart = -1;
  }
}

/** Takes a response apart. For a prompt that ends in `<think>` pass the response as it is, or with the tag in front. */
export function parseResponse(text: string): ParsedResponse {
  const scanner = new Scanner(text);
  const tags: Tag[] = [];
  for (const match of text.matchAll(TAG)) {
    const tag = match[0] as Tag; // the pattern matches the four tags only
    tags.push(tag);
    scanner.tag(tag, match.index);
  }
  scanner.end();
  const { answer, think, visible } = scanner;
  return { answer, think, visible, format: formatScore(text, tags) };
}

function formatScore(text: string, tags: readonly Tag[]): number {
  const once = TAGS.filter(tag => tags.indexOf(tag) >= 0 && tags.indexOf(tag) === tags.lastIndexOf(tag));
  const exact = tags.length === 4 && tags.join('') === EXACT_ORDER && nothingOutside(text);
  return (once.length + (exact ? 1 : 0)) / 5;
}

function nothingOutside(text: string): boolean {
  const trimmed = text.trim();
  const between = trimmed.slice(trimmed.indexOf('</think>') + 8, trimmed.indexOf('<answer>'));
  return trimmed.startsWith('<think>') && trimmed.endsWith('</answer>') && between.trim() === '';
}

/** A response in the wanted form. */
export function formatResponse(think: string, answer: string): string {
  return `<think>${think}</think><answer>${answer}</answer>`;
}

/** The published R1 prompt around a question in words, with a full stop where the question has no end. */
export function r1Template(question: string): string {
  return (
    'A conversation between User and Assistant. The user asks a question, and the Assistant solves it. ' +
    'The assistant first thinks about the reasoning process in the mind and then provides the user with the answer. ' +
    'The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, ' +
    'i.e., <think> reasoning process here </think> <answer> answer here </answer>. ' +
    `User: ${question}${/[.?!]$/.test(question) ? '' : '.'} Assistant:`
  );
}
