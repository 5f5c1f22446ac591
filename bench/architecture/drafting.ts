/**
 * How many of the tokens that a module drafts are those that the model itself says next, and what that gives: the engine
 * answers greedily to beginnings of held-out text, one request at a time, one token drafted a step. Without drafts it answers
 * by turns with that; `draftSpeedup` is the time without over the time with.
 */
import { Decoder } from '../../src/generate/decoder.ts';
import { Engine } from '../../src/generate/engine.ts';
import { draftFigures } from '../../src/generate/open.ts';
import type { CausalModel } from '../../src/models/model.ts';
import type { ParameterStore } from '../../src/nn/parameters.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';

const [ANSWERS, PROMPT] = [64, 16];

export interface Drafts {
  readonly acceptance: number;
  readonly tokensPerStep: number;
  readonly draftSpeedup: number;
}

export async function acceptance(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  text: Int32Array,
): Promise<Drafts> {
  const stride = Math.floor((text.length - PROMPT) / ANSWERS);
  using withModule = await Decoder.create(runtime, model, store, { ahead: true, prepacked: true });
  using without = await Decoder.create(runtime, model, store, { prepacked: true });
  using drafting = new Engine(withModule, { slots: 1, capacity: model.maxPositions });
  using plain = new Engine(without, { slots: 1, capacity: model.maxPositions });
  const times = new Map([drafting, plain].map(engine => [engine, 0]));
  for (let i = 0; i < ANSWERS; i++) {
    const prompt = [...text.subarray(i * stride, i * stride + PROMPT)];
    for (const engine of times.keys()) {
      const started = performance.now();
      await engine.submit({ prompt, maxTokens: model.maxPositions - PROMPT, temperature: 0, seed: 1 });
      times.set(engine, (times.get(engine) as number) + performance.now() - started);
    }
  }
  const { acceptance, tokensPerStep } = draftFigures(drafting);
  const draftSpeedup = (times.get(plain) as number) / (times.get(drafting) as number);
  return { acceptance, tokensPerStep, draftSpeedup };
}
