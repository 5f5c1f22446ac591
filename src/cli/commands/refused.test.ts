/** Options that would do nothing are refused by name, before anything is read or written. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeTinyModel } from '../../../test/gaslaw.ts';
import { modelOf } from '../../graph/ir.ts';
import { encodeModel } from '../../graph/protobuf.ts';
import { Builder } from '../../ops/builder.ts';
import { benchCommand } from './bench.ts';
import { compressCommand } from './compress.ts';
import { convertCommand } from './convert.ts';
import { evalCommand } from './eval.ts';
import { pruneCommand } from './prune.ts';
import { quantizeCommand } from './quantize.ts';

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-refused-'));
const [graph, language, out] = ['g.onnx', 'lm', 'out'].map(name => join(folder, name)) as [
  string,
  string,
  string,
];
const run = (command: Command, model: string, ...args: string[]) =>
  command.exitOverride().parseAsync([model, ...args], { from: 'user' });

beforeAll(async () => {
  const b = new Builder('g');
  b.output(b.input('x', 'float32', ['batch', 2]).sigmoid(), 'y');
  writeFileSync(graph, encodeModel(modelOf(b.graph)));
  await writeTinyModel(language, 'abc');
});

const OF_INTEGERS: string[][] = [
  ['rounding', 'output'],
  ['bias-correction'],
  ['equalize'],
  ['average-bits', '5'],
  ['train', '1'],
  ['augment', 'flip'],
  ['per-tensor'],
  ['symmetric'],
  ['power-of-two'],
  ['input-range', '0,1'],
  ['samples', '9'],
  ['seed', '2'],
];

describe('quantize', () => {
  const quantize = (model: string, dtype: string, [name, ...value]: readonly string[], ...more: string[]) =>
    run(quantizeCommand(), model, '--dtype', dtype, '--out', out, `--${name}`, ...value, ...more);

  it.each([...OF_INTEGERS, ['device', 'stm32n6'], ['eval', 'e'], ['dim', 'n=1']])(
    'of a language model without --%s',
    async (...option: string[]) => {
      await expect(quantize(language, 'int8', option)).rejects.toThrow(
        `--${option[0]}: ${language} is a language model`,
      );
    },
  );

  it.each([...OF_INTEGERS, ['method', 'mse']])('to float16 without --%s', async (...option: string[]) => {
    await expect(quantize(graph, 'float16', option)).rejects.toThrow(
      `--${option[0]}: float16 rounds each weight by itself`,
    );
  });

  it.each([
    [['tokenizer', 't.bin'], '--tokenizer: '],
    [['augment', 'flip'], '--augment: this is about training'],
    [['input-range', '0,1', '--data', 'd'], '--input-range: ranges come from --data'],
    [['dim', 'batch=2', '--data', 'd'], '--dim: the data have sizes'],
    [['dim', 'rows=2'], 'the model has no dimension "rows"; it has batch'],
    [['augment', 'twist'], '--augment is "twist"; it must be one of crop, flip'],
  ])('of a graph: %j', async (option, message) => {
    await expect(async () => quantize(graph, 'int8', option)).rejects.toThrow(message);
  });

  it('of what has a tokenizer of its own', async () => {
    await expect(quantize(language, 'int8', ['tokenizer', 't.bin'])).rejects.toThrow(
      `${language} has a tokenizer of its own; t.bin is for llama2.c files`,
    );
  });
});

describe('prune', () => {
  const prune = (model: string, ...args: string[]) => run(pruneCommand(), model, '--out', out, ...args);

  it.each([
    [['--sparsity', '2:4', '--align', '8'], '--align: this is about channels'],
    [['--layers', '1', '--importance', 'taylor'], '--importance: this is about channels'],
    [['--layers', '1', '--device', 'stm32n6'], '--device: layers are the same'],
    [['--keep', '0.5', '--samples', '8'], '--samples: this is about examples; give --data'],
    [['--keep', '0.5', '--augment', 'flip'], '--augment: this is about recovery'],
    [['--keep', '0.5', '--method', 'wanda'], '--method: this chooses zeros'],
    [['--keep', '0.5', '--tokenizer', 't'], '--tokenizer: '],
  ])('of a graph: %j', async (args, message) => {
    await expect(prune(graph, ...args)).rejects.toThrow(message);
  });

  it.each([
    [['--layers', '1', '--align', '8'], '--align: this is about channels; give --keep'],
    [['--layers', '1', '--seed', '3'], '--seed: this is about recovery'],
    [['--layers', '1', '--ranking', 'uniform'], '--ranking: '],
    [['--layers', '1', '--tokenizer', 't.bin'], 'a tokenizer of its own'],
  ])('of a language model: %j', async (args, message) => {
    await expect(prune(language, '--data', 't', ...args)).rejects.toThrow(message);
  });
});

describe('compress', () => {
  it.each([
    ['max-latency', '1'],
    ['eval', 'e'],
    ['epochs', '2'],
    ['seed', '3'],
    ['dim', 'n=1'],
    ['constant', 'n=1'],
  ])('of a language model without --%s', async (name, value) => {
    const args = ['--device', 'cpu-x86-vnni', '--out', out, `--${name}`, value];
    await expect(run(compressCommand(), language, ...args)).rejects.toThrow(`--${name}: `);
  });
});

it.each([
  [convertCommand, graph, ['--to', 'c-array', '--out', out, '--imatrix', 'i'], '--imatrix: '],
  [convertCommand, graph, ['--to', 'c-array', '--out', out, '--dtype', 'f16'], '--dtype: '],
  [convertCommand, language, ['--to', 'onnx', '--out', out, '--imatrix', 'i'], '--imatrix: '],
  [benchCommand, graph, ['--draft', '3'], '--draft: '],
  [benchCommand, graph, ['--new-tokens', '3'], '--new-tokens: '],
  [benchCommand, language, ['--dim', 'a=1'], '--dim: '],
  [evalCommand, language, ['--task', 'countdown', '--data', 'd'], '--data: countdown makes its problems'],
])('%o of %s with %j', async (make, model, args, message) => {
  await expect(run(make(), model, ...args)).rejects.toThrow(message);
});
