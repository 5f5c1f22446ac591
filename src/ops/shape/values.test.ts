/** Shape arithmetic is followed: what an exporter writes as Shape, Gather, Concat and Reshape keeps rank and dims. */
import { describe, expect, test } from 'vitest';
import type { Dim, Graph } from '../../graph/ir.ts';
import { Builder, type Value } from '../builder.ts';
import { inferShapes } from '../infer.ts';

const setup = () => {
  const b = new Builder();
  const x = b.input('x', 'float32', ['B', 'T', 64]);
  const scalar = (n: number) => b.scalar(n, 'int64');
  const dim = (v: Value, axis: number) => v.dims().gather(scalar(axis));
  return { b, x, scalar, dim };
};

const cast64 = (v: Value) => v.cast('int32').cast('int64');

describe('Reshape by computed dims', () => {
  test('dims of another value', () => {
    const { b, x } = setup();
    const y = b.input('y', 'float32', ['B*T', 64]);
    expect(y.reshapeTo(x.dims()).shape).toEqual(['B', 'T', 64]);
  });

  test('Shape, Gather, Unsqueeze, Concat', () => {
    const { b, x, dim } = setup();
    const target = b.concat([dim(x, 0).unsqueeze([0]), dim(x, 1).unsqueeze([0]), b.ints([4, 16])], 0);
    expect(x.reshapeTo(target).shape).toEqual(['B', 'T', 4, 16]);
  });

  test('-1 takes what is left of symbols', () => {
    const { b, x, dim } = setup();
    const target = b.concat([b.ints([-1]), dim(x, 1).unsqueeze([0]), b.ints([32])], 0);
    expect(x.reshapeTo(target).shape).toEqual(['2*B', 'T', 32]);
    expect(x.reshape([-1, 64]).shape).toEqual(['B*T', 64]);
    expect(x.reshape([-1, 64]).reshapeTo(x.dims()).shape).toEqual(['B', 'T', 64]);
  });

  test('products and quotients of dims', () => {
    const { b, x, dim } = setup();
    const rows = dim(x, 0).mul(dim(x, 1)).unsqueeze([0]);
    const flat = x.reshapeTo(b.concat([rows, b.ints([64])], 0));
    expect(flat.shape).toEqual(['B*T', 64]);
    const batch = rows.div(dim(x, 1).unsqueeze([0]));
    expect(flat.reshapeTo(b.concat([batch, b.ints([0, -1])], 0)).shape[0]).toBe('B');
  });

  test('slices of a shape vector, casts in between', () => {
    const { b, x } = setup();
    const target = b.concat([cast64(x.dims().slice(0, 0, 2)), b.ints([8, 8])], 0);
    expect(x.reshapeTo(target).shape).toEqual(['B', 'T', 8, 8]);
  });

  test('a vector that only run time knows gives a rank and new symbols', () => {
    const { b, x } = setup();
    const shape = x.reshapeTo(b.input('target', 'int64', [2])).shape;
    expect(shape).toHaveLength(2);
    expect(new Set(shape).size).toBe(2);
  });

  test('a vector of unknown length is refused where it stands', () => {
    const { b, x } = setup();
    expect(() => x.reshapeTo(b.input('target', 'int64', ['n']))).toThrow('the rank of output 0 is not known');
  });
});

describe('other ops by computed dims', () => {
  test('Expand, with the -1 that exporters replace by Where and Equal', () => {
    const { b, x, dim } = setup();
    const wanted = b.concat([dim(x, 0).unsqueeze([0]), b.ints([-1, 5])], 0);
    const ones = b.op('ConstantOfShape', [b.ints([3])], {
      value: { dtype: 'int64', dims: [1], data: BigInt64Array.of(1n) },
    });
    const target = b.where(wanted.equal(ones.neg()), ones, wanted);
    expect(b.input('y', 'float32', [1, 7, 1]).expandTo(target).shape).toEqual(['B', 7, 5]);
  });

  test('Range over a dim, a causal mask from it', () => {
    const { b, x, scalar, dim } = setup();
    const T = dim(x, 1);
    const positions = b.op('Range', [scalar(0), T, scalar(1)], {});
    expect(positions.shape).toEqual(['T']);
    expect(positions.unsqueeze([1]).greaterOrEqual(positions.unsqueeze([0])).shape).toEqual(['T', 'T']);
    const past = dim(b.input('cache', 'float32', ['B', 2, 'P', 16]), 2);
    expect(b.op('Range', [past, past.add(T), scalar(1)], {}).shape).toEqual(['T']);
  });

  test('Slice to a dim, ConstantOfShape, Tile, Split', () => {
    const { b, x, dim } = setup();
    const T = dim(x, 1).unsqueeze([0]);
    const table = b.input('table', 'float32', [2048, 16]);
    expect(b.op('Slice', [table, b.ints([0]), T, b.ints([0])], {}).shape).toEqual(['T', 16]);
    expect(b.op('ConstantOfShape', [x.dims()], {}).shape).toEqual(['B', 'T', 64]);
    expect(b.op('Tile', [table, b.concat([T, b.ints([1])], 0)], {}).shape).toEqual(['2048*T', 16]);
    const halves = b.ops('Split', [table, b.concat([T, b.ints([2048]).sub(T)], 0)], { axis: 0 }, 2);
    expect(halves.map(h => h.shape[0])).toEqual(['T', '2048-T']);
  });

  test('Concat of a cache and new keys adds their lengths', () => {
    const { b } = setup();
    const past = b.input('past', 'float32', ['B', 2, 'P', 16]);
    const fresh = b.input('fresh', 'float32', ['B', 2, 'T', 16]);
    const all = b.concat([past, fresh], 2);
    expect(all.shape).toEqual(['B', 2, 'P+T', 16]);
    expect(all.slice(2, 0, 2 ** 40).shape[2]).toBe('P+T');
  });
});

test('a copied graph, and Constant nodes, are inferred alike', () => {
  const { b, x, dim } = setup();
  const rows = b.concat([dim(x, 0).unsqueeze([0]), b.op('Constant', [], { value_ints: [-1] })], 0);
  const y = b.output(x.reshapeTo(rows), 'y');
  expect(y.shape).toEqual(['B', '64*T']);
  const copy: Graph = structuredClone(b.graph);
  const more = new Builder(copy);
  expect(more.value('x').reshapeTo(more.value(rows.name)).shape).toEqual(['B', '64*T']);
  for (const name of [...copy.types.keys()]) copy.types.delete(name);
  inferShapes(copy);
  expect(copy.types.get('y')?.shape as Dim[]).toEqual(['B', '64*T']);
});
