/**
 * The fallback over the onnxruntime-node package's own binding: no FFI, but every output is copied and `background`
 * has no effect.
 */
import type * as Ort from 'onnxruntime-common';
import { lower } from '../../autodiff/lower.ts';
import type { Model } from '../../graph/ir.ts';
import { encodeModel } from '../../graph/protobuf.ts';
import { UsageError } from '../../util/errors.ts';
import type { CompileOptions, Program, Runtime } from '../runtime.ts';
import { explained, Queue, SessionProgram } from '../web/session-program.ts';

export type OrtNode = Pick<typeof Ort, 'InferenceSession' | 'Tensor'>;

/** Imports onnxruntime-node. Throws when the package or its binary for this machine is missing. */
export async function loadOrtNode(): Promise<OrtNode> {
  const module = (await import('onnxruntime-node')) as unknown as OrtNode & { default?: OrtNode };
  return module.default ?? module; // a CommonJS package
}

export class NodeBindingRuntime implements Runtime {
  readonly name = 'native';
  readonly #ort: OrtNode;
  readonly #queue = new Queue();

  constructor(ort: OrtNode) {
    this.#ort = ort;
  }

  async compile(model: Model, options: CompileOptions = {}): Promise<Program> {
    const lowered = { ...model, graph: lower(model.graph) };
    const create = this.#ort.InferenceSession.create(encodeModel(lowered), sessionOptions(options));
    const session = await explained('the model cannot be compiled', create, lowered.graph);
    return new SessionProgram(session, this.#ort.Tensor, this.#queue, lowered);
  }
}

function sessionOptions(options: CompileOptions): Ort.InferenceSession.SessionOptions {
  const { provider = 'cpu', threads, spinning, profile } = options;
  if (provider === 'wasm') throw new UsageError('provider "wasm" belongs to the web runtime; use "cpu" here');
  return {
    executionProviders: [provider],
    graphOptimizationLevel: options.optimization ?? 'all',
    ...(threads ? { intraOpNumThreads: threads } : {}),
    enableCpuMemArena: !options.lowMemory,
    ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile }),
    logSeverityLevel: 4,
    extra: {
      session: {
        intra_op: { allow_spinning: spinning === false ? '0' : '1' },
        force_spinning_stop: spinning === undefined ? '1' : '0',
      },
    },
  };
}
