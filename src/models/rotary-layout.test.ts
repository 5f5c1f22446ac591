import { expect, it } from 'vitest';
import { float32, int64 } from '../graph/ir.ts';
import { rotaryTables, rotate } from '../nn/attention.ts';
import { project } from '../nn/layers.ts';
import { Builder } from '../ops/builder.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { Random } from '../util/random.ts';
import { halvesToPairs, pairsToHalves } from './rotary-layout.ts';

const [HEADS, WIDTH, COLUMNS, LENGTH] = [2, 6, 5, 4];
const random = new Random(1);
const normals = (n: number) => Float32Array.from({ length: n }, () => random.normal());

/** Scores q kᵀ of every head between all positions, rotated in one layout or the other. */
function scores(wq: Float32Array, wk: Float32Array, x: Float32Array, interleaved: boolean): Float32Array {
  const b = new Builder('scores');
  const tables = rotaryTables(b, { headDim: WIDTH, maxPositions: LENGTH, theta: 100 });
  const input = b.constant(float32([1, LENGTH, COLUMNS], x));
  const positions = b.constant(int64([1, LENGTH], [0, 1, 2, 3]));
  const heads = (w: Float32Array) => {
    const y = project(input, b.constant(float32([HEADS * WIDTH, COLUMNS], w)));
    const turned = rotate(y, positions, tables, HEADS, interleaved);
    return turned.reshape([LENGTH, HEADS, WIDTH]).transpose([1, 0, 2]);
  };
  b.output(heads(wq).matmul(heads(wk).transpose([0, 2, 1])), 'scores');
  return evaluate(b.graph, {}).scores?.data as Float32Array;
}

it('queries and keys of adjacent pairs score the same after their rows are reordered to halves', () => {
  const [wq, wk, x] = [
    normals(HEADS * WIDTH * COLUMNS),
    normals(HEADS * WIDTH * COLUMNS),
    normals(LENGTH * COLUMNS),
  ];
  const pairs = scores(wq, wk, x, true);
  const halves = scores(pairsToHalves(wq, HEADS, COLUMNS), pairsToHalves(wk, HEADS, COLUMNS), x, false);
  const unordered = scores(wq, wk, x, false);
  const worst = (a: Float32Array) => Math.max(...a.map((z, i) => Math.abs(z - (pairs[i] as number))));
  expect(worst(halves)).toBeLessThan(1e-5);
  expect(worst(unordered)).toBeGreaterThan(0.1);
});

it('goes there and back, for biases too', () => {
  const bias = Float32Array.from({ length: 12 }, (_, i) => i);
  expect([...pairsToHalves(bias, 2, 1)]).toEqual([0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
  const w = normals(HEADS * WIDTH * COLUMNS);
  expect(halvesToPairs(pairsToHalves(w, HEADS, COLUMNS), HEADS, COLUMNS)).toEqual(w);
});

it('refuses heads of odd width', () => {
  expect(() => pairsToHalves(new Float32Array(30), 2, 5)).toThrow(
    'does not divide into 2 heads of even width over 5 columns',
  );
});
