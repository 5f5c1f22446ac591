/**
 * Nodes that pass on what they read: exporters leave them, and they hide one op from the next.
 *
 * 1. An op is an identity where its attributes and constants say so, or where it only changes the shape and both shapes
 *    are the same (symbols included).
 * 2. Dropout is one at inference, unless its mask is read.
 * 3. A graph output keeps its name: what makes the input makes the output, or else one Identity stays.
 */
import { DTYPE_CODES } from '../graph/dtype.ts';
import { type Graph, type Node, opKey, type Tensor, typeOf } from '../graph/ir.ts';
import {
  capturedNames,
  consumersOf,
  producersOf,
  removeNodes,
  replaceAllUses,
  replaceUses,
  walkNodes,
} from '../graph/walk.ts';
import { Attributes } from '../ops/rule.ts';
import { sameDim } from '../ops/shape/dims.ts';
import { constantTensor } from '../ops/shape/values.ts';

type Test = (c: Candidate) => boolean;

class Candidate {
  readonly graph: Graph;
  readonly node: Node;
  readonly attributes: Attributes;

  constructor(graph: Graph, node: Node) {
    this.graph = graph;
    this.node = node;
    this.attributes = new Attributes(node.attributes);
  }

  has(i: number): boolean {
    return (this.node.inputs[i] ?? '') !== '';
  }

  constant(i: number): Tensor | undefined {
    const name = this.node.inputs[i] ?? '';
    return this.graph.inputs.some(input => input.name === name)
      ? undefined
      : constantTensor(this.graph, name);
  }

  /** Whether input `i` is left out, or constant and everywhere `value`. */
  every(i: number, value: number): boolean {
    const data = this.constant(i)?.data;
    return (
      !this.has(i) || (data !== undefined && Array.from(data as Float32Array).every(v => Number(v) === value))
    );
  }

  ints(name: string, value: number): boolean {
    return (this.attributes.ints(name) ?? []).every(v => v === value);
  }

  get sameShape(): boolean {
    const [x, y] = [this.node.inputs[0], this.node.outputs[0]].map(
      name => typeOf(this.graph, name ?? '')?.shape,
    );
    return x !== undefined && x.length === y?.length && x.every((d, i) => sameDim(d, y[i] as number));
  }
}

const always: Test = () => true;
const sameShape: Test = c => c.sameShape;
const oneInput: Test = c => c.node.inputs.length === 1;
/** The second operand is one number, `value`. A vector of ones is a weight that may be trained. */
const operand =
  (value: number): Test =>
  c =>
    c.constant(1)?.data.length === 1 && c.every(1, value) && c.sameShape;
const pool: Test = c => c.sameShape && c.ints('kernel_shape', 1) && c.ints('strides', 1) && c.ints('pads', 0);

const TESTS: Readonly<Record<string, Test>> = {
  Identity: always,
  Dropout: c => c.every(2, 0),
  Cast: c => {
    const dtype = typeOf(c.graph, c.node.inputs[0] ?? '')?.dtype;
    return dtype !== undefined && DTYPE_CODES[dtype] === c.attributes.int('to', 0);
  },
  Transpose: c => c.attributes.ints('perm')?.every((axis, i) => axis === i) ?? false,
  Reshape: sameShape,
  Flatten: sameShape,
  Squeeze: sameShape,
  Unsqueeze: sameShape,
  Expand: sameShape,
  Tile: c => c.has(1) && c.every(1, 1),
  Pad: c => c.has(1) && c.every(1, 0),
  Slice: c => c.sameShape && c.every(4, 1),
  Resize: c =>
    c.sameShape &&
    (c.has(3) || c.every(2, 1)) &&
    c.attributes.string('coordinate_transformation_mode', '') !== 'tf_crop_and_resize',
  Clip: c => !c.has(1) && !c.has(2),
  Concat: oneInput,
  Sum: oneInput,
  Mean: oneInput,
  Max: oneInput,
  Min: oneInput,
  Add: operand(0),
  Sub: operand(0),
  Mul: operand(1),
  Div: operand(1),
  Pow: operand(1),
  AveragePool: pool,
  MaxPool: pool,
};

/** Whether output 0 of the node is its input 0, as far as constants and types tell. */
export function isIdentity(graph: Graph, node: Node): boolean {
  return TESTS[opKey(node)]?.(new Candidate(graph, node)) ?? false;
}

/** Takes all of them out, bodies included, and returns the names of the nodes that are gone. Nodes must be in order and typed. */
export function dropIdentities(graph: Graph): string[] {
  const graphs = new Set([graph, ...[...walkNodes(graph)].map(walked => walked.graph)]);
  return [...graphs].flatMap(dropFrom);
}

function dropFrom(graph: Graph): string[] {
  const outputs = new Set(graph.outputs.map(output => output.name));
  const consumers = consumersOf(graph);
  const names = new Map<string, string>();
  const gone = new Set<Node>();
  for (const node of graph.nodes) {
    const [output, ...others] = node.outputs as [string, ...string[]];
    if (outputs.has(output) || !isIdentity(graph, node)) continue;
    if (others.some(name => outputs.has(name) || consumers.has(name))) continue;
    const [x] = node.inputs as [string];
    names.set(output, names.get(x) ?? x);
    gone.add(node);
  }
  replaceAllUses(graph, names);
  removeNodes(graph, gone);
  return [...gone, ...dropAtOutputs(graph)].map(node => node.name);
}

/** The maker of what an identity passes on makes the graph output itself. */
function dropAtOutputs(graph: Graph): Node[] {
  const producers = producersOf(graph);
  const fixed = new Set([
    ...graph.outputs.map(output => output.name),
    ...graph.inputs.map(input => input.name),
  ]);
  const captured = new Set(
    [...walkNodes(graph)].flatMap(walked => (walked.graph === graph ? [] : [...capturedNames(walked.graph)])),
  );
  const gone = new Set<Node>();
  for (const node of graph.nodes) {
    const [x, output] = [node.inputs[0] as string, node.outputs[0] as string];
    const producer = producers.get(x);
    const movable = producer && !fixed.has(x) && !captured.has(x);
    if (!fixed.has(output) || !movable || node.outputs.length > 1 || !isIdentity(graph, node)) continue;
    const type = typeOf(graph, x);
    producer.outputs = producer.outputs.map(name => (name === x ? output : name));
    replaceUses(graph, x, output);
    graph.types.delete(x);
    if (type) graph.types.set(output, type);
    producers.set(output, producer);
    gone.add(node);
  }
  const types = new Map(graph.types);
  removeNodes(graph, gone);
  graph.types = types;
  return [...gone];
}
