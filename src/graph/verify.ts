/**
 * Is this a legal graph? Run between passes and before files are written.
 *
 * 1. Every value is defined once, before it is read; a body sees the values defined before the node that holds it
 *    and may not define one of the same name.
 * 2. All problems are collected (ten are shown), since one mistake in a pass tends to show in many places.
 * 3. What an op demands of its inputs and attributes is known in `ops/`, which comes in as `checkNode`.
 * Source: "graphs" and "names within a graph" in the ONNX intermediate representation specification.
 */
import { GaslawError } from '../util/errors.ts';
import type { Attribute, Graph, Model, Node, Shape, TensorType, ValueInfo } from './ir.ts';
import { checkTensor } from './tensor-proto.ts';

export interface VerifyOptions {
  /** Problems of one node; may return sentences or throw a GaslawError. */
  readonly checkNode?: (node: Node, graph: Graph) => readonly string[];
}

/** What is known while walking: names seen so far, and the problems. */
interface Walk {
  readonly problems: string[];
  readonly options: VerifyOptions;
  readonly nodeNames: Set<string>;
  readonly domains: ReadonlyMap<string, number> | undefined;
}

type Names = ReadonlySet<string>;

const SHOWN = 10;

/** Throws a GaslawError that lists what is wrong with the graph, in the order of its nodes. */
export function verify(subject: Model | Graph, options: VerifyOptions = {}): void {
  const problems = problemsOf(subject, options);
  if (problems.length === 0) return;
  const name = 'graph' in subject ? subject.graph.name : subject.name;
  if (problems.length === 1) throw new GaslawError(`graph "${name}": ${problems[0]}`);
  const shown = problems.slice(0, SHOWN).map(problem => `\n  - ${problem}`);
  const rest = problems.length > SHOWN ? `\n  - and ${problems.length - SHOWN} more` : '';
  throw new GaslawError(`graph "${name}" has ${problems.length} problems:${shown.join('')}${rest}`);
}

/** All problems as sentences; empty for a legal graph. */
export function problemsOf(subject: Model | Graph, options: VerifyOptions = {}): string[] {
  const isModel = 'graph' in subject;
  const walk: Walk = {
    problems: [],
    options,
    nodeNames: new Set(),
    domains: isModel ? subject.opsets : undefined,
  };
  if (isModel) checkOpsets(subject, walk);
  checkGraph(isModel ? subject.graph : subject, new Set(), walk);
  return walk.problems;
}

function checkOpsets({ opsets }: Model, { problems }: Walk): void {
  for (const [domain, version] of opsets) {
    if (Number.isInteger(version) && version >= 1) continue;
    problems.push(`opset of domain "${domain || 'ai.onnx'}" is ${version}, not a version`);
  }
}

function checkGraph(graph: Graph, outer: Names, walk: Walk): void {
  const own = new Set<string>();
  const define = (name: string, what: string): void => {
    if (name === '') walk.problems.push(`${what} has an empty name`);
    else if (own.has(name)) walk.problems.push(`"${name}" is defined twice, the second time by ${what}`);
    else if (outer.has(name)) walk.problems.push(`"${name}" of ${what} hides a value of the graph around it`);
    own.add(name);
  };
  graph.inputs.forEach((input, i) => void define(input.name, `input ${i}`));
  checkInitializers(graph, own, define, walk);
  checkNodes(graph, own, outer, define, walk);
  checkOutputs(graph, own, walk);
  checkTypes(graph, walk);
}

type Define = (name: string, what: string) => void;

/** An initializer may bear an input's name: it is that input's default. */
function checkInitializers(graph: Graph, own: Set<string>, define: Define, walk: Walk): void {
  const inputs = new Set(graph.inputs.map(input => input.name));
  for (const [name, tensor] of graph.initializers) {
    if (inputs.has(name)) own.add(name);
    else define(name, 'an initializer');
    collect(walk, () => void checkTensor(tensor, `initializer "${name}"`));
  }
}

