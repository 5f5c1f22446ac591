/** Weights of small networks, for tests. */
import { float32, sizeOf } from '../graph/ir.ts';
import type { Builder, Value } from '../ops/builder.ts';
import type { Random } from '../util/random.ts';

/** Makes initializers of `b` with normal values of a spread (standard deviation). */
export const normalWeights =
  (b: Builder, random: Random) =>
  (name: string, dims: readonly number[], spread: number): Value =>
    b.initializer(
      name,
      float32(
        dims,
        Float32Array.from({ length: sizeOf(dims) }, () => spread * random.normal()),
      ),
    );
