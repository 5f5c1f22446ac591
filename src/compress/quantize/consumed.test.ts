import { expect, it } from 'vitest';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { referenceRuntime } from '../../runtime/reference/index.ts';
import { consumesWeights } from './consumed.ts';

it('the reference interpreter reads the arrays in every run', async () => {
  expect(await consumesWeights(referenceRuntime(), { bits: 4, blockSize: 32 }, 4)).toBe(false);
});

it('says the same of ONNX Runtime every time, whatever it is on this machine', async () => {
  const runtime = await nativeRuntime();
  for (const bits of [4, 8] as const) {
    const first = await consumesWeights(runtime, { bits, blockSize: 32 }, 4);
    expect(await consumesWeights(runtime, { bits, blockSize: 32 }, 4)).toBe(first);
  }
});
