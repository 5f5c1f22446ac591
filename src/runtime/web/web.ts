/**
 * The web runtime: onnxruntime-web (WebAssembly, or WebGPU in browsers), in browsers and in Node.
 *
 * 1. The package is imported on first use, in the flavour that the platform and the provider need.
 * 2. In Node the package finds its own WebAssembly files; in a browser a bundler does, or `wasmPaths` says where they are.
 * 3. Its number of threads is fixed when its first session is created, and needs cross-origin isolation in browsers.
 */
import type * as Ort from 'onnxruntime-common';
import { lower } from '../../autodiff/lower.ts';
import type { Model } from '../../graph/ir.ts';
import { encodeModel } from '../../graph/protobuf.ts';
import { UsageError } from '../../util/errors.ts';
import type { CompileOptions, Program, Runtime } from '../runtime.ts';
import { explained, Queue, SessionProgram } from './session-program.ts';

export interface WebOptions {
  /** Where the package's .wasm and .mjs files are served from: a URL prefix that ends in `/`. */
  wasmPaths?: string;
  /** WebAssembly threads, 1 unless given; browsers need cross-origin isolation for more. */
  threads?: number;
}

type OrtModule = typeof Ort;
type Flavour = 'wasm' | 'webgpu';

const inNode = typeof process !== 'undefined' && process.versions?.node !== undefined;
/** A variable, so that bundlers for browsers leave the Node flavour out. */
const nodePackage = 'onnxruntime-web';

async function load(flavour: Flavour): Promise<OrtModule> {
  if (inNode) return (await import(/* @vite-ignore */ nodePackage)) as OrtModule;
  if (flavour === 'webgpu') return (await import('onnxruntime-web/webgpu')) as unknown as OrtModule;
  return (await import('onnxruntime-web/wasm')) as unknown as OrtModule;
}

const OPTIMIZATION = { disabled: 'disabled', basic: 'basic', extended: 'extended', all: 'all' } as const;

class WebRuntime implements Runtime {
  readonly name = 'web';
  readonly #options: WebOptions;
  readonly #queue = new Queue();
  readonly #modules = new Map<Flavour, Promise<OrtModule>>();

  constructor(options: WebOptions) {
    this.#options = options;
  }

  async compile(model: Model, options: CompileOptions = {}): Promise<Program> {
    const flavour = flavourOf(options.provider);
    const ort = await this.#module(flavour);
    const lowered = { ...model, graph: lower(model.graph) };
    const create = () => ort.InferenceSession.create(encodeModel(lowered), sessionOptions(flavour, options));
    const session = await explained('the model cannot be compiled', this.#queue.add(create), lowered.graph);
    return new SessionProgram(session, ort.Tensor, this.#queue, lowered);
  }

  #module(flavour: Flavour): Promise<OrtModule> {
    const module = this.#modules.get(flavour) ?? load(flavour).then(ort => configure(ort, this.#options));
    this.#modules.set(flavour, module);
    return module;
  }
}

function flavourOf(provider: CompileOptions['provider']): Flavour {
  if (provider === 'cuda')
    throw new UsageError('provider "cuda" belongs to the native runtime; use "cpu" or "webgpu"');
  if (provider === 'webgpu' && inNode)
    throw new UsageError('the web runtime has no WebGPU in Node; use the native runtime or provider "cpu"');
  return provider === 'webgpu' ? 'webgpu' : 'wasm';
}

function configure(ort: OrtModule, { wasmPaths, threads = 1 }: WebOptions): OrtModule {
  ort.env.logLevel = 'fatal';
  ort.env.wasm.numThreads ??= threads;
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
  return ort;
}

const sessionOptions = (flavour: Flavour, options: CompileOptions): Ort.InferenceSession.SessionOptions => ({
  executionProviders: [flavour],
  graphOptimizationLevel: OPTIMIZATION[options.optimization ?? 'all'],
  enableCpuMemArena: !options.lowMemory,
  enableProfiling: options.profile !== undefined,
  logSeverityLevel: 4,
});

/** ONNX Runtime's WebAssembly build. The package is loaded by the first `compile`. */
export const webRuntime = async (options: WebOptions = {}): Promise<Runtime> => new WebRuntime(options);
