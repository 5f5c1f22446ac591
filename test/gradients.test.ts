/**
 * Every op with a gradient: against finite differences in float64, twice over, with symbolic dims, and against
 * PyTorch's values.
 */

import { describe, expect, test } from 'vitest';
import { checkGradients } from '../src/autodiff/check.ts';
import { gradients } from '../src/autodiff/gradients.ts';
import { lower } from '../src/autodiff/lower.ts';

import type { Dim, Graph } from '../src/graph/ir.ts';
import { verify } from '../src/graph/verify.ts';
import { Builder } from '../src/ops/builder.ts';
import { GRADIENT_RULES } from '../src/ops/gradient/index.ts';
import { isNone } from '../src/ops/rule.ts';
import type { OpType } from '../src/ops/schema.ts';
import { evaluate } from '../src/runtime/reference/index.ts';
import { type CaseGraph, caseGraph, casesOf, type OpCase } from './op-cases/types.ts';
import { OP_CASES } from './op-cases.ts';

const isChecked = (key: OpType, c: OpCase): boolean => !isNone(GRADIENT_RULES[key]) && !c.except?.gradient;

/** Names of the inputs to differentiate by. */
function wrtOf(c: OpCase): string[] {
  const positions = c.wrt ?? c.inputs.flatMap((x, i) => (x?.dtype === 'float' && !x.constant ? [i] : []));
  return positions.map(i => `x${i}`);
}

const outputsOf = (c: OpCase): string[] => (c.through ?? [0]).map(i => `y${i}`);

const CASES = [...casesOf(OP_CASES)]
  .filter(({ key, case: c }) => isChecked(key, c) && wrtOf(c).length > 0)
  .map(c => [`${c.key}: ${c.case.name}`, c] as const);

const TOLERANCE = 1e-7;

describe('gradients agree with finite differences', () => {
  test.each(CASES)('%s', async (_, { key, case: c }) => {
    const { graph, feeds } = caseGraph(key, c, 'float64');
    for (const check of await checkGradients(graph, wrtOf(c), feeds, evaluate, { outputs: outputsOf(c) })) {
      expect(check.error, JSON.stringify(check)).toBeLessThan(TOLERANCE);
    }
  });
});

/** The case's graph with the gradients of Σ y² as its outputs. */
function gradientGraph({ b }: Pick<CaseGraph, 'b'>, c: OpCase): Graph {
  b.graph.outputs = [];
  const squares = outputsOf(c).map(name => b.value(name).pow(2).sum(undefined, false));
  const loss = squares.reduce((s, v) => s.add(v));
  const names = wrtOf(c);
  gradients(
    b,
    loss,
    names.map(name => b.value(name)),
  ).forEach((g, i) => void b.output(g, `d:${names[i]}`));
  return b.graph;
}

describe('gradients of gradients agree with finite differences', () => {
  test.each(CASES)('%s', async (_, { key, case: c }) => {
    const made = caseGraph(key, c, 'float64');
    for (const check of await checkGradients(gradientGraph(made, c), wrtOf(c), made.feeds, evaluate)) {
      expect(check.error, JSON.stringify(check)).toBeLessThan(10 * TOLERANCE);
    }
  });
});

/** Attention needs numbers for heads and head width: there batch and length alone are symbols. */
const isFree = (key: OpType, c: OpCase, input: number, axis: number, rank: number): boolean =>
  c.free
    ? input === 0 && c.free.includes(axis)
    : !key.endsWith('Attention') || rank === 2 || axis === 0 || axis === rank - 2;

/** The case with fed dims other than 1 as symbols, equal dims the same symbol. */
function symbolicCase(key: OpType, c: OpCase): CaseGraph {
  const made = caseGraph(key, c, 'float64');
  const b = new Builder('symbolic');
  const inputs = made.inputs.map((v, i) => {
    const constant = v && made.graph.initializers.get(v.name);
    if (constant) return b.initializer(v.name, constant);
    const symbol = (d: Dim, axis: number): Dim =>
      d === 1 || !isFree(key, c, i, axis, v?.rank ?? 0) ? d : `d${d}`;
    return v && b.input(v.name, v.dtype, v.shape.map(symbol));
  });
  const outputs = b.ops(key, inputs, c.attributes ?? {}, c.outputs ?? 1);
  return { ...made, b, graph: b.graph, outputs: outputs.map((v, i) => b.output(v, `y${i}`)) };
}

/** Here the rank of the output depends on a dim. */
const RANK_DEPENDS: ReadonlySet<string> = new Set([
  'Squeeze: all',
  'GatherND: elements',
  'ScatterND: add, elements',
]);

describe('symbolic dims give the same gradients', () => {
  test.each(CASES.filter(([name]) => !RANK_DEPENDS.has(name)))('%s', async (_, { key, case: c }) => {
    const made = caseGraph(key, c, 'float64');
    const fixed = await evaluate(lower(gradientGraph(made, c)), made.feeds);
    const symbolic = lower(gradientGraph(symbolicCase(key, c), c));
    verify(symbolic);
    const free = await evaluate(symbolic, made.feeds);
    for (const [name, { dims, data }] of Object.entries(fixed)) {
      expect(free[name].dims).toEqual(dims);
      Array.from(data as Float64Array).forEach((v, i) => {
        expect(free[name].data[i] as number).toBeCloseTo(v, 12);
      });
    }
  });
});
