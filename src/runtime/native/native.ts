/**
 * The native runtime: ONNX Runtime's C API, called through koffi on the caller's typed arrays.
 *
 * 1. koffi and onnxruntime-node are optional dependencies. Where koffi or the library cannot load, onnxruntime-node's own
 *    binding serves, and where that is missing too, onnxruntime-web; `warn` is told once what was lost and why.
 */
import { lower } from '../../autodiff/lower.ts';
import type { Model } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import type { CompileOptions, Program, Runtime } from '../runtime.ts';
import { fedInputs, Queue } from '../web/session-program.ts';
import { webRuntime } from '../web/web.ts';
import { loadOrtNode, NodeBindingRuntime, type OrtNode } from './binding.ts';
import { type Engine, engineAt } from './engine.ts';
import { findLibrary, type Koffi, loadKoffi } from './library.ts';
import { NativeProgram } from './program.ts';
import { createSession } from './session.ts';
import { avoidWebgpuFaults } from './webgpu.ts';

export interface NativeOptions {
  /** Path of another libonnxruntime (1.22 or newer), for example one built with CUDA; no fallback then. */
  library?: string;
  /** Told once when the runtime falls back to something slower; standard error by default. */
  warn?: (message: string) => void;
  /** How koffi is loaded. */
  loadFfi?: () => Promise<Koffi>;
  /** How onnxruntime-node is loaded when koffi fails. */
  loadBinding?: () => Promise<OrtNode>;
}

/** Sessions with an arena of the one environment's are created in turn: a limit is set on it while one is. */
const limited = new Queue();

class NativeRuntime implements Runtime {
  readonly name = 'native';
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  tidy(): void {
    this.#engine.collect();
    this.#engine.trim();
  }

  async compile(model: Model, options: CompileOptions = {}): Promise<Program> {
    const lowered = { ...model, graph: lower(model.graph) };
    if (options.provider === 'webgpu') avoidWebgpuFaults(lowered.graph);
    const create = () => createSession(this.#engine, lowered, options);
    const usesArena = options.memoryLimitBytes !== undefined || options.sharedMemory;
    const session = await (usesArena ? limited.add(create) : create());
    const signature = { inputs: fedInputs(lowered), outputs: lowered.graph.outputs };
    return new NativeProgram(this.#engine, session, signature, options);
  }
}

/** The fastest runtime that this machine can load. */
export async function nativeRuntime(options: NativeOptions = {}): Promise<Runtime> {
  try {
    const koffi = await (options.loadFfi ?? loadKoffi)();
    return new NativeRuntime(engineAt(koffi, options.library ?? findLibrary()));
  } catch (error) {
    if (options.library !== undefined) throw new GaslawError(`${options.library}: ${reasonOf(error)}`);
    return await fallback(options, reasonOf(error));
  }
}

async function fallback(
  { loadBinding, warn = warnOnStderr }: NativeOptions,
  reason: string,
): Promise<Runtime> {
  try {
    const runtime = new NodeBindingRuntime(await (loadBinding ?? loadOrtNode)());
    warn(
      `calling ONNX Runtime directly is not possible here (${reason}): using onnxruntime-node's slower binding`,
    );
    return runtime;
  } catch (error) {
    warn(
      `no native ONNX Runtime here (${reasonOf(error)}): using the WebAssembly build, several times slower`,
    );
    return await webRuntime();
  }
}

/** The first line of what was thrown, without the stack of files that asked for a missing package. */
const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0].trim();

const warnOnStderr = (message: string): void => void process.stderr.write(`gaslaw: ${message}\n`);
