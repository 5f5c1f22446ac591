/**
 * How often a module's draft is the token that the model itself would have said next, and what that gives.
 *
 * 1. The model answers greedily to beginnings of held-out text. The module then sees the model's hidden states and the
 *    tokens after them, as it would while drafting, and names the token after the next.
 * 2. `acceptance` is the share of its names that are what the model said. `tokensPerStep` counts along the answer: a step
 *    yields the model's own token, and the draft as well where it was accepted.
 */
import { Decoder } from '../../src/generate/decoder.ts';
import { Engine } from '../../src/generate/engine.ts';
import { int32, modelOf, type Tensor } from '../../src/graph/ir.ts';
import type { CausalModel } from '../../src/models/model.ts';
import { type ParameterStore, ParameterTrace } from '../../src/nn/parameters.ts';
import { Builder } from '../../src/ops/builder.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';

const [ANSWERS, PROMPT] = [64, 16];

export async function acceptance(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  text: Int32Array,
): Promise<{ acceptance: number; tokensPerStep: number }> {
  const rows = await answers(runtime, model, store, text);
  const length = Math.min(...rows.map(row => row.length)) - 1;
  const named = await drafts(
    runtime,
    model,
    store,
    rows.map(row => row.slice(0, length + 1)),
    length,
  );
  let [right, asked, tokens, steps] = [0, 0, 0, 0];
  rows.forEach((row, r) => {
    // the draft made at place i, when token i + 1 is known, is of token i + 2
    const hit = (i: number) => named[r * length + i] === row[i + 2];
    for (let i = PROMPT - 1; i + 2 <= length; i++) {
      asked++;
      if (hit(i)) right++;
    }
    for (let i = PROMPT - 1; i + 2 <= length; steps++) {
      const yields = hit(i) ? 2 : 1;
      tokens += yields;
      i += yields;
    }
  });
  return { acceptance: right / asked, tokensPerStep: tokens / steps };
}

/** Prompts with their greedy answers. */
async function answers(runtime: Runtime, model: CausalModel, store: ParameterStore, text: Int32Array) {
  const stride = Math.floor((text.length - PROMPT) / ANSWERS);
  const prompts = Array.from({ length: ANSWERS }, (_, i) => [
    ...text.subarray(i * stride, i * stride + PROMPT),
  ]);
  using decoder = await Decoder.create(runtime, model, store);
  using engine = new Engine(decoder, { slots: 32, capacity: model.maxPositions });
  const requests = prompts.map(prompt => ({
    prompt,
    maxTokens: model.maxPositions - PROMPT,
    temperature: 0,
    seed: 1,
  }));
  const made = await engine.generate(requests);
  const whole = made.map(({ ids }, i) => [...(prompts[i] as number[]), ...ids]);
  return whole.filter(row => row.length >= model.maxPositions - 1);
}

/** The module's most likely token at each place [rows · length]. */
async function drafts(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  rows: readonly (readonly number[])[],
  length: number,
): Promise<Int32Array> {
  const b = new Builder('drafts');
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const scope = new ParameterTrace(b).scope();
  const form = model.training?.(scope, {
    ids: int('ids'),
    positions: int('positions'),
    targets: int('targets'),
  });
  if (!form?.ahead) throw new Error('the model has no module that predicts further');
  b.output(
    b.op('ArgMax', [model.logits(scope, form.ahead)], { axis: -1, keepdims: 0 }).cast('int32'),
    'drafts',
  );
  using program = await runtime.compile(modelOf(b.graph));
  const table = (value: (row: readonly number[], i: number) => number) =>
    int32(
      [rows.length, length],
      rows.flatMap(row => Array.from({ length }, (_, i) => value(row, i))),
    );
  const feeds: Record<string, Tensor> = {
    ids: table((row, i) => row[i] as number),
    targets: table((row, i) => row[i + 1] as number),
    positions: table((_, i) => i),
  };
  const weights = program.inputs
    .filter(({ name }) => !(name in feeds))
    .map(({ name }) => [name, store.tensor(name)] as const);
  const out = await program.call({ ...feeds, ...Object.fromEntries(weights) }, ['drafts']);
  return (out.drafts as Tensor).data as Int32Array;
}
