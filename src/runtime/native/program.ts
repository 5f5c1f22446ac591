/**
 * Programs and bindings over an `OrtSession`.
 *
 * 1. A binding prepares everything once: values over the caller's arrays and the four pointer arrays of `Run`. A run is
 *    then one native call with constant arguments.
 * 2. In the background the call runs on one of koffi's threads; one run of a binding at a time.
 */
import type { Tensor, ValueInfo } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { checkBuffers, checkInputs, outputNames } from '../checks.ts';
import type { Binding, CompileOptions, Program } from '../runtime.ts';
import { inBackground } from './background.ts';
import type { Engine } from './engine.ts';
import type { Address, Argument } from './library.ts';
import { disposeWith, Resources } from './resources.ts';
import type { Session } from './session.ts';
import { copyValue, stableAddress, wrapTensor } from './values.ts';

interface Named {
  readonly name: string;
  readonly value: Address;
}
const valuesOf = (named: readonly Named[]): BigUint64Array =>
  BigUint64Array.from(named, ({ value }) => value);

export class NativeProgram implements Program {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly #engine: Engine;
  readonly #session: Session;
  readonly #background: boolean;
  readonly #names = new Map<string, Buffer>();

  constructor(
    engine: Engine,
    session: Session,
    { inputs, outputs }: Pick<Program, 'inputs' | 'outputs'>,
    options: CompileOptions,
  ) {
    this.#engine = engine;
    this.#session = session;
    this.inputs = inputs;
    this.outputs = outputs;
    this.#background = options.background ?? false;
    for (const { name } of [...inputs, ...outputs]) this.#names.set(name, Buffer.from(`${name}\0`));
    disposeWith(this, session.resources);
  }

  bind(buffers: Readonly<Record<string, Tensor>>): Binding {
    this.#assertLive();
    checkBuffers(this, buffers);
    return new NativeBinding(this, this.#engine, buffers, this.#background);
  }

  async call(
    inputs: Readonly<Record<string, Tensor>>,
    outputs: readonly string[] = outputNames(this),
  ): Promise<Record<string, Tensor>> {
    this.#assertLive();
    checkInputs(this, inputs, outputs);
    const resources = new Resources();
    resources.keep(inputs);
    try {
      const wrapped = this.inputs.map(({ name }) =>
        wrapNamed(this.#engine, name, inputs[name] as Tensor, resources),
      );
      const run = this.prepare(
        wrapped,
        outputs.map(name => ({ name, value: 0n })),
      );
      await (this.#background ? this.runAsync(run) : this.runNow(run));
      return this.#collect(outputs, run.outputs);
    } finally {
      resources.dispose();
    }
  }

  #collect(names: readonly string[], values: BigUint64Array): Record<string, Tensor> {
    try {
      return Object.fromEntries(
        names.map((name, i) => [name, copyValue(this.#engine, values[i] as Address)]),
      );
    } finally {
      for (const value of values) this.#engine.api.ReleaseValue(value);
    }
  }

  /** The arguments of `Run` and the arrays that they point into. */
  prepare(inputs: readonly Named[], outputs: readonly Named[]): PreparedRun {
    const kept = [
      this.#namesOf(inputs),
      valuesOf(inputs),
      this.#namesOf(outputs),
      valuesOf(outputs),
    ] as const;
    const [inNames, inValues, outNames, outValues] = kept.map(array =>
      stableAddress(this.#engine.koffi, array),
    );
    const session = this.#session.address;
    return {
      kept,
      outputs: kept[3],
      parameters: [session, null, inNames, inValues, inputs.length, outNames, outputs.length, outValues],
    };
  }

  #namesOf(values: readonly Named[]): BigUint64Array {
    const { koffi } = this.#engine;
    return BigUint64Array.from(values, ({ name }) => stableAddress(koffi, this.#names.get(name) as Buffer));
  }

  runNow({ parameters }: PreparedRun): void {
    const status = this.#engine.api.Run(...parameters);
    if (status !== null) this.#engine.check(status, 'the run failed');
  }

  runAsync(run: PreparedRun): Promise<void> {
    return this.#session.resources.during(async () => {
      this.#engine.check(await inBackground(this.#engine.api.Run, run.parameters, run), 'the run failed');
    });
  }

  #assertLive(): void {
    if (this.disposed) throw new GaslawError('this program was disposed; compile the model again');
  }

  get disposed(): boolean {
    return this.#session.resources.disposed;
  }

  [Symbol.dispose](): void {
    this.#session.resources.dispose();
  }
}

interface PreparedRun {
  readonly kept: readonly unknown[];
  readonly outputs: BigUint64Array;
  /** As in the API table. */
  readonly parameters: readonly Argument[];
}

class NativeBinding implements Binding {
  readonly #program: NativeProgram;
  readonly #resources = new Resources();
  readonly #background: boolean;
  readonly #run: PreparedRun;
  /** Keeps the caller's arrays referenced while native code can see them. */
  readonly #buffers: Readonly<Record<string, Tensor>>;
  #running = false;

  constructor(
    program: NativeProgram,
    engine: Engine,
    buffers: Readonly<Record<string, Tensor>>,
    background: boolean,
  ) {
    this.#program = program;
    this.#buffers = { ...buffers };
    this.#background = background;
    const wrap = ({ name }: ValueInfo): Named =>
      wrapNamed(engine, name, this.#buffers[name] as Tensor, this.#resources);
    const outputs = program.outputs.filter(({ name }) => name in this.#buffers);
    this.#run = program.prepare(program.inputs.map(wrap), outputs.map(wrap));
    disposeWith(this, this.#resources);
  }

  async run(): Promise<void> {
    if (this.#resources.disposed || this.#program.disposed)
      throw new GaslawError('this binding was disposed');
    if (!this.#background) return this.#program.runNow(this.#run);
    if (this.#running) throw new GaslawError('this binding is still running; await its last run first');
    this.#running = true;
    try {
      await this.#resources.during(() => this.#program.runAsync(this.#run));
    } finally {
      this.#running = false;
    }
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}

function wrapNamed(engine: Engine, name: string, tensor: Tensor, resources: Resources): Named {
  const value = wrapTensor(engine, tensor);
  resources.add(() => engine.api.ReleaseValue(value));
  return { name, value };
}
