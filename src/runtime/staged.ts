/**
 * A graph that runs as several programs one after another (see graph/stages.ts): one program to whoever binds it.
 *
 * 1. What crosses between stages lies in tensors of the binding's own; one that nothing reads any more serves again.
 * 2. Stages are prepared and compiled by turns, the one with most weights first, so that the memory that preparing takes
 *    comes on top of as little as possible. While one is compiled off the main thread, the next is prepared.
 */
import { type Graph, type Tensor, type ValueInfo, zeros } from '../graph/ir.ts';
import { modelFor } from '../ops/opset.ts';
import { checkBuffers, checkInputs, outputNames } from './checks.ts';
import type { Binding, CompileOptions, Program, Runtime } from './runtime.ts';

export interface StagePlan {
  /** Stages in the order in which they run. */
  readonly stages: readonly Graph[];
  /** The whole graph's inputs and outputs. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Order in which they are prepared. */
  readonly order: readonly number[];
  /** Puts the weights into a stage; what turn − 2 put there is no longer read. Returns initializers that are consumed. */
  readonly prepare: (stage: Graph, turn: number) => Promise<ReadonlySet<string>>;
}

/** Compiles all stages. */
export async function compileStages(
  runtime: Runtime,
  { stages, order, prepare, inputs, outputs }: StagePlan,
  options: CompileOptions = {},
): Promise<Program> {
  const programs = new Array<Program>(stages.length);
  let compiling: Promise<void> = Promise.resolve();
  try {
    for (const [turn, at] of order.entries()) {
      const stage = stages[at] as Graph;
      const consumed = await prepare(stage, turn);
      await compiling;
      compiling = runtime
        .compile(modelFor({ ...stage }), {
          ...options,
          consumed,
          sharedMemory: true,
          compileInBackground: true,
        })
        .then(program => {
          programs[at] = program;
          stage.initializers = new Map(); // what the program needs, it keeps
        });
    }
    await compiling;
    runtime.tidy?.();
  } catch (error) {
    await compiling.catch(() => {});
    for (const program of programs) program?.[Symbol.dispose]();
    throw error;
  }
  return new StagedProgram(programs, inputs, outputs);
}

class StagedProgram implements Program {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly #programs: readonly Program[];

  constructor(programs: readonly Program[], inputs: readonly ValueInfo[], outputs: readonly ValueInfo[]) {
    this.#programs = programs;
    this.inputs = inputs;
    this.outputs = outputs;
  }

  bind(buffers: Readonly<Record<string, Tensor>>): Binding {
    checkBuffers(this, buffers);
    const all = { ...buffers, ...this.#crossing(buffers) };
    const bindings = this.#programs.map(program => program.bind(namedOf(program, all)));
    return {
      async run() {
        for (const binding of bindings) await binding.run();
      },
      [Symbol.dispose]() {
        for (const binding of bindings) binding[Symbol.dispose]();
      },
    };
  }

  async call(
    inputs: Readonly<Record<string, Tensor>>,
    outputs: readonly string[] = outputNames(this),
  ): Promise<Record<string, Tensor>> {
    checkInputs(this, inputs, outputs);
    let known: Record<string, Tensor> = { ...inputs };
    for (const program of this.#programs) {
      const fed = Object.fromEntries(program.inputs.map(({ name }) => [name, known[name] as Tensor]));
      known = { ...known, ...(await program.call(fed)) };
    }
    return Object.fromEntries(outputs.map(name => [name, known[name] as Tensor]));
  }

  /** Tensors for what crosses between stages, by name. */
  #crossing(buffers: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
    const symbols = symbolsOf([...this.inputs, ...this.outputs], buffers);
    const own = new Set(this.outputs.map(({ name }) => name));
    const free: Tensor[] = [];
    const made = new Map<string, Tensor>();
    this.#programs.forEach((program, stage) => {
      for (const info of program.outputs.filter(({ name }) => !own.has(name)))
        made.set(info.name, takeFrom(free, info, symbols));
      for (const [name, tensor] of made) if (this.#lastReader(name) === stage) free.push(tensor);
    });
    return Object.fromEntries(made);
  }

  #lastReader(name: string): number {
    return this.#programs.findLastIndex(({ inputs }) => inputs.some(input => input.name === name));
  }

  [Symbol.dispose](): void {
    for (const program of this.#programs) program[Symbol.dispose]();
  }
}

/** A tensor of that type, an unused one where there is one. */
function takeFrom(free: Tensor[], info: ValueInfo, symbols: ReadonlyMap<string, number>): Tensor {
  const dims = (info.shape ?? []).map(dim => (typeof dim === 'number' ? dim : (symbols.get(dim) as number)));
  const at = free.findIndex(({ dtype, dims: d }) => dtype === info.dtype && d.join() === dims.join());
  return at < 0 ? zeros(info.dtype, dims) : (free.splice(at, 1)[0] as Tensor);
}

/** Values of the symbolic dims, from the tensors that are bound. */
function symbolsOf(
  infos: readonly ValueInfo[],
  buffers: Readonly<Record<string, Tensor>>,
): Map<string, number> {
  const symbols = new Map<string, number>();
  for (const { name, shape } of infos) {
    shape?.forEach((dim, axis) => {
      const value = buffers[name]?.dims[axis];
      if (typeof dim === 'string' && value !== undefined) symbols.set(dim, value);
    });
  }
  return symbols;
}

const namedOf = (
  { inputs, outputs }: Program,
  all: Readonly<Record<string, Tensor>>,
): Record<string, Tensor> =>
  Object.fromEntries(
    [...inputs, ...outputs].filter(({ name }) => name in all).map(({ name }) => [name, all[name] as Tensor]),
  );
