/** A DeepSeek model with the module that predicts one token further, trained for seconds on text that is easy to guess. */
import { randomWindows } from '../src/data/windows.ts';
import { type DeepseekTraining, deepseekConfig, deepseekModel } from '../src/models/deepseek/index.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { CharacterTokenizer } from '../src/tokenizer/character.ts';
import { languageModelTraining } from '../src/train/language-model.ts';
import { Random } from '../src/util/random.ts';

export const tokenizer = CharacterTokenizer.fromAlphabet('abcdefgh ');
const text = Int32Array.from(tokenizer.encode('abc abd abe hgf hge hgd '.repeat(40)));
export const config = deepseekConfig({
  vocabSize: tokenizer.vocabSize,
  hiddenSize: 32,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  maxPositionEmbeddings: 32,
  nRoutedExperts: 8,
  numExpertsPerTok: 2,
  numNextnPredictLayers: 1,
  eosTokenId: tokenizer.eos,
});

export async function trained(runtime: Runtime, training: DeepseekTraining, steps = 40) {
  const model = deepseekModel(config, training);
  const store = new ParameterStore(model.parameters).initialize(new Random(3));
  const windows = randomWindows(text, { rows: 4, length: 24 }, 5);
  using stage = await languageModelTraining(runtime, model, store, {
    data: { next: i => [windows(2 * i), windows(2 * i + 1)] },
    schedule: { kind: 'constant', rate: 0.01 },
    optimizer: { kind: 'adamw' },
    packed: false,
  });
  const metrics: Record<string, number>[] = [];
  for (let i = 0; i < steps; i++) metrics.push(await stage.step(i));
  return {
    model,
    store,
    first: metrics[0] as Record<string, number>,
    last: metrics.at(-1) as Record<string, number>,
  };
}
