/**
 * A decoder over packed weights that are read stage by stage: what it takes to make them ready is the packed model and
 * one or two stages on top, never the model twice.
 *
 * 1. Where the runtime's kernels keep weights in a form of their own, two pieces of memory serve all stages by turns; elsewhere
 *    each stage keeps its own.
 * 2. The embedding table stays in its file; rows are read as tokens ask for them (looked-up.ts).
 */
import { consumesWeights } from '../compress/quantize/consumed.ts';
import type { PackFormat } from '../compress/quantize/pack.ts';
import {
  ACCURACY_LEVEL,
  type FloatSource,
  formatOf,
  type PackChoice,
  type PackMemory,
  packInputs,
} from '../compress/quantize/pack-inputs.ts';
import { type CacheFormat, quantizeCache } from '../generate/cache-format.ts';
import { Decoder } from '../generate/decoder.ts';
import { aheadGraph, aheadModel, checkedAhead, decodeGraph, weightInputs } from '../generate/graphs.ts';
import { type Graph, sizeOf, type ValueInfo } from '../graph/ir.ts';
import { cutStages } from '../graph/stages.ts';
import type { CausalModel } from '../models/model.ts';
import type { CompileOptions, Program, Runtime } from '../runtime/runtime.ts';
import { compileStages } from '../runtime/staged.ts';
import { LookedUpProgram, takeOutLookup } from './looked-up.ts';

/** Stages that a model's products are cut into, its last one apart. */
const STAGES = 10;
/** Smaller stages are not worth a program of their own. */
const LEAST_BYTES = 1 << 23;

export interface PackedDecoderOptions extends CompileOptions {
  /** Bytes of packed weights in a stage; a tenth of the model, 8 MiB at least, when absent. */
  readonly stageBytes?: number;
  /** How keys and values are kept; as floats when absent. */
  readonly cache?: CacheFormat;
  /** With the module that predicts one token further. */
  readonly ahead?: boolean;
}

/** Compiles `model` with weights of that format, or each of the format that its file has. */
export async function packedDecoder(
  runtime: Runtime,
  model: CausalModel,
  source: FloatSource,
  choice: PackChoice,
  { cache, ahead = false, ...options }: PackedDecoderOptions = {},
): Promise<Decoder> {
  const held = new Set(model.parameters.map(({ name }) => name));
  const module = ahead
    ? await packedGraph(aheadGraph(checkedAhead(model, name => held.has(name))), aheadModel(model))
    : undefined;
  const graph = decodeGraph(model, 'inputs', { hidden: ahead });
  return packedGraph(graph, cache ? quantizeCache(graph, model, cache) : model, module);

  async function packedGraph(graph: Graph, stepModel: CausalModel, beside?: Decoder): Promise<Decoder> {
    const lookup = takeOutLookup(graph);
    const infos = weightInputs(graph, stepModel).filter(({ name }) => name !== lookup?.rows.name);
    const inner = await packedProgram(runtime, graph, infos, source, choice, options);
    const program = lookup ? new LookedUpProgram(inner, lookup, source) : inner;
    return Decoder.fromProgram(runtime, stepModel, program, options, beside);
  }
}

/** Compiles `graph`, of whose inputs `infos` are weights. */
async function packedProgram(
  runtime: Runtime,
  graph: Graph,
  infos: readonly ValueInfo[],
  source: FloatSource,
  choice: PackChoice,
  { stageBytes, ...options }: Omit<PackedDecoderOptions, 'cache' | 'ahead'>,
): Promise<Program> {
  const weights = new Map(infos.map(info => [info.name, info]));
  const formats = new Map(
    [...weights].map(([name, { shape }]) => {
      return [name, formatOf(name, shape as readonly number[], source, choice)]; // parameters have fixed shapes
    }),
  );
  const bytes = new Map([...weights].map(([name, info]) => [name, packedBytes(info, formats.get(name))]));
  const total = [...bytes.values()].reduce((sum, n) => sum + n, 0);
  const stages = cutStages(graph, bytes, stageBytes ?? Math.max(LEAST_BYTES, total / STAGES));
  const bytesOf = stages.map(stage =>
    stage.inputs.reduce((sum, { name }) => sum + (bytes.get(name) ?? 0) + PADDING, 0),
  );
  const consumed = await allConsumed(runtime, [...formats.values()]);
  const dropped = () => runtime.tidy?.();
  const memories = [new Turn(dropped), new Turn(dropped)];
  return compileStages(
    runtime,
    {
      stages,
      inputs: graph.inputs.filter(({ name }) => !weights.has(name)),
      outputs: graph.outputs,
      order: [...stages.keys()].sort((a, b) => (bytesOf[b] as number) - (bytesOf[a] as number)),
      async prepare(stage, turn) {
        const memory = consumed ? (memories[turn % 2] as Turn) : new Turn(dropped);
        memory.reset(bytesOf[stages.indexOf(stage)] as number);
        const own = stage.inputs.filter(({ name }) => weights.has(name));
        await packInputs(stage, own, source, choice, memory);
        return consumed ? memory.namesIn(stage) : new Set();
      },
    },
    options,
  );
}

/** Whether products of all formats that occur are independent of the arrays that they are compiled from. */
async function allConsumed(runtime: Runtime, formats: readonly (PackFormat | undefined)[]): Promise<boolean> {
  const different = new Map(formats.flatMap(f => (f ? [[`${f.bits} ${f.blockSize}`, f] as const] : [])));
  for (const format of different.values())
    if (!(await consumesWeights(runtime, format, ACCURACY_LEVEL))) return false;
  return true;
}

/** What a weight takes packed. */
const packedBytes = ({ shape }: ValueInfo, format: PackFormat | undefined): number =>
  sizeOf(shape as readonly number[]) * (format ? format.bits / 8 + 4 / format.blockSize : 4);

const ALIGNMENT = 8;
/** What alignment may add to a weight's two parts. */
const PADDING = 2 * ALIGNMENT;

/** Memory that is handed out from its start again after a reset. */
class Turn implements PackMemory {
  #buffer = new ArrayBuffer(0);
  #used = 0;
  readonly #onDrop: () => void;

  constructor(onDrop: () => void) {
    this.#onDrop = onDrop;
  }

  take = (bytes: number): Uint8Array => {
    const piece = new Uint8Array(this.#buffer, this.#used, bytes);
    this.#used += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return piece;
  };

  /** Makes sure of `bytes`, and not of many more. */
  reset(bytes: number): void {
    this.#used = 0;
    const size = this.#buffer.byteLength;
    if (size >= bytes && size <= 2 * bytes) return;
    this.#buffer = new ArrayBuffer(0);
    if (size > 0) this.#onDrop();
    this.#buffer = new ArrayBuffer(bytes);
  }

  /** The initializers that lie here. */
  namesIn({ initializers }: Graph): Set<string> {
    const here = [...initializers].filter(([, { data }]) => (data as Uint8Array).buffer === this.#buffer);
    return new Set(here.map(([name]) => name));
  }
}
