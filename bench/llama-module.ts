/** What is used of node-llama-cpp, which is installed in a folder of its own. */
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface LlamaModule {
  getLlama(options: object): Promise<Llama>;
}
export interface Llama {
  loadModel(options: object): Promise<LlamaModel>;
}
export interface LlamaModel {
  createContext(options: object): Promise<{ getSequence(): LlamaSequence; dispose(): Promise<void> }>;
  tokenize(text: string, specialTokens?: boolean): number[];
  dispose(): Promise<void>;
}
export interface LlamaSequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: number[], options: object): AsyncIterable<number>;
  /** What is asked for after each token. */
  controlledEvaluate(
    input: readonly (readonly [id: number, options: object])[],
  ): Promise<{ readonly next: { readonly probabilities: ReadonlyMap<number, number> } }[]>;
}

/** llama.cpp on the processor. */
export async function openLlama(folder: string): Promise<Llama> {
  const entry = createRequire(join(resolve(folder), 'package.json')).resolve('node-llama-cpp');
  const { getLlama } = (await import(pathToFileURL(entry).href)) as LlamaModule;
  return getLlama({ build: 'never', gpu: false, logLevel: 'error' });
}
