/** What the shape rules say of every op case is what the reference interpreter makes of it. */
import { expect, test } from 'vitest';
import { evaluate } from '../src/runtime/reference/index.ts';
import { CONFORMANCE_CASES } from './conformance-cases.ts';

test.each(CONFORMANCE_CASES.map(c => [`${c.op}: ${c.name}`, c] as const))('%s', (_, { graph, feeds }) => {
  const results = evaluate(graph, feeds);
  for (const { name, dtype, shape } of graph.outputs) {
    const { dtype: madeDType, dims } = results[name];
    expect(madeDType).toBe(dtype);
    expect(dims.length).toBe(shape?.length);
    shape?.forEach((dim, axis) => {
      if (typeof dim === 'number') expect(dims[axis]).toBe(dim);
    });
  }
});
