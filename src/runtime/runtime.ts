/**
 * What every runtime is: compile a graph, bind named buffers, run, dispose.
 *
 * 1. Buffers are typed arrays that the caller owns; a runtime reads inputs from them and writes outputs into them.
 * 2. Binding one tensor object to an input and an output asks for an update in place. It is safe only where the
 *    graph reads that input for that output alone (see ../../docs/DESIGN.md, "in place").
 * 3. `call` is for outputs whose shape is only known after the run.
 */
import type { Model, Tensor, ValueInfo } from '../graph/ir.ts';

export type Provider = 'cpu' | 'webgpu' | 'cuda' | 'wasm';

export interface CompileOptions {
  provider?: Provider;
  /** Intra-op threads; 0 lets the runtime choose. */
  threads?: number;
  /** Keep worker threads spinning between ops and runs: faster back-to-back runs, busy cores when idle. */
  spinning?: boolean;
  optimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Folder path prefix for ONNX Runtime's profile; off when absent. */
  profile?: string;
  /** Give freed memory back after each run instead of keeping an arena (lower peak, slower). */
  lowMemory?: boolean;
  /** Upper bound of the runtime's own arena in bytes. */
  memoryLimitBytes?: number;
  /** Run off the main thread so that the event loop stays free. */
  background?: boolean;
  /** Compile off the main thread. */
  compileInBackground?: boolean;
  /** Take working memory from one pool with all other programs that say so: for programs that never run at once. */
  sharedMemory?: boolean;
  /** Initializers that nothing reads after compiling, as the caller has found out: their arrays are not kept. */
  consumed?: ReadonlySet<string>;
  /** Directory of external data files named by the model. */
  externalDataDir?: string;
}

export interface Binding extends Disposable {
  run(): Promise<void>;
}

export interface Program extends Disposable {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /**
   * Binds a tensor to every input and, to be filled by `run`, to every output named here.
   * Throws when a name is unknown or missing, or a dtype or fixed dimension does not match.
   */
  bind(buffers: Readonly<Record<string, Tensor>>): Binding;
  /** Runs once and returns fresh tensors for all outputs, or for those in `outputs`. */
  call(
    inputs: Readonly<Record<string, Tensor>>,
    outputs?: readonly string[],
  ): Promise<Record<string, Tensor>>;
}

export interface Runtime {
  readonly name: 'reference' | 'native' | 'web';
  /** Gives memory back to the system that is no longer used. */
  tidy?(): void;
  /** Throws one sentence naming the first node that this runtime cannot run. */
  compile(model: Model, options?: CompileOptions): Promise<Program>;
}
