/**
 * A graph cut into graphs that run one after another, so that what its weights need while they are made ready is needed for a
 * part of them at a time.
 *
 * 1. Nodes stay in their order. A stage ends before the node whose weight would not fit any more, where every value that
 *    crosses has a type whose dims are numbers or symbols of the graph's inputs: whoever runs the stages must be able to
 *    make room for it.
 * 2. What crosses is an output of the stage that makes it and an input of those that read it; constants are shared.
 */
import type { Graph, TensorType, ValueInfo } from './ir.ts';
import { producersOf, usesOf } from './walk.ts';

/** Cuts `graph`, whose nodes are in order; `bytesOf` are the bytes of inputs that are weights. */
export function cutStages(graph: Graph, bytesOf: ReadonlyMap<string, number>, limitBytes: number): Graph[] {
  const cuts = cutsOf(graph, bytesOf, limitBytes);
  if (cuts.length === 0) return [graph];
  const ends = [...cuts, graph.nodes.length];
  return ends.map((end, i) => stageOf(graph, i === 0 ? 0 : (ends[i - 1] as number), end, i));
}

/** Indices of the nodes before which stages end. */
function cutsOf(graph: Graph, bytesOf: ReadonlyMap<string, number>, limitBytes: number): number[] {
  const cuts: number[] = [];
  let bytes = 0;
  graph.nodes.forEach((node, i) => {
    const more = usesOf(node).reduce((sum, name) => sum + (bytesOf.get(name) ?? 0), 0);
    if (more > 0 && bytes > 0 && bytes + more > limitBytes && canCut(graph, i)) {
      cuts.push(i);
      bytes = 0;
    }
    bytes += more;
  });
  return cuts;
}

function canCut(graph: Graph, at: number): boolean {
  const symbols = new Set(graph.inputs.flatMap(({ shape }) => shape ?? []));
  return crossing(graph, at).every(name => {
    const shape = graph.types.get(name)?.shape;
    return shape?.every(dim => typeof dim === 'number' || symbols.has(dim));
  });
}

/** Values made before node `at` and read from there on. */
function crossing(graph: Graph, at: number): string[] {
  const made = new Set(graph.nodes.slice(0, at).flatMap(node => node.outputs));
  const read = new Set(graph.nodes.slice(at).flatMap(usesOf));
  return [...made].filter(name => name !== '' && read.has(name));
}

function stageOf(graph: Graph, from: number, to: number, index: number): Graph {
  const nodes = graph.nodes.slice(from, to);
  const made = new Set(nodes.flatMap(node => node.outputs));
  const read = new Set(nodes.flatMap(usesOf).filter(name => name !== '' && !made.has(name)));
  const later = new Set(graph.nodes.slice(to).flatMap(usesOf));
  const info = (name: string): ValueInfo => ({ name, ...(graph.types.get(name) as TensorType) }); // checked by canCut
  const producers = producersOf(graph);
  const outside = [...read].filter(name => producers.has(name)).map(info);
  const names = new Set(graph.outputs.map(({ name }) => name));
  return {
    name: `${graph.name}_${index}`,
    nodes,
    inputs: [...graph.inputs.filter(({ name }) => read.has(name)), ...outside],
    outputs: [
      ...graph.outputs.filter(({ name }) => made.has(name)),
      ...[...made].filter(name => later.has(name) && !names.has(name)).map(info),
    ],
    initializers: new Map([...graph.initializers].filter(([name]) => read.has(name))),
    types: new Map([...graph.types].filter(([name]) => made.has(name))),
  };
}
