/**
 * How many of the tokens that a module drafts are those that the model itself says next, and what that gives: the engine
 * answers greedily to beginnings of held-out text, one request at a time, one token drafted a step.
 */
import { Decoder } from '../../src/generate/decoder.ts';
import { Engine } from '../../src/generate/engine.ts';
import { draftFigures } from '../../src/generate/open.ts';
import type { CausalModel } from '../../src/models/model.ts';
import type { ParameterStore } from '../../src/nn/parameters.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';

const [ANSWERS, PROMPT] = [64, 16];

export async function acceptance(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  text: Int32Array,
): Promise<{ acceptance: number; tokensPerStep: number }> {
  const stride = Math.floor((text.length - PROMPT) / ANSWERS);
  using decoder = await Decoder.create(runtime, model, store, { ahead: true });
  using engine = new Engine(decoder, { slots: 1, capacity: model.maxPositions });
  for (let i = 0; i < ANSWERS; i++) {
    const prompt = [...text.subarray(i * stride, i * stride + PROMPT)];
    await engine.submit({ prompt, maxTokens: model.maxPositions - PROMPT, temperature: 0, seed: 1 });
  }
  const { acceptance, tokensPerStep } = draftFigures(engine);
  return { acceptance, tokensPerStep };
}
