/** `gaslaw convert`: a model written for another program answers as before. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { gaslaw, jsonOf, writeTinyModel } from './gaslaw.ts';

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-convert-'));
beforeAll(() => writeTinyModel(join(folder, 'tiny'), 'abcdefgh'));

const convert = (from: string, ...args: string[]) =>
  jsonOf(gaslaw(folder, ['convert', from, ...args, '--json'])) as { bytesBefore: number; bytesAfter: number };

const ids = (model: string): number[] => {
  const args = ['generate', model, '--prompt', 'abc', '--max-tokens', '12', '--temperature', '0', '--json'];
  return (jsonOf(gaslaw(folder, args)) as { ids: number[] }).ids;
};

describe('gaslaw convert', () => {
  it('to GGUF and on from there', () => {
    const want = ids('tiny');
    convert('tiny', '--to', 'gguf', '--out', 'out/tiny.gguf');
    expect(ids('out/tiny.gguf')).toEqual(want);
    convert('out/tiny.gguf', '--to', 'safetensors', '--out', 'back');
    expect(ids('back')).toEqual(want);
    const inspected = jsonOf(gaslaw(folder, ['inspect', 'out/tiny.gguf', '--json'])) as {
      parameters: number;
    };
    const original = jsonOf(gaslaw(folder, ['inspect', 'tiny', '--json'])) as { parameters: number };
    expect(inspected.parameters).toBe(original.parameters);
  });

  it('to fewer bytes', () => {
    const full = convert('tiny', '--to', 'gguf', '--out', 'q/full.gguf').bytesAfter;
    const small = convert('tiny', '--to', 'gguf', '--dtype', 'q8_0', '--out', 'q/small.gguf').bytesAfter;
    expect(small).toBeLessThan(0.9 * full);
    expect(ids('q/small.gguf').length).toBeGreaterThan(0);
  });

  it('tells what is stored otherwise than asked, and inspect what is there', () => {
    const args = ['convert', 'tiny', '--to', 'gguf', '--dtype', 'q8_0', '--out', 'q/told.gguf', '--json'];
    const ended = gaslaw(folder, args);
    expect(ended.stderr).toMatch(
      /^warning: \d+ of \d+ tensors in F16, not Q8_0: rows of 16 are no multiple of 32\n$/,
    );
    const { fallbacks } = jsonOf(ended) as { fallbacks: { type: string; tensors: number; of: number }[] };
    const { types } = jsonOf(gaslaw(folder, ['inspect', 'q/told.gguf', '--json'])) as {
      types: Record<string, number>;
    };
    expect(types.F16).toBe(fallbacks[0]?.tensors);
    expect(Object.values(types).reduce((a, b) => a + b, 0)).toBe(fallbacks[0]?.of);
  });

  it('to ONNX', () => {
    convert('tiny', '--to', 'transformersjs', '--dtype', 'f32', '--out', 'js');
    expect(ids('js')).toEqual(ids('tiny'));
  });

  it.each([
    [['--to', 'gguf', '--out', 'x'], /--out x: name a .gguf file/],
    [['--to', 'gguf', '--dtype', 'q9', '--out', 'x.gguf'], /--dtype for gguf is "q9"; it must be one of f32/],
    [['--to', 'onnx', '--out', 'x.onnx'], /--out x.onnx: name a folder for --to onnx/],
    [['--to', 'word', '--out', 'x'], /--to is "word"; it must be one of onnx/],
    [['--to', 'tflite', '--out', 'x'], /--to tflite: only .onnx and .tflite files/],
  ])('%j is refused in one sentence', (args, message) => {
    const { status, stderr } = gaslaw(folder, ['convert', 'tiny', ...args]);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });

  it('fixed shapes want a number for each dimension but the batch', () => {
    const { status, stderr } = gaslaw(folder, [
      'convert',
      'js/onnx/model.onnx',
      '--to',
      'tflite',
      '--out',
      'm.tflite',
    ]);
    expect(status).toBe(2);
    expect(stderr).toContain(
      'dimension "sequence_length" has no number, and tflite has fixed shapes; give --dim sequence_length=N',
    );
  });

  it('a graph keeps its types', () => {
    const args = ['convert', 'js/onnx/model.onnx', '--to', 'c-array', '--dtype', 'f16', '--out', 'm.h'];
    const { status, stderr } = gaslaw(folder, args);
    expect(status).toBe(2);
    expect(stderr).toMatch(/--dtype: js\/onnx\/model.onnx keeps the types that it has/);
  });
});
