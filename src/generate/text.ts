/**
 * Text in, text out: encoding, stop strings, streaming.
 *
 * 1. Text is streamed as soon as it is certain: bytes that end inside a character wait for the rest of it, and what
 *    might be the beginning of a stop string waits until it is not.
 * 2. A conversation is put as the tokenizer's chat template has it, which has its begin token in it.
 * 3. A stop string ends the answer and is left out of it. Control tokens (end, padding) are no text.
 */
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import { DecodeStream } from '../tokenizer/stream.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { UsageError } from '../util/errors.ts';
import type { Completion, Engine } from './engine.ts';
import type { SamplingOptions } from './sampling.ts';

export interface TextOptions extends SamplingOptions {
  readonly maxTokens: number;
  readonly seed: number;
  /** Ids that end the answer (default: the tokenizer's). */
  readonly stopIds?: readonly number[];
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

/** Answers a prompt, or the last turn of a conversation. Throws one sentence when the prompt is empty, too long, or has characters without a token. */
export async function generateText(
  engine: Pick<Engine, 'submit'>,
  tokenizer: Tokenizer,
  prompt: string | readonly ChatMessage[],
  options: TextOptions,
): Promise<GeneratedText> {
  const { stop = [], onText = () => {}, ...request } = options;
  if (stop.includes('')) throw new UsageError('a stop string is empty; leave it out');
  const promptIds = promptIdsOf(tokenizer, prompt);
  const stream = new TextStream(tokenizer, stop, onText);
  const started = performance.now();
  const completion = await engine.submit({
    stopIds: [tokenizer.eos],
    ...request,
    prompt: promptIds,
    stopWhen: ids => stream.add(ids),
  });
  const seconds = (performance.now() - started) / 1000;
  const { ids, finishReason } = completion;
  const text = stream.finish(ids);
  return { promptIds, ids, text, finishReason, seconds, tokensPerSecond: ids.length / seconds };
}

function promptIdsOf(tokenizer: Tokenizer, prompt: string | readonly ChatMessage[]): number[] {
  if (typeof prompt === 'string') return tokenizer.encode(prompt, { addSpecial: true });
  if (!tokenizer.chat)
    throw new UsageError(
      'this model has no chat template; give it a prompt as text, or a model trained to chat',
    );
  return tokenizer.encode(tokenizer.chat.render(prompt));
}

/** Turns a growing list of ids into pieces of text. */
export class TextStream {
  readonly #decoder: DecodeStream;
  readonly #stop: readonly string[];
  readonly #onText: (piece: string) => void;
  /** Decoded so far, without characters that are not whole. */
  #text = '';
  #ids = 0;
  #told = 0;
  #stopped: number | undefined;

  constructor(tokenizer: Tokenizer, stop: readonly string[], onText: (piece: string) => void) {
    this.#decoder = new DecodeStream(tokenizer, { skipControl: true });
    this.#stop = stop;
    this.#onText = onText;
  }

  /** Takes all ids so far; true when a stop string has appeared. */
  add(ids: readonly number[]): boolean {
    while (this.#ids < ids.length) this.#take(this.#decoder.push(ids[this.#ids++]!));
    this.#tell(this.#stopped ?? certainLength(this.#text, this.#stop));
    return this.#stopped !== undefined;
  }

  /** The whole text; tells what was held back. */
  finish(ids: readonly number[]): string {
    this.add(ids);
    this.#take(this.#decoder.finish());
    const end = this.#stopped ?? this.#text.length;
    this.#tell(end);
    return this.#text.slice(0, end);
  }

  #take(piece: string): void {
    const from = Math.max(0, this.#text.length - Math.max(0, ...this.#stop.map(stop => stop.length - 1)));
    this.#text += piece;
    this.#stopped ??= firstStop(this.#text, from, this.#stop);
  }

  #tell(end: number): void {
    if (end <= this.#told) return;
    this.#onText(this.#text.slice(this.#told, end));
    this.#told = end;
  }
}

function firstStop(text: string, from: number, stops: readonly string[]): number | undefined {
  const places = stops.map(stop => text.indexOf(stop, from)).filter(at => at >= 0);
  return places.length > 0 ? Math.min(...places) : undefined;
}

/** How much of `text` later tokens cannot change: all but the beginning of a stop string at its end. */
const certainLength = (text: string, stops: readonly string[]): number =>
  text.length - Math.max(0, ...stops.map(stop => longestBeginning(text, stop)));

/** Length of the longest beginning of `stop` that `text` ends with. */
function longestBeginning(text: string, stop: string): number {
  for (let n = Math.min(stop.length - 1, text.length); n > 0; n--)
    if (text.endsWith(stop.slice(0, n))) return n;
  return 0;
}
