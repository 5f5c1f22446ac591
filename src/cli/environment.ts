/** What commands share: the disk, the runtime, an opened model with its decoder. */
import { pathToFileURL } from 'node:url';
import {
  type LanguageDecoderOptions,
  type LanguageModel,
  type OpenModelOptions,
  openLanguageModel,
} from '../export/language-model.ts';
import type { Decoder } from '../generate/decoder.ts';
import { nativeRuntime } from '../runtime/native/native.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { nodeFiles } from './node-files.ts';
import { within } from './options.ts';
import type { Output } from './output.ts';

export interface Opened extends Disposable {
  readonly language: LanguageModel;
  readonly decoder: Decoder;
  /** Seconds from the call to a model that can answer. */
  readonly loadSeconds: number;
}

export const openRuntime = (output: Output): Promise<Runtime> => nativeRuntime({ warn: output.warn });

/** Opens `path` for generation. Throws one sentence when it is no model. */
export async function openModel(
  path: string,
  output: Output,
  { dtype, tokenizer, ...options }: LanguageDecoderOptions & OpenModelOptions = {},
): Promise<Opened> {
  const started = performance.now();
  const language = await openLanguageModel(nodeFiles(), path, { dtype, tokenizer });
  const decoder = await language.decoder(await openRuntime(output), options);
  const loadSeconds = (performance.now() - started) / 1000;
  return { language, decoder, loadSeconds, [Symbol.dispose]: () => decoder[Symbol.dispose]() };
}

/** Bytes of memory that this process had in use at most. */
export const peakRssBytes = (): number => process.resourceUsage().maxRSS * 1024;

/** Aborted by the first Ctrl-C; the second ends the process at once. */
export function stopSignal(output: Output): AbortSignal {
  const stop = new AbortController();
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(code);
      output.log('stopping after this step; press Ctrl-C again to stop at once');
      stop.abort();
    });
  }
  return stop.signal;
}

/** Seconds between checkpoints: tests that kill runs set 0. */
export const checkpointSeconds = (): number | undefined =>
  process.env.GASLAW_CHECKPOINT_SECONDS === undefined
    ? undefined
    : within('GASLAW_CHECKPOINT_SECONDS', 0, 1e6)(process.env.GASLAW_CHECKPOINT_SECONDS);

/** Exports of a module on disk. */
export const loadModule = (path: string): Promise<Record<string, unknown>> =>
  import(pathToFileURL(path).href);
