/**
 * How fast this machine multiplies matrices through a runtime: the yardstick for training speed.
 *
 * 1. The best run of a third of a second counts: what disturbs a run only ever makes it slower.
 * 2. Both factors are inputs, as weights are while they train; nothing is repacked beforehand.
 */
import { type Tensor, zeros } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { modelFor } from '../../ops/opset.ts';
import type { Runtime } from '../runtime.ts';

const MILLISECONDS = 350;

/** Floating-point operations per second of an f32 product of two square matrices; 0 threads: as many as the runtime takes. */
export async function matmulRate(runtime: Runtime, threads = 0, size = 1024): Promise<number> {
  using program = await runtime.compile(squareProduct(size), { threads });
  const [a, b, c] = [ramp(size), ramp(size), zeros('float32', [size, size])];
  using binding = program.bind({ a, b, c });
  let best = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + MILLISECONDS; performance.now() < end; ) {
    const start = performance.now();
    await binding.run();
    best = Math.min(best, performance.now() - start);
  }
  return (2 * size ** 3) / (best / 1000);
}

function squareProduct(size: number) {
  const b = new Builder('matmul');
  const [x, y] = [b.input('a', 'float32', [size, size]), b.input('b', 'float32', [size, size])];
  b.output(b.op('MatMul', [x, y], {}), 'c');
  return modelFor(b.graph);
}

/** Small ordinary numbers: neither zeros nor denormals, which some machines treat at another speed. */
const ramp = (size: number): Tensor => ({
  dtype: 'float32',
  dims: [size, size],
  data: Float32Array.from({ length: size * size }, (_, i) => ((i * 7919) % 1000) / 1000 - 0.5),
});
