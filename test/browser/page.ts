/** What the browser test runs inside the page: one small graph, bound and called. */
import { float32, zeros } from '../../src/graph/ir.ts';
import { Builder } from '../../src/ops/builder.ts';
import { modelFor } from '../../src/ops/opset.ts';
import type { CompileOptions } from '../../src/runtime/runtime.ts';
import { webRuntime } from '../../src/runtime/web/web.ts';

export interface PageResult {
  readonly called: number[];
  readonly bound: number[];
  readonly updated: number[];
}

/** x · [[1, 2], [3, 4]] + x for x = [[1, 1]], by `call`, by `bind`, and twice in place. */
async function run(provider: CompileOptions['provider'], threads: number): Promise<PageResult> {
  const runtime = await webRuntime({ threads });
  const b = new Builder('page');
  const x = b.input('x', 'float32', ['rows', 2]);
  const w = b.initializer('w', float32([2, 2], [1, 2, 3, 4]));
  b.output(b.op('MatMul', [x, w], {}).add(x), 'y');
  using program = await runtime.compile(modelFor(b.graph), { provider });
  const feed = () => float32([1, 2], [1, 1]);
  const called = (await program.call({ x: feed() })).y;
  const [y, state] = [zeros('float32', [1, 2]), feed()];
  await program.bind({ x: feed(), y }).run();
  using inPlace = program.bind({ x: state, y: state });
  await inPlace.run();
  await inPlace.run();
  const [c, d, e] = [called, y, state].map(tensor => Array.from(tensor.data as Float32Array));
  return { called: c, bound: d, updated: e };
}

Object.assign(globalThis, {
  runInPage: run,
  hasWebGpu: async () => Boolean(await navigator.gpu?.requestAdapter()),
});
