/** The op cases as the conformance suite takes them: one-node graphs in float32. */
import type { ConformanceCase } from '../src/runtime/conformance.ts';
import { caseGraph, casesOf } from './op-cases/types.ts';
import { OP_CASES } from './op-cases.ts';

export const CONFORMANCE_CASES: readonly ConformanceCase[] = [...casesOf(OP_CASES)].map(
  ({ key, case: c }) => {
    const { graph, feeds } = caseGraph(key, c, 'float32');
    return { op: key, name: c.name, graph, feeds, tolerance: c.tolerance, except: c.except };
  },
);
