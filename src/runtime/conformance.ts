/**
 * The suite that every runtime passes: each op alone, then whole graphs, errors and lifetimes.
 *
 * 1. Expected values come from the reference interpreter, which fixtures of other programs check in turn.
 * 2. Every case runs with the runtime's own optimizer off and on.
 * 3. What a runtime lacks stands in `UNSUPPORTED` with the reason, and is tested to fail there: a runtime that learns an
 *    op must lose its entry.
 * 4. Cases are an argument, since src imports nothing of test/.
 */
import { describe, expect, test } from 'vitest';
import type { Tensor } from '../graph/ir.ts';
import { modelFor } from '../ops/opset.ts';
import type { OpType } from '../ops/schema.ts';
import { disagreement, type Expectation } from './compare.ts';
import { graphConformance } from './conformance-graphs.ts';
import { lifetimeConformance } from './conformance-lifetimes.ts';
import type { Runtime } from './runtime.ts';

export type RuntimeName = Runtime['name'];

/** One op on concrete inputs. */
export interface ConformanceCase extends Expectation {
  readonly op: OpType;
  readonly name: string;
  /** Why a runtime cannot run this case, though it has the op. */
  readonly except?: Readonly<Partial<Record<RuntimeName, string>>>;
}

export interface ConformanceOptions {
  readonly cases: readonly ConformanceCase[];
  /** Why in-place binding is not tested; tested when absent. */
  readonly noInPlace?: string;
}

const OPSET_27 = { CausalConvWithState: 'ONNX Runtime 1.30 reads opsets up to 26' } as const;

/** Ops that a runtime does not have, with the reason. */
export const UNSUPPORTED: Readonly<Record<RuntimeName, Readonly<Partial<Record<OpType, string>>>>> = {
  reference: {},
  native: OPSET_27,
  web: OPSET_27,
};

/**
 * Declares the suite for one runtime.
 * @example
 * conformance('native', () => nativeRuntime(), { cases: CASES });
 */
export function conformance(
  name: RuntimeName,
  makeRuntime: () => Runtime | Promise<Runtime>,
  options: ConformanceOptions,
): void {
  describe(`${name} runtime`, () => {
    describe.each(['disabled', 'all'] as const)('ops, optimization %s', optimization => {
      for (const c of options.cases) opTest(name, makeRuntime, c, optimization);
    });
    graphConformance(makeRuntime, options.noInPlace);
    lifetimeConformance(makeRuntime);
    test('UNSUPPORTED names only ops that have a case', () => {
      const ops = new Set<string>(options.cases.map(c => c.op));
      expect(Object.keys(UNSUPPORTED[name]).filter(op => !ops.has(op))).toEqual([]);
    });
  });
}

type Optimization = 'disabled' | 'all';

function opTest(
  name: RuntimeName,
  makeRuntime: () => Runtime | Promise<Runtime>,
  c: ConformanceCase,
  optimization: Optimization,
): void {
  const reason = UNSUPPORTED[name][c.op] ?? c.except?.[name];
  const title = `${c.op}: ${c.name}`;
  const run = async () => disagreement(c, await runCase(await makeRuntime(), c, optimization));
  if (reason === undefined) {
    test(title, async () => expect(await run()).toBe(''));
  } else {
    test(`${title} fails: ${reason}`, async () => {
      const outcome = await run().catch((error: unknown) => `threw ${String(error)}`);
      expect(outcome).not.toBe('');
    });
  }
}

async function runCase(
  runtime: Runtime,
  { graph, feeds }: ConformanceCase,
  optimization: Optimization,
): Promise<Record<string, Tensor>> {
  using program = await runtime.compile(modelFor(graph), { optimization, threads: 1 });
  return await program.call(feeds);
}
