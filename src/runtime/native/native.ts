/**
 * The native runtime: ONNX Runtime's C API, called through koffi on the caller's typed arrays.
 */
import type { Model } from '../../graph/ir.ts';
import type { CompileOptions, Program, Runtime } from '../runtime.ts';
import { type Engine, engineAt } from './engine.ts';
import { findLibrary, type Koffi, loadKoffi } from './library.ts';
import { NativeProgram } from './program.ts';
import { createSession } from './session.ts';

export interface NativeOptions {
  /** Path of another libonnxruntime (1.22 or newer), for example one built with CUDA. */
  library?: string;
  /** Told once when the runtime has to fall back to something slower; standard error by default. */
  warn?: (message: string) => void;
  /** How koffi is loaded. */
  loadFfi?: () => Promise<Koffi>;
}

class NativeRuntime implements Runtime {
  readonly name = 'native';
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async compile(model: Model, options: CompileOptions = {}): Promise<Program> {
    const session = await createSession(this.#engine, model, options);
    const { inputs, outputs, initializers } = model.graph;
    const fed = inputs.filter(({ name }) => !initializers.has(name));
    return new NativeProgram(this.#engine, session, { inputs: fed, outputs }, options);
  }
}

/** The fastest runtime that this machine can load. */
export async function nativeRuntime(options: NativeOptions = {}): Promise<Runtime> {
  const koffi = await (options.loadFfi ?? loadKoffi)();
  return new NativeRuntime(engineAt(koffi, options.library ?? findLibrary()));
}
