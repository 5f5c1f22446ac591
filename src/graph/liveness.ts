/**
 * How much memory a graph's intermediate values need when its nodes run in the order in which they stand.
 *
 * 1. Counted are values that nodes make; inputs and initializers belong to the caller and are reported apart.
 * 2. Ops that only rename the shape share their input's buffer, as they do in ONNX Runtime.
 * 3. A buffer lives from the node that makes it to its last reader; graph outputs live to the end.
 */
import { GaslawError } from '../util/errors.ts';
import { byteLength } from './dtype.ts';
import { type Dim, type Graph, type Node, opKey, typeOf } from './ir.ts';
import { consumersOf, usesOf } from './walk.ts';

export interface Liveness {
  /** Most bytes of intermediate values alive at once. */
  readonly peakBytes: number;
  /** The node at which that is. */
  readonly peakNode: string;
  /** Bytes of inputs and initializers. */
  readonly residentBytes: number;
}

const NONE: ReadonlySet<string> = new Set();
const VIEWS: ReadonlySet<string> = new Set(['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze']);

/**
 * The peak over `graph.nodes` in order. `symbols` gives numbers for symbolic dims.
 * Throws a GaslawError naming the first value whose size is not known.
 */
export function liveness(
  graph: Graph,
  symbols: (dim: string) => number | undefined = () => undefined,
): Liveness {
  const bytes = (name: string): number => bytesOf(graph, name, symbols);
  const outside = [...new Set([...graph.inputs.map(i => i.name), ...graph.initializers.keys()])];
  const residentBytes = outside.reduce((sum, name) => sum + bytes(name), 0);
  return { ...peakOf(momentsOf(graph, buffersOf(graph), bytes)), residentBytes };
}

/** The value whose buffer each node-made value lives in. Views of inputs and initializers have none. */
function buffersOf(graph: Graph, inPlace: ReadonlySet<string> = NONE): Map<string, string> {
  const buffers = new Map<string, string>();
  const readers = inPlace.size > 0 ? consumersOf(graph) : undefined;
  const isOverwritten = (node: Node): boolean => {
    const [input] = node.inputs;
    const kept = graph.outputs.some(output => output.name === input) || !buffers.has(input);
    return inPlace.has(opKey(node)) && !kept && readers?.get(input)?.length === 1;
  };
  for (const node of graph.nodes) {
    const source = VIEWS.has(opKey(node)) || isOverwritten(node) ? node.inputs[0] : undefined;
    for (const name of node.outputs) {
      const buffer = source === undefined ? name : buffers.get(source);
      if (name !== '' && buffer !== undefined) buffers.set(name, buffer);
    }
  }
  return buffers;
}

/** Index of the last node that needs each buffer. */
function lastUses(graph: Graph, buffers: ReadonlyMap<string, string>): Map<string, number> {
  const last = new Map<string, number>();
  graph.nodes.forEach((node, i) => {
    for (const name of [...node.outputs, ...usesOf(node)]) {
      const buffer = buffers.get(name);
      if (buffer !== undefined) last.set(buffer, i);
    }
  });
  for (const output of graph.outputs) {
    const buffer = buffers.get(output.name);
    if (buffer !== undefined) last.set(buffer, graph.nodes.length);
  }
  return last;
}

/** The moment at which a node runs. */
export interface LiveMoment {
  readonly node: string;
  /** Bytes of intermediate values alive then. */
  readonly bytes: number;
}

export interface MemoryOptions {
  /** Numbers of symbolic dims. */
  readonly symbols?: (dim: string) => number | undefined;
  /** Ops that write over their input where nothing else reads it: activations that a kernel applies to its own output. */
  readonly inPlace?: ReadonlySet<string>;
}

/** Bytes alive while each node runs, in order. Throws as `liveness` does. */
export function memoryOverTime(
  graph: Graph,
  { symbols = () => undefined, inPlace }: MemoryOptions = {},
): LiveMoment[] {
  return momentsOf(graph, buffersOf(graph, inPlace), name => bytesOf(graph, name, symbols));
}

function momentsOf(
  graph: Graph,
  buffers: ReadonlyMap<string, string>,
  bytes: (name: string) => number,
): LiveMoment[] {
  const last = lastUses(graph, buffers);
  const dying = new Map<number, string[]>();
  for (const [buffer, i] of last) dying.set(i, [...(dying.get(i) ?? []), buffer]);
  let live = 0;
  return graph.nodes.map((node, i) => {
    for (const name of node.outputs) if (buffers.get(name) === name) live += bytes(name);
    const moment = { node: node.name, bytes: live };
    for (const buffer of dying.get(i) ?? []) live -= bytes(buffer);
    return moment;
  });
}

function peakOf(moments: readonly LiveMoment[]): Pick<Liveness, 'peakBytes' | 'peakNode'> {
  const start = { node: '', bytes: 0 };
  const peak = moments.reduce((most, moment) => (moment.bytes > most.bytes ? moment : most), start);
  return { peakBytes: peak.bytes, peakNode: peak.node };
}

function bytesOf(graph: Graph, name: string, symbols: (dim: string) => number | undefined): number {
  const type = typeOf(graph, name);
  const count = (dim: Dim): number | undefined => (typeof dim === 'number' ? dim : symbols(dim));
  const dims = type?.shape?.map(count);
  if (!type || !dims || dims.includes(undefined)) {
    const known = type?.shape ? `has shape [${type.shape.join()}]` : 'is of unknown shape';
    throw new GaslawError(`graph "${graph.name}": "${name}" ${known}; its bytes cannot be counted`);
  }
  return byteLength(
    type.dtype,
    (dims as number[]).reduce((a, b) => a * b, 1),
  );
}
