import { expect, test } from 'vitest';
import { zeros } from '../src/graph/ir.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { collectGarbage, noise, perceptron } from './runtime-models.ts';

const CYCLES = 1000;
const WARM_UP = 200;
const SLACK_BYTES = 24e6;

/** Resident bytes after a full collection. */
function residentBytes(): number {
  collectGarbage();
  return process.memoryUsage.rss();
}

// vitest gives a test file a process of its own (pool: forks), so what grows here grew by these cycles.
test(`${CYCLES} cycles of create, run, dispose do not grow the process`, async () => {
  const runtime = await nativeRuntime();
  const model = perceptron(noise([128, 128]));
  const x = noise([32, 128]);
  const cycle = async (i: number): Promise<void> => {
    using program = await runtime.compile(model, { threads: 2, background: i % 4 === 0 });
    using binding = program.bind({ x, y: zeros('float32', [32, 128]) });
    await binding.run();
    if (i % 2 === 0) await program.call({ x });
  };
  const growth = async (cycles: number): Promise<number> => {
    const before = residentBytes();
    for (let i = 0; i < cycles; i++) await cycle(i);
    return residentBytes() - before;
  };
  await growth(WARM_UP);
  const halves = [await growth(CYCLES / 2), await growth(CYCLES / 2)];
  // a lost session holds its packed weights, 128 KiB: 500 of them are 64 MB in either half; heaps grow once, here or there
  expect(Math.min(...halves)).toBeLessThan(SLACK_BYTES);
});

test('programs and bindings that nobody disposed are released with their owners', async () => {
  const runtime = await nativeRuntime();
  const model = perceptron(noise([512, 512]));
  const before = residentBytes();
  for (let i = 0; i < 100; i++) {
    const program = await runtime.compile(model, { threads: 1 });
    await program.call({ x: noise([1, 512]) });
    if (i % 10 === 9) {
      collectGarbage();
      await new Promise(resolve => setTimeout(resolve, 0)); // finalizers run from the event loop
    }
  }
  // each packs its 1 MiB weight: kept, they would be 100 MB and more
  expect(residentBytes() - before).toBeLessThan(60e6);
});
