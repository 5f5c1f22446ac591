import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Tensor } from '../src/graph/ir.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { modelOfBody, noise } from './runtime-models.ts';

// Chromium's package brings SwiftShader, a software Vulkan driver; Dawn refuses old Mesa drivers.
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (!process.env.VK_ICD_FILENAMES && existsSync(SWIFTSHADER)) process.env.VK_ICD_FILENAMES = SWIFTSHADER;

const runtime = await nativeRuntime();
const model = modelOfBody(b => {
  const scores = b.op(
    'MatMul',
    [b.input('x', 'float32', ['rows', 64]), b.initializer('w', noise([64, 64]))],
    {},
  );
  b.output(b.op('Softmax', [scores], { axis: -1 }), 'y');
});
const x = noise([8, 64], 1);

const program = await runtime.compile(model, { provider: 'webgpu' }).catch((error: unknown) => String(error));
const absent = typeof program === 'string' ? program : undefined;

test.skipIf(absent !== undefined)(
  `WebGPU agrees with the CPU${absent ? ` (skipped: ${absent})` : ''}`,
  async () => {
    if (typeof program === 'string') return;
    using gpu = program;
    using cpu = await runtime.compile(model);
    const [got, expected] = await Promise.all([gpu, cpu].map(async p => (await p.call({ x })).y as Tensor));
    const differences = Array.from(got?.data as Float32Array, (v, i) =>
      Math.abs(v - Number(expected?.data[i])),
    );
    expect(differences).toHaveLength(8 * 64);
    expect(Math.max(...differences)).toBeLessThan(1e-5);
  },
);

test('a provider that is missing is named in one sentence', () => {
  if (absent) expect(absent).toMatch(/^GaslawError: provider "webgpu" is not available: [^\n]+$/);
});
