/**
 * The reference runtime: plain TypeScript, the oracle that the others are compared with.
 *
 * 1. It computes in double and rounds on store, so it is at least as exact as any runtime of the same dtypes.
 * 2. Results are copied into the caller's buffers after the whole run, so updating in place is always safe here.
 * 3. Compile options have nothing to act on and are accepted as they are.
 */
import type { Graph, Model, Tensor, ValueInfo } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { checkBuffers, checkInputs, outputNames } from '../checks.ts';
import type { Binding, Program, Runtime } from '../runtime.ts';
import { type Plan, planRun, runPlan } from './evaluate.ts';
import { sameDims } from './layout.ts';

export { evaluate } from './evaluate.ts';
export { KERNELS } from './kernels/index.ts';

/**
 * The interpreter as a `Runtime`.
 * @example
 * using program = await referenceRuntime().compile(model);
 * const { y } = await program.call({ x });
 */
export function referenceRuntime(): Runtime {
  return { name: 'reference', compile: async model => new ReferenceProgram(model) };
}

type Buffers = Readonly<Record<string, Tensor>>;

class ReferenceProgram implements Program {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly #graph: Graph;
  readonly #plan: Plan;
  #disposed = false;

  constructor({ graph }: Model) {
    this.#graph = graph;
    this.#plan = planRun(graph);
    this.inputs = graph.inputs.filter(input => !graph.initializers.has(input.name));
    this.outputs = graph.outputs;
  }

  bind(buffers: Buffers): Binding {
    this.#checkAlive();
    checkBuffers(this, buffers);
    const outputs = outputNames(this).filter(name => name in buffers);
    const plan = planRun(this.#graph, outputs);
    let released = false;
    return {
      run: async () => {
        if (released) throw new GaslawError('this binding was disposed; bind again');
        this.#checkAlive();
        writeBack(runPlan(this.#graph, plan, pickInputs(this, buffers)), buffers);
      },
      [Symbol.dispose]: () => {
        released = true;
      },
    };
  }

  async call(inputs: Buffers, outputs?: readonly string[]): Promise<Record<string, Tensor>> {
    this.#checkAlive();
    checkInputs(this, inputs, outputs ?? []);
    const plan = outputs ? planRun(this.#graph, outputs) : this.#plan;
    return detached(runPlan(this.#graph, plan, inputs));
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
  }

  #checkAlive(): void {
    if (this.#disposed) throw new GaslawError('this program was disposed; compile the model again');
  }
}

const pickInputs = ({ inputs }: Program, buffers: Buffers): Record<string, Tensor> =>
  Object.fromEntries(inputs.map(({ name }) => [name, buffers[name]]));

/** Copies of all results, so that none shares data with an input, an initializer or another result. */
const detached = (results: Buffers): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(results).map(([name, t]) => [name, { ...t, data: t.data.slice() }]));

/** Copies results into the caller's arrays; first aside, since a result may share data with a buffer about to change. */
function writeBack(results: Buffers, buffers: Buffers): void {
  for (const [name, { data, dims, dtype }] of Object.entries(detached(results))) {
    const target = buffers[name];
    if (!sameDims(dims, target.dims) || dtype !== target.dtype) {
      throw new GaslawError(
        `output "${name}" came out as ${dtype}[${dims.join(', ')}], but ${target.dtype}[${target.dims.join(', ')}] is bound`,
      );
    }
    // Same dtype, so the same kind of array; checkBuffers has refused strings.
    (target.data as Float32Array).set(data as Float32Array);
  }
}
