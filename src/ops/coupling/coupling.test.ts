/** The channel map's formula, and couplings whose answer is known from the layout of the tensors. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { typeOf } from '../../graph/ir.ts';
import { Builder, type Value } from '../builder.ts';
import { ruleContext } from '../infer.ts';
import { PRUNING_RULES } from '../pruning.ts';
import { isNone } from '../rule.ts';
import { type Couplings, imageOf, runs, sourceOf } from './coupling.ts';
import { factorMap, matchAxes } from './movement.ts';

/** Couplings of the node that made `value`. */
function couplingsOf(value: Value): Couplings {
  const { graph } = value.builder;
  const node = graph.nodes.find(n => n.outputs.includes(value.name));
  if (!node) throw new Error(`nothing makes ${value.name}`);
  const context = ruleContext(graph, node);
  const rule = PRUNING_RULES[context.key];
  if (isNone(rule)) throw new Error(rule.none);
  return rule({ ...context, outputs: node.outputs.map(n => typeOf(graph, n) ?? { dtype: 'float32' }) });
}

/** `in0.1 -> out0.2` with the images of the first channels. */
const shown = ({ couplings }: Couplings, channels = 2) =>
  couplings.map(({ from, to, map }) => {
    const images = Array.from({ length: channels }, (_, c) => imageOf(map, c).join('+'));
    return `${from.side}${from.index}.${from.axis} -> ${to.side}${to.index}.${to.axis}: ${images.join(' ')}`;
  });

describe('the map', () => {
  test('of a factor of [2,3,4] merged to 24 is the row-major position', () => {
    const dims = [2, 3, 4];
    for (let m = 0; m < 24; m++) {
      const at = [Math.floor(m / 12), Math.floor(m / 4) % 3, m % 4];
      at.forEach((c, f) => {
        expect(imageOf(factorMap(dims, f), c)).toContain(m);
        expect(sourceOf(factorMap(dims, f), m, dims[f])).toBe(c);
      });
    }
  });

  test('has disjoint images, and sourceOf undoes it', () => {
    const dims = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(dims, fc.nat(), fc.nat(), (sizes, i, k) => {
        const f = i % sizes.length;
        const [size, map] = [sizes[f], factorMap(sizes, f)];
        const images = Array.from({ length: size }, (_, c) => imageOf(map, c)).flat();
        expect([...images].sort((a, b) => a - b)).toEqual(
          Array.from({ length: sizes.reduce((a, b) => a * b) }, (_, m) => m),
        );
        for (const m of imageOf(map, k % size)) expect(sourceOf(map, m, size)).toBe(k % size);
      }),
    );
  });

  test('finds no source outside the image', () => {
    expect(sourceOf({ offset: 4, stride: 2, repeats: [] }, 3, 5)).toBeUndefined();
    expect(sourceOf({ offset: 4, stride: 2, repeats: [] }, 5, 5)).toBeUndefined();
    expect(sourceOf(runs(3), 15, 5)).toBeUndefined();
  });
});

describe('matching axes of a Reshape', () => {
  test.each([
    [['B', 'T', 64], ['B', 'T', 4, 16], '0:0 1:1 2:2,3'],
    [['B', 'T', 4, 16], ['B', 'T', 64], '0:0 1:1 2,3:2'],
    [['B', 'T', 64], ['B*T', 64], '0,1:0 2:1'],
    [['B*T', 64], ['B', 'T', 64], '0:0,1 1:2'],
    [[2, 6], [4, 3], '0,1:0,1'],
    [['B', 'T'], ['T', 'B'], '0,1:0,1'],
  ])('%j to %j: %s', (from, to, groups) => {
    expect(
      matchAxes(from, to)
        .map(g => `${g.ins}:${g.outs}`)
        .join(' '),
    ).toBe(groups);
  });
});

describe('couplings', () => {
  const input = (...shape: (number | string)[]) => new Builder().input('x', 'float32', shape);

  test('heads are runs of channels, channels of a head are strided', () => {
    expect(shown(couplingsOf(input('B', 'T', 12).reshape([0, 0, 3, 4]))).slice(2)).toEqual([
      'output0.2 -> input0.2: 0+1+2+3 4+5+6+7',
      'output0.3 -> input0.2: 0+4+8 1+5+9',
    ]);
  });

  test('a product couples what it sums over', () => {
    const x = input('B', 'T', 8);
    const y = x.matmul(x.builder.input('w', 'float32', [8, 5]));
    expect(shown(couplingsOf(y), 1)).toEqual([
      'input0.2 -> input1.0: 0',
      'input0.1 -> output0.1: 0',
      'input1.1 -> output0.2: 0',
      'input0.0 -> output0.0: 0',
    ]);
  });

  test('concatenation shifts, and stops counting behind a symbol', () => {
    const x = input(2, 3);
    const y = x.builder.concat([x, x, x.builder.input('more', 'float32', [2, 'n']), x], 1);
    const { fixed } = couplingsOf(y);
    const along = shown(couplingsOf(y), 1).filter(t => t.includes('output0.1'));
    expect(along).toEqual([
      'input0.1 -> output0.1: 0',
      'input1.1 -> output0.1: 3',
      'input2.1 -> output0.1: 6',
    ]);
    expect(fixed.some(p => p.side === 'input' && p.index === 3 && p.axis === 1)).toBe(true);
  });

  test('a key/value head takes its query heads along', () => {
    const b = new Builder();
    const operands = [
      [2, 8, 5, 4],
      [2, 2, 5, 4],
      [2, 2, 5, 4],
    ].map((s, i) => b.input(`x${i}`, 'float32', s));
    const heads = shown(couplingsOf(b.op('Attention', operands, {}))).filter(t => t.startsWith('unit'));
    expect(heads).toEqual([
      'unit0.0 -> input0.1: 0+1+2+3 4+5+6+7',
      'unit0.0 -> input1.1: 0 1',
      'unit0.0 -> input2.1: 0 1',
      'unit0.0 -> output0.1: 0+1+2+3 4+5+6+7',
    ]);
  });

  test('normalizing and softmax take statistics over their axis', () => {
    expect(couplingsOf(input('B', 8).softmax()).mixing).toEqual([{ side: 'input', index: 0, axis: 1 }]);
    expect(couplingsOf(input('B', 8).mean([1])).mixing).toEqual([{ side: 'input', index: 0, axis: 1 }]);
    expect(couplingsOf(input('B', 8).sum([1])).mixing).toEqual([]);
  });

  test('rows of an embedding stay, its width passes', () => {
    const table = input(100, 16);
    const y = table.gather(table.builder.input('ids', 'int64', ['B', 'T']));
    const { fixed } = couplingsOf(y);
    expect(fixed).toEqual([{ side: 'input', index: 0, axis: 0 }]);
    expect(shown(couplingsOf(y), 1)).toContain('input0.1 -> output0.2: 0');
  });
});
