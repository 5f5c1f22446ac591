/** What commands share: the disk, the runtime, an opened model with its decoder. */
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
