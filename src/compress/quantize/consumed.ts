/**
 * Whether a runtime still reads packed weights once a program is compiled: where its kernels keep a form of their own, the
 * memory of one part of a model can serve for the next.
 *
 * Which machines and formats do is written down nowhere, so it is tried: a small product gives the same after its weights were
 * overwritten, for one row and for many, or it does not.
 */
import { float32, modelOf, type Tensor } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { PackFormat } from './pack.ts';
import { packBlocks } from './pack.ts';

const ROWS = 64;
const BLOCKS = 4;
const BATCHES = [1, 3, 33];

/** Whether products of this format are independent of the arrays that they were compiled from. */
export async function consumesWeights(runtime: Runtime, format: PackFormat, level: number): Promise<boolean> {
  const columns = BLOCKS * format.blockSize;
  const codes = new Uint8Array((ROWS * columns * format.bits) / 8);
  const scales = new Float32Array(ROWS * BLOCKS);
  packBlocks(wave(ROWS * columns), { codes, scales }, 0, format);
  using program = await runtime.compile(modelOf(productGraph(codes, scales, format, level)));
  const results = async (): Promise<Float32Array[]> => {
    const calls = BATCHES.map(rows => program.call({ x: float32([rows, columns], wave(rows * columns)) }));
    return (await Promise.all(calls)).map(({ y }) => (y as Tensor).data as Float32Array);
  };
  const before = await results();
  codes.fill(0x5a);
  scales.fill(Number.NaN);
  const after = await results();
  return before.every((values, i) => values.every((v, j) => v === after[i]?.[j]));
}

const wave = (count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(1 + i * i));

function productGraph(
  codes: Uint8Array,
  scales: Float32Array,
  { bits, blockSize }: PackFormat,
  level: number,
) {
  const b = new Builder('consumed');
  const x = b.input('x', 'float32', ['rows', BLOCKS * blockSize]);
  const dims = [ROWS, BLOCKS, (blockSize * bits) / 8];
  const weights = [
    b.initializer('codes', { dtype: 'uint8', dims, data: codes }),
    b.initializer('scales', float32([scales.length], scales)),
  ];
  const attributes = { K: BLOCKS * blockSize, N: ROWS, bits, block_size: blockSize, accuracy_level: level };
  b.output(b.op('com.microsoft.MatMulNBits', [x, ...weights], attributes), 'y');
  return b.graph;
}
