import { expect, test } from 'vitest';
import { float32 } from '../src/graph/ir.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { addition } from './runtime-models.ts';

const missing = () => Promise.reject(new Error('package is missing\nRequire stack: here'));

async function expectToAdd(runtime: Runtime): Promise<void> {
  using program = await runtime.compile(addition());
  const [a, b] = [float32([2], [1, 2]), float32([2], [10, 20])];
  expect((await program.call({ a, b })).c).toEqual(float32([2], [11, 22]));
  using inPlace = program.bind({ a, b, c: a });
  await inPlace.run();
  await inPlace.run();
  expect(a.data).toEqual(Float32Array.of(21, 42));
}

test('without FFI the binding of onnxruntime-node serves, after one warning', async () => {
  const warnings: string[] = [];
  const runtime = await nativeRuntime({ loadFfi: missing, warn: message => warnings.push(message) });
  await expectToAdd(runtime);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/\(package is missing\).*onnxruntime-node/);
  expect(runtime.name).toBe('native');
});

test('without onnxruntime-node the WebAssembly build serves, after one warning', async () => {
  const warnings: string[] = [];
  const warn = (message: string) => warnings.push(message);
  const runtime = await nativeRuntime({ loadFfi: missing, loadBinding: missing, warn });
  await expectToAdd(runtime);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/\(package is missing\).*WebAssembly/);
  expect(runtime.name).toBe('web');
});