function checkNodes(graph: Graph, own: Set<string>, outer: Names, define: Define, walk: Walk): void {
  const later = new Set(graph.nodes.flatMap(node => node.outputs));
  for (const node of graph.nodes) {
    checkNodeHead(node, walk);
    for (const name of node.inputs) {
      if (name === '' || own.has(name) || outer.has(name)) continue;
      walk.problems.push(
        `node "${node.name}" (${node.opType}) reads "${name}", which ${later.has(name) ? 'is made only after it' : 'nothing makes'}`,
      );
    }
    checkAttributes(node, () => new Set([...outer, ...own]), walk);
    collect(walk, () => void walk.problems.push(...(walk.options.checkNode?.(node, graph) ?? [])));
    // `''` stands for an output that is left out.
    for (const name of node.outputs) if (name !== '') define(name, `node "${node.name}"`);
  }
}

function checkNodeHead(node: Node, { problems, nodeNames, domains }: Walk): void {
  if (node.name === '') problems.push(`a node (${node.opType || 'without op type'}) has an empty name`);
  else if (nodeNames.has(node.name)) problems.push(`two nodes are named "${node.name}"`);
  nodeNames.add(node.name);
  if (node.opType === '') problems.push(`node "${node.name}" has no op type`);
  if (node.outputs.every(name => name === ''))
    problems.push(`node "${node.name}" (${node.opType}) has no outputs`);
  const domain = node.domain === 'ai.onnx' ? '' : node.domain;
  if (domains && !domains.has(domain)) {
    problems.push(
      `node "${node.name}" is of domain "${domain || 'ai.onnx'}", which the model imports no opset of`,
    );
  }
}

function checkAttributes(node: Node, visible: () => Names, walk: Walk): void {
  for (const [name, attribute] of Object.entries(node.attributes))
    checkAttribute(node, name, attribute, visible, walk);
}

function checkAttribute(
  node: Node,
  name: string,
  attribute: Attribute,
  visible: () => Names,
  walk: Walk,
): void {
  if (attribute.type === 'graph') checkGraph(attribute.value, visible(), walk);
  if (attribute.type !== 'tensor') return;
  collect(walk, () => void checkTensor(attribute.value, `node "${node.name}": attribute ${name}`));
}

/** Runs a check that throws and keeps its sentence. Defects pass through. */
function collect({ problems }: Walk, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof GaslawError)) throw error;
    problems.push(error.message);
  }
}

// ---- outputs and types ----

function checkOutputs(graph: Graph, own: Names, { problems }: Walk): void {
  const seen = new Set<string>();
  graph.outputs.forEach((output, i) => {
    if (output.name === '') problems.push(`output ${i} has an empty name`);
    else if (!own.has(output.name)) problems.push(`output "${output.name}" is made by nothing in the graph`);
    if (seen.has(output.name)) problems.push(`two outputs are named "${output.name}"`);
    seen.add(output.name);
  });
}

function checkTypes(graph: Graph, { problems }: Walk): void {
  const inputs = new Map(graph.inputs.map(input => [input.name, input]));
  const known = (name: string): TensorType | undefined => {
    const tensor = graph.initializers.get(name);
    return tensor ? { dtype: tensor.dtype, shape: tensor.dims } : (graph.types.get(name) ?? inputs.get(name));
  };
  for (const info of [...graph.inputs, ...graph.outputs]) problems.push(...shapeProblems(info));
  for (const output of graph.outputs) {
    const type = known(output.name);
    if (type && !agree(type, output)) {
      problems.push(`output "${output.name}" is declared ${text(output)} but is ${text(type)}`);
    }
  }
}

function shapeProblems({ name, shape }: ValueInfo): string[] {
  const wrong = (shape ?? []).find(d =>
    typeof d === 'number' ? !Number.isSafeInteger(d) || d < 0 : d === '',
  );
  return wrong === undefined
    ? []
    : [`"${name}" has a dimension ${JSON.stringify(wrong)}, neither count nor symbol`];
}

const agree = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && shapesAgree(a.shape, b.shape);

/** Symbols agree with anything: two names may stand for the same number. */
const shapesAgree = (a: Shape | undefined, b: Shape | undefined): boolean =>
  !a ||
  !b ||
  (a.length === b.length &&
    a.every((d, i) => typeof d === 'string' || typeof b[i] === 'string' || d === b[i]));

const text = ({ dtype, shape }: TensorType): string => `${dtype}[${shape ?? '…'}]`;
