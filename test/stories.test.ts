/**
 * A trained llama in llama2.c's format (`stories260K.bin`) against values that another program computed in
 * float64: logits, greedy text and perplexity, as it is and after it went through every other format.
 */
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodeFiles } from '../src/cli/node-files.ts';
import { promptFeeds } from '../src/export/calibration.ts';
import { openLanguageModel } from '../src/export/language-model.ts';
import { int32, modelOf, type Tensor } from '../src/graph/ir.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { ParameterTrace } from '../src/nn/parameters.ts';
import { Builder } from '../src/ops/builder.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Program, Runtime } from '../src/runtime/runtime.ts';
import type { Tokenizer } from '../src/tokenizer/tokenizer.ts';
import { gaslaw, jsonOf } from './gaslaw.ts';
import { HAS_DATA, NEEDS_DATA, shared } from './shared-data.ts';

const stories = shared('stories260K.bin');

interface Reference {
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  /** Of the prompt's last token. */
  readonly logits_last: readonly number[];
  /** The prompt and 64 tokens. */
  readonly greedy_ids: readonly number[];
  readonly greedy_text: string;
  readonly eval: { readonly tokens: number; readonly nll_per_token: number };
}

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-stories-'));
const FORMS: readonly (readonly [name: string, path: string])[] = [
  ['.bin', stories],
  ['safetensors', 'hf'],
  ['safetensors through GGUF', 'hf-of-gguf'],
  ['GGUF', 'm.gguf'],
  ['ONNX', 'onnx'],
];

/** A model as a function from ids to logits [T, V] of all positions. */
interface Scorer {
  readonly tokenizer: Tokenizer;
  logits(ids: readonly number[]): Promise<Float32Array>;
}

async function scorer(runtime: Runtime, path: string): Promise<Scorer> {
  const language = await openLanguageModel(nodeFiles(), resolve(folder, path));
  const { model, tokenizer, store, origin } = language;
  if (!store) {
    const program = await runtime.compile(decodeModel(readFileSync(origin)));
    return { tokenizer, logits: ids => logitsOf(program, promptFeeds(model, ids)) };
  }
  const b = new Builder('forward');
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const inputs = { ids: int('ids'), positions: int('positions') };
  const scope = new ParameterTrace(b, name => store.tensor(name)).scope();
  b.output(model.logits(scope, model.hidden(scope, inputs)), 'logits');
  const program = await runtime.compile(modelOf(b.graph));
  return {
    tokenizer,
    logits: ids =>
      logitsOf(program, {
        ids: int32([1, ids.length], [...ids]),
        positions: int32(
          [1, ids.length],
          ids.map((_, i) => i),
        ),
      }),
  };
}

const logitsOf = async (program: Program, feeds: Record<string, Tensor>): Promise<Float32Array> =>
  (await program.call(feeds)).logits?.data as Float32Array;

/** The fixed text: the first 120 paragraphs of more than 80 characters. */
function fixedText(): string {
  const text = readFileSync(shared('tinystories_niklas6_197k.txt'), 'utf8');
  const paragraphs = text.split('\n\n').map(p => p.trim());
  return paragraphs
    .filter(p => p.length > 80)
    .slice(0, 120)
    .join('\n\n');
}

describe.runIf(HAS_DATA)(`stories260K.bin ${NEEDS_DATA}`, () => {
  const reference: Reference = HAS_DATA
    ? JSON.parse(readFileSync(shared('stories260K.reference.json'), 'utf8'))
    : undefined;
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await nativeRuntime();
    writeFileSync(join(folder, 'fixed.txt'), fixedText());
    const convert = (from: string, to: string, out: string) =>
      jsonOf(gaslaw(folder, ['convert', from, '--to', to, '--out', out, '--json']));
    convert(stories, 'safetensors', 'hf');
    convert(stories, 'gguf', 'm.gguf');
    convert('m.gguf', 'safetensors', 'hf-of-gguf');
    convert('hf', 'onnx', 'onnx');
  }, 120_000);

  it.each(FORMS)('as %s: logits', async (_, path) => {
    const model = await scorer(runtime, path);
    const ids = [...model.tokenizer.encode(reference.prompt, { addSpecial: true })];
    expect(ids).toEqual(reference.prompt_ids);
    const last = (await model.logits(ids)).subarray(-reference.logits_last.length);
    const worst = Math.max(...reference.logits_last.map((x, i) => Math.abs(x - (last[i] as number))));
    expect(worst).toBeLessThan(2e-5);
  });

  it.each(FORMS)('as %s: gaslaw perplexity of the fixed text', (_, path) => {
    const args = ['perplexity', path, '--text', 'fixed.txt', '--documents', '--length', '256', '--json'];
    const score = jsonOf(gaslaw(folder, args)) as {
      tokens: number;
      natsPerToken: number;
      perplexity: number;
    };
    expect(score.tokens).toBe(reference.eval.tokens);
    expect(score.natsPerToken).toBeCloseTo(reference.eval.nll_per_token, 5);
    expect(score.perplexity).toBeCloseTo(4.319, 3);
  });

  it.each(FORMS)('as %s: gaslaw generate answers with the stored text', (_, path) => {
    const args = ['generate', path, '--prompt', reference.prompt, '--temperature', '0', '--max-tokens', '64'];
    const answer = jsonOf(gaslaw(folder, [...args, '--json'])) as { ids: number[]; text: string };
    expect(answer.ids).toEqual(reference.greedy_ids.slice(reference.prompt_ids.length));
    expect(reference.prompt + answer.text).toBe(reference.greedy_text.replaceAll('<0x0A>', '\n'));
  });

  it('a tokenizer that does not lie beside it is named', () => {
    copyFileSync(stories, join(folder, 'alone.bin'));
    const args = ['quantize', 'alone.bin', '--dtype', 'q8_0', '--out', 'alone.gguf', '--json'];
    expect(gaslaw(folder, args).stderr).toMatch(
      /neither tok512\.bin nor tokenizer\.bin beside it; give its tokenizer \(--tokenizer\)/,
    );
    jsonOf(gaslaw(folder, [...args, '--tokenizer', shared('tok512.bin')]));
  });

  it.each(['.bin', 'safetensors', 'GGUF'])('as %s: gaslaw inspect counts 260,032 parameters', name => {
    const path = FORMS.find(([form]) => form === name)?.[1] as string;
    expect(jsonOf(gaslaw(folder, ['inspect', path, '--json']))).toMatchObject({
      parameters: 260_032,
      kvElementsPerToken: 2 * 4 * 8 * 5,
      context: 512,
    });
  });
});
