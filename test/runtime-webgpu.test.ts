/**
 * WebGPU on whatever Vulkan driver is there, a software one included: Chromium's package brings SwiftShader, the loader is
 * libvulkan1's. Dawn refuses Mesa before 23.
 */
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { float32, int32, type Model, modelOf, type Tensor } from '../src/graph/ir.ts';
import { denseConfig, denseModel } from '../src/models/dense/index.ts';
import { crossEntropy } from '../src/nn/losses.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { gradientGraph } from '../src/train/learner.ts';
import { Random } from '../src/util/random.ts';
import { modelOfBody, noise } from './runtime-models.ts';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (!process.env.VK_ICD_FILENAMES && existsSync(SWIFTSHADER)) process.env.VK_ICD_FILENAMES = SWIFTSHADER;

const runtime = await nativeRuntime();
const scores = modelOfBody(b => {
  const x = b.input('x', 'float32', ['rows', 64]);
  b.output(x.matmul(b.initializer('w', noise([64, 64]))).softmax(-1), 'y');
});

const absent = await runtime.compile(scores, { provider: 'webgpu' }).then(
  program => void program[Symbol.dispose](),
  (error: unknown) => String(error),
);

/** The largest difference between WebGPU's outputs and the CPU's, relative to the largest value of each output. */
async function difference(model: Model, feeds: Readonly<Record<string, Tensor>>): Promise<number> {
  using gpu = await runtime.compile(model, { provider: 'webgpu' });
  using cpu = await runtime.compile(model);
  const [got, expected] = [await gpu.call(feeds), await cpu.call(feeds)];
  const names = Object.keys(expected);
  expect(Object.keys(got)).toEqual(names);
  return Math.max(...names.map(name => distance(got[name] as Tensor, expected[name] as Tensor)));
}

function distance({ data: a }: Tensor, { data: b }: Tensor): number {
  expect(a.length).toBe(b.length);
  const [x, y] = [Array.from(a, Number), Array.from(b, Number)];
  const most = Math.max(...y.map(Math.abs), 1e-6);
  return Math.max(...x.map((v, i) => Math.abs(v - (y[i] as number)))) / most;
}

const model = denseModel(
  denseConfig({
    vocabSize: 40,
    hiddenSize: 32,
    numHiddenLayers: 2,
    numAttentionHeads: 2,
    intermediateSize: 48,
    maxPositionEmbeddings: 16,
  }),
);

describe.skipIf(absent)(`WebGPU agrees with the CPU${absent ? ` (skipped: ${absent})` : ''}`, () => {
  test('on a product and a softmax', async () => {
    expect(await difference(scores, { x: noise([8, 64], 1) })).toBeLessThan(1e-5);
  });

  test('on the loss of a language model and all of its gradients', async () => {
    const { graph, parameterNames } = gradientGraph(
      model,
      c => ({ loss: crossEntropy(c.scores(), c.token('weights')) }),
      {},
    );
    const store = new ParameterStore(model.parameters).initialize(new Random(1));
    const random = new Random(2);
    const dims = [2, 8];
    const ids = () =>
      int32(
        dims,
        Int32Array.from({ length: 16 }, () => random.int(40)),
      );
    const feeds = {
      ids: ids(),
      targets: ids(),
      positions: int32(
        dims,
        Int32Array.from({ length: 16 }, (_, i) => i % 8),
      ),
      weights: float32(dims, new Float32Array(16).fill(1 / 16)),
      ...Object.fromEntries(parameterNames.map(name => [name, store.tensor(name)])),
    };
    expect(await difference(modelOf(graph), feeds)).toBeLessThan(1e-3);
  });
});

test('a provider that is missing is named in one sentence', () => {
  if (absent) expect(absent).toMatch(/^GaslawError: provider "webgpu" is not available: [^\n]+$/);
});
