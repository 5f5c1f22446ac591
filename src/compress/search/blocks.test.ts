/** Blocks are found, replaced as their parts say, scored alone, and chosen exactly. */
import { describe, expect, it } from 'vitest';
import type { Examples } from '../../data/examples/examples.ts';
import { float32, type Model } from '../../graph/ir.ts';
import { verify } from '../../graph/verify.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { modelFor } from '../../ops/opset.ts';
import { referenceRuntime } from '../../runtime/reference/index.ts';
import { Random } from '../../util/random.ts';
import { magnitude } from '../prune/importance.ts';
import { macsOf } from '../prune/structured.ts';
import { blocksOf, chooseBlocks, scoreBlocks, withReplacements } from './blocks.ts';

const runtime = referenceRuntime();
const [WIDTH, HIDDEN, CLASSES] = [4, 8, 3];
const SCALES = [1, 0.01, 0.5];

/** x [n, 4] → three layers x + W₂ relu(W₁ x), the second next to nothing → relu (8) → y [n, 3]. */
function network(): Model {
  const random = new Random(3);
  const b = new Builder('layers');
  const weight = (name: string, rows: number, columns: number, scale = 1) =>
    b.initializer(
      name,
      float32(
        [rows, columns],
        Float32Array.from({ length: rows * columns }, () => scale * random.normal()),
      ),
    );
  const relu = (v: Value) => b.op('Relu', [v], {});
  let x = b.input('x', 'float32', ['n', WIDTH]);
  SCALES.forEach((scale, i) => {
    x = x.add(
      relu(x.matmul(weight(`up.${i}`, WIDTH, HIDDEN))).matmul(weight(`down.${i}`, HIDDEN, WIDTH, scale)),
    );
  });
  b.output(relu(x.matmul(weight('a', WIDTH, HIDDEN))).matmul(weight('b', HIDDEN, CLASSES)), 'y');
  return modelFor(b.graph);
}

const random = new Random(4);
const rows = Float32Array.from({ length: 64 * WIDTH }, () => random.normal());
const examples: Examples = {
  name: 'rows',
  count: 64,
  batch: at => ({
    x: float32(
      [at.length, WIDTH],
      Float32Array.from(at.flatMap(i => [...rows.subarray(i * WIDTH, (i + 1) * WIDTH)])),
    ),
  }),
};
const model = network();
const options = { importance: magnitude(model.graph), widths: [0.5], depth: true };
const blocks = blocksOf(model.graph, options);
const cost = (m: Model) => [macsOf(m.graph)];

describe('blocks', () => {
  it('are layers with their channels, and the channels outside', () => {
    expect(blocks.map(b => b.replacements.map(r => r.kept))).toEqual([
      [0, 0.5, 1],
      [0, 0.5, 1],
      [0, 0.5, 1],
      [0.5, 1],
    ]);
    expect(blocks[3]?.name).toBe('a, b');
    expect(blocks[0]?.replacements[1]?.groups).toHaveLength(HIDDEN / 2);
  });

  it('keep their layers when depth stays', () => {
    const narrow = blocksOf(model.graph, { ...options, depth: false });
    expect(narrow.map(b => b.replacements.map(r => r.kept))).toEqual(Array(4).fill([0.5, 1]));
  });

  it('cost what their parts do', () => {
    const graph = withReplacements(model.graph, blocks, [0, 1, 2, 0]);
    verify(graph);
    const layer = 2 * WIDTH * HIDDEN;
    expect(macsOf(graph)).toBe(layer / 2 + layer + (WIDTH + CLASSES) * (HIDDEN / 2));
    expect(macsOf(withReplacements(model.graph, blocks, [2, 2, 2, 1]))).toBe(macsOf(model.graph));
  });

  it('refuse what they do not have', () => {
    expect(() => withReplacements(model.graph, blocks, [0, 0, 0, 2])).toThrow('"a, b" has no replacement 2');
    const b = new Builder('fixed');
    b.output(b.input('x', 'float32', ['n', 2]).exp(), 'y');
    expect(() => blocksOf(b.graph, options)).toThrow('no block of it can be made smaller');
  });
});

describe('the choice', async () => {
  const scored = await scoreBlocks(runtime, model, blocks, examples, cost);

  it('knows that the layer that does next to nothing is lost cheaply', () => {
    const out = scored.options.map(group => group[0]?.loss as number);
    expect(out[1]).toBeLessThan(0.01 * (out[0] as number));
    expect(out[1]).toBeLessThan(0.01 * (out[2] as number));
    for (const group of scored.options) expect(group.at(-1)?.loss).toBe(0);
  });

  it('is the best of all by brute force, at every budget', () => {
    const all = scored.options.reduce<{ loss: number; cost: number }[]>(
      (sofar, group) =>
        sofar.flatMap(s =>
          group.map(o => ({ loss: s.loss + o.loss, cost: s.cost + (o.costs[0] as number) })),
        ),
      [{ loss: 0, cost: scored.least[0] as number }],
    );
    for (const budget of [120, 160, 200, 248]) {
      const best = Math.min(...all.filter(a => a.cost <= budget).map(a => a.loss));
      const [choice] = chooseBlocks(scored, [budget]);
      expect(choice?.loss).toBeCloseTo(best, 12);
      // here blocks do not share work, so that costs add up exactly
      expect(macsOf(withReplacements(model.graph, blocks, choice?.picks ?? []))).toBe(choice?.costs[0]);
    }
  });

  it('is none below the least that is possible', () => {
    expect(scored.least).toEqual([(WIDTH + CLASSES) * (HIDDEN / 2)]);
    expect(chooseBlocks(scored, [27])).toEqual([]);
    expect(chooseBlocks(scored, [28])).toHaveLength(1);
  });
});
