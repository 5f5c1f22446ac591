/**
 * Programs over an `InferenceSession` of onnxruntime-common, which onnxruntime-web and onnxruntime-node share.
 *
 * 1. Outputs come back as fresh tensors and are copied into the bound ones. Bound outputs are never passed in: the web
 *    package returns zeros for them. So an update in place costs a copy here.
 * 2. Runs and releases of one runtime queue up; a session of the web package refuses a second run meanwhile.
 */
import type { InferenceSession, TensorConstructor } from 'onnxruntime-common';
import type { Graph, Model, Tensor, ValueInfo } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { checkBuffers, checkInputs, outputNames } from '../checks.ts';
import { explain } from '../explain.ts';
import type { Binding, Program } from '../runtime.ts';
import { copyInto, fromOrt, toOrt } from './tensors.ts';

type Tensors = Readonly<Record<string, Tensor>>;

/** Runs jobs one after the other. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  add<T>(job: () => Promise<T>): Promise<T> {
    const result = this.#last.then(job);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** Awaits `work` and turns what it throws into a GaslawError that begins with `where`. */
export async function explained<T>(where: string, work: Promise<T>, graph?: Graph): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new GaslawError(
      `${where}: ${explain(error instanceof Error ? error.message : String(error), graph)}`,
    );
  }
}

/** The inputs that a caller feeds: those without an initializer of their name. */
export const fedInputs = ({ graph }: Model): ValueInfo[] =>
  graph.inputs.filter(({ name }) => !graph.initializers.has(name));

export class SessionProgram implements Program {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly #session: InferenceSession;
  readonly #tensor: TensorConstructor;
  readonly #queue: Queue;
  #disposed = false;

  constructor(session: InferenceSession, tensor: TensorConstructor, queue: Queue, model: Model) {
    this.#session = session;
    this.#tensor = tensor;
    this.#queue = queue;
    this.inputs = fedInputs(model);
    this.outputs = model.graph.outputs;
  }

  bind(buffers: Tensors): Binding {
    this.#assertLive();
    checkBuffers(this, buffers);
    return new CopyingBinding(this, { ...buffers });
  }

  async call(
    inputs: Tensors,
    outputs: readonly string[] = outputNames(this),
  ): Promise<Record<string, Tensor>> {
    this.#assertLive();
    checkInputs(this, inputs, outputs);
    const feeds = this.inputs.map(({ name }) => [name, toOrt(this.#tensor, name, inputs[name])] as const);
    const run = () => this.#session.run(Object.fromEntries(feeds), outputs);
    const results = await explained('the run failed', this.#queue.add(run));
    return Object.fromEntries(outputs.map(name => [name, fromOrt(results[name])]));
  }

  #assertLive(): void {
    if (this.#disposed) throw new GaslawError('this program was disposed; compile the model again');
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    void this.#queue.add(() => this.#session.release()).catch(() => undefined); // nobody is left to tell
  }
}

class CopyingBinding implements Binding {
  readonly #program: SessionProgram;
  readonly #inputs: Tensors;
  readonly #outputs: Tensors;
  #disposed = false;

  constructor(program: SessionProgram, buffers: Tensors) {
    const pick = (infos: readonly ValueInfo[]) =>
      Object.fromEntries(
        infos.filter(({ name }) => name in buffers).map(({ name }) => [name, buffers[name]]),
      );
    this.#program = program;
    this.#inputs = pick(program.inputs);
    this.#outputs = pick(program.outputs);
  }

  async run(): Promise<void> {
    if (this.#disposed) throw new GaslawError('this binding was disposed');
    const results = await this.#program.call(this.#inputs, Object.keys(this.#outputs));
    for (const [name, tensor] of Object.entries(this.#outputs)) copyInto(name, tensor, results[name]);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
  }
}
