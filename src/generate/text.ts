/**
 * Text in, text out: encoding, stop strings, streaming.
 *
 * 1. Text is streamed as soon as it is certain: bytes that end inside a character wait for the rest of it, and what
 *    might be the beginning of a stop string waits until it is not.
 * 2. A stop string ends the answer and is left out of it. Control tokens (end, padding) are no text.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { UsageError } from '../util/errors.ts';
import type { Completion, Engine } from './engine.ts';
import type { SamplingOptions } from './sampling.ts';

export interface TextOptions extends SamplingOptions {
  readonly maxTokens: number;
  readonly seed: number;
  /** Strings that end the answer. */
  readonly stop?: readonly string[];
  /** Told each new piece of text. */
  readonly onText?: (piece: string) => void;
  readonly signal?: AbortSignal;
}

export interface GeneratedText {
  readonly promptIds: readonly number[];
  readonly ids: readonly number[];
  readonly text: string;
  readonly finishReason: Completion['finishReason'];
  readonly seconds: number;
  /** Tokens of the answer in all of that time, reading the prompt included. */
  readonly tokensPerSecond: number;
}

/** Answers one prompt. Throws one sentence when the prompt is empty, too long, or has characters without a token. */
export async function generateText(
  engine: Engine,
  tokenizer: Tokenizer,
  prompt: string,
  options: TextOptions,
): Promise<GeneratedText> {
  const { stop = [], onText = () => {}, ...request } = options;
  if (stop.includes('')) throw new UsageError('a stop string is empty; leave it out');
  const promptIds = tokenizer.encode(prompt, { addSpecial: true });
  const stream = new TextStream(tokenizer, stop, onText);
  const started = performance.now();
  const completion = await engine.submit({
    ...request,
    prompt: promptIds,
    stopIds: [tokenizer.eos],
    stopWhen: ids => stream.add(ids),
  });
  const seconds = (performance.now() - started) / 1000;
  const { ids, finishReason } = completion;
  const text = stream.finish(ids);
  return { promptIds, ids, text, finishReason, seconds, tokensPerSecond: ids.length / seconds };
}

/** Turns a growing list of ids into pieces of text. */
export class TextStream {
  readonly #tokenizer: Tokenizer;
  readonly #stop: readonly string[];
  readonly #onText: (piece: string) => void;
  #told = 0;
  #stopped: number | undefined;

  constructor(tokenizer: Tokenizer, stop: readonly string[], onText: (piece: string) => void) {
    this.#tokenizer = tokenizer;
    this.#stop = stop;
    this.#onText = onText;
  }

  /** Takes all ids so far; true when a stop string has appeared. */
  add(ids: readonly number[]): boolean {
    const text = this.#decode(ids);
    this.#stopped = firstStop(text, this.#stop);
    this.#tell(text, this.#stopped ?? certainLength(text, this.#stop));
    return this.#stopped !== undefined;
  }

  /** The whole text; tells what was held back. */
  finish(ids: readonly number[]): string {
    const text = this.#decode(ids);
    const end = this.#stopped ?? text.length;
    this.#tell(text, end);
    return text.slice(0, end);
  }

  #decode(ids: readonly number[]): string {
    return this.#tokenizer.decode(ids, { skipControl: true });
  }

  #tell(text: string, end: number): void {
    if (end <= this.#told) return;
    this.#onText(text.slice(this.#told, end));
    this.#told = end;
  }
}

function firstStop(text: string, stops: readonly string[]): number | undefined {
  const places = stops.map(stop => text.indexOf(stop)).filter(at => at >= 0);
  return places.length > 0 ? Math.min(...places) : undefined;
}

/** How much of `text` later tokens cannot change: all but a broken character or the beginning of a stop string at its end. */
function certainLength(text: string, stops: readonly string[]): number {
  const whole = text.replace(/\uFFFD+$/, '').length;
  const held = stops.map(stop => longestBeginning(text.slice(0, whole), stop));
  return whole - Math.max(0, ...held);
}

/** Length of the longest beginning of `stop` that `text` ends with. */
function longestBeginning(text: string, stop: string): number {
  for (let n = Math.min(stop.length - 1, text.length); n > 0; n--)
    if (text.endsWith(stop.slice(0, n))) return n;
  return 0;
}
