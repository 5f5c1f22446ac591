/**
 * Legal random graphs, for tests of passes, printers and codecs.
 *
 * 1. Every graph runs: values are float32[n] (or the bool `choice`), ops are elementwise, bodies capture from outside.
 * 2. Besides there are initializers of every element type that nobody reads.
 */
import type { Random } from '../util/random.ts';
import { allocate, DTYPE_CODES, type DType } from './dtype.ts';
import { emptyGraph, float32, type Graph, type Node, type Tensor } from './ir.ts';

const UNARY = ['Neg', 'Tanh', 'Identity', 'Relu'] as const;
const BINARY = ['Add', 'Sub', 'Mul'] as const;
const TYPE = { dtype: 'float32', shape: ['n'] } as const;

/** A graph of inputs `x`: float32[n] and `choice`: bool[], of up to `size` nodes, with one or two outputs. */
export function randomGraph(random: Random, size = 12): Graph {
  const graph = emptyGraph('random');
  graph.inputs = [
    { name: 'x', ...TYPE },
    { name: 'choice', dtype: 'bool', shape: [] },
  ];
  graph.initializers.set('c', float32([1], [random.normal()]));
  for (const dtype of Object.keys(DTYPE_CODES) as DType[]) {
    if (random.int(4) === 0) graph.initializers.set(`unused_${dtype}`, randomTensor(random, dtype));
  }
  const made = addNodes(graph, random, ['x', 'c'], 1 + random.int(size), '');
  const outputs = new Set([made[made.length - 1], random.pick(made)]);
  graph.outputs = [...outputs].map(name => ({ name, ...TYPE }));
  return graph;
}

/** Data of any bits (bool: 0 and 1), dims of up to three axes. */
export function randomTensor(random: Random, dtype: DType): Tensor {
  const dims = Array.from({ length: random.int(4) }, () => random.int(4));
  const data = allocate(
    dtype,
    dims.reduce((a, b) => a * b, 1),
  );
  if (Array.isArray(data)) return { dtype, dims, data: data.map(() => `s${random.bits()}`) };
  const bytes = new Uint8Array(data.buffer);
  bytes.forEach((_, i) => {
    bytes[i] = dtype === 'bool' ? random.int(2) : random.int(256);
  });
  return { dtype, dims, data };
}

/** Adds nodes that read `visible` and each other; returns the names they make. */
function addNodes(graph: Graph, random: Random, visible: string[], count: number, prefix: string): string[] {
  const made: string[] = [];
  for (let i = 0; i < count; i++) {
    const name = `${prefix}v${i}`;
    graph.nodes.push(randomNode(random, [...visible, ...made], name));
    graph.types.set(name, TYPE);
    made.push(name);
  }
  return made;
}

function randomNode(random: Random, visible: string[], name: string): Node {
  const node = { name: `node_${name}`, domain: '', outputs: [name], attributes: {} };
  const kind = random.int(8);
  if (kind === 0 && name.length < 8) {
    const branch = (side: string) =>
      ({ type: 'graph', value: randomBody(random, visible, `${name}_${side}_`) }) as const;
    const attributes = { then_branch: branch('t'), else_branch: branch('e') };
    return { ...node, opType: 'If', inputs: ['choice'], attributes };
  }
  const inputs = [random.pick(visible), random.pick(visible)];
  if (kind < 5) return { ...node, opType: random.pick(BINARY), inputs };
  return { ...node, opType: random.pick(UNARY), inputs: inputs.slice(0, 1) };
}

function randomBody(random: Random, visible: string[], prefix: string): Graph {
  const body = emptyGraph(`${prefix}body`);
  const made = addNodes(body, random, visible, 1 + random.int(3), prefix);
  body.outputs = [{ name: made[made.length - 1], ...TYPE }];
  return body;
}
