/** Published models from their configuration alone: parameters as transformers counts them, cache and FLOPs in closed form. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as deepseek from './deepseek/index.ts';
import * as dense from './dense/index.ts';
import * as gemma3 from './gemma3/index.ts';
import { modelFromConfig } from './index.ts';
import { inspectConfig } from './inspect.ts';
import * as qwen3Moe from './qwen3-moe/index.ts';

interface Published {
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly parameters: number;
}

const published: Published[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../bench/peers/fixtures/published.json'), 'utf8'),
);
const named = (name: string) => published.find(p => p.name === name) as Published;
const inspect = (name: string) => inspectConfig(named(name).config, 'config.json');

function closedForm(config: Record<string, unknown>): number {
  const type = String(config.model_type);
  if (type.startsWith('gemma3')) return gemma3.gemma3ParameterCount(gemma3.fromHuggingFace(config, 'x'));
  if (type === 'qwen3_moe') return qwen3Moe.qwen3MoeParameters(qwen3Moe.fromHuggingFace(config, 'x')).total;
  if (type.startsWith('deepseek'))
    return deepseek.deepseekParameters(deepseek.fromHuggingFace(config, 'x')).total;
  return dense.denseParameterCount(dense.fromHuggingFace(config, 'x'));
}

describe.each(published)('$name', ({ config, parameters }) => {
  it('has as many parameters as published', () => {
    expect(closedForm(config)).toBe(parameters);
    expect(inspectConfig(config, 'config.json').parameters).toBe(parameters);
  });
});

it('untied, Qwen3-0.6B would have 155,582,464 more', () => {
  const config = { ...named('Qwen3-0.6B').config, tie_word_embeddings: false };
  expect(dense.denseParameterCount(dense.fromHuggingFace(config, 'config.json'))).toBe(751_632_384);
});

it.each([
  ['Llama-3.2-1B', 2 * 16 * 8 * 64],
  ['deepseek-llm-67b-base', 194_560],
  ['Qwen2.5-0.5B', 2 * 24 * 2 * 64],
  ['gemma-3-1b', 2 * 26 * 256],
  ['DeepSeek-V2-Lite', 15_552],
  ['DeepSeek-V2', 34_560],
  ['DeepSeek-V3', 35_136],
])('%s keeps %d cache elements a token', (name, elements) => {
  expect(inspect(name).kvElementsPerToken).toBe(elements);
});

it.each([
  ['DeepSeek-V2-Lite', '15.706', '2.66'],
  ['DeepSeek-V2', '235.74', '21.38'],
  ['DeepSeek-V3', '671.03', '37.55'],
  ['Qwen3-30B-A3B', '30.53', '3.35'],
  ['Qwen3-235B-A22B', '235.09', '22.19'],
])('%s has %sB parameters, of which a token reads %sB', (name, total, active) => {
  const { parameters, activeParameters } = inspect(name);
  expect((parameters / 1e9).toFixed(total.split('.')[1]?.length)).toBe(total);
  expect(((activeParameters as number) / 1e9).toFixed(2)).toBe(active);
});

describe('FLOPs a token', () => {
  it('are 250.5 billion for a token that DeepSeek-V3 is trained on', () => {
    expect((inspect('DeepSeek-V3').trainingFlopsPerToken as number) / 1e9).toBeCloseTo(250.5, 1);
    expect((inspect('DeepSeek-V2').trainingFlopsPerToken as number) / 1e9).toBeCloseTo(155.3, 1);
  });

  it('are 2 a multiplied weight and 4 · layers · heads · width · keys', () => {
    const { forwardFlopsPerToken, trainingFlopsPerToken } = inspect('Llama-2-7b');
    const products = 2 * (6_738_415_616 - 32_000 * 4096);
    expect(forwardFlopsPerToken).toBe(products + 4 * 32 * 4096 * 2048);
    expect(trainingFlopsPerToken).toBe(3 * (forwardFlopsPerToken as number));
  });

  it('grow in sliding layers no further than their window', () => {
    const model = modelFromConfig(named('gemma-3-1b').config, 'config.json');
    const perKey = 4 * 4 * 256;
    const [four, two] = [model.forwardFlops(4096), model.forwardFlops(2048)];
    // 4 of 26 layers see everything; the 22 others see 512 keys but for the ramp at the beginning of a row
    const ramp = (context: number) => 512 ** 2 / (4 * context);
    const sliding = 22 * (ramp(2048) - ramp(4096));
    expect(four - two).toBeCloseTo(perKey * (4 * 2048 + sliding), 0);
  });
});
