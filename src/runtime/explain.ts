/**
 * ONNX Runtime's error messages as one sentence: the failing node's op and name come first, positions in ONNX Runtime's
 * own sources and error codes are dropped.
 */
import type { Graph } from '../graph/ir.ts';

/** Each gives op, node name and the rest of the sentence. */
const NODE_FORMS: readonly { pattern: RegExp; op: number; name: number; rest: number }[] = [
  {
    pattern: /Non-zero status code returned while running (\S+) node\. Name:'([^']*)' Status Message: (.*)$/s,
    op: 1,
    name: 2,
    rest: 3,
  },
  { pattern: /In Node, \("([^"]*)", (\w+), .*?\) : .*? , Error (.*)$/s, op: 2, name: 1, rest: 3 },
  { pattern: /Node \(([^)]*)\) Op \((\w+)\) (?:\[\w+\] )?(.*)$/s, op: 2, name: 1, rest: 3 },
];
/** How the web package begins: `failed to call OrtRun(). ERROR_CODE: 2, ERROR_MESSAGE: `. */
const ERROR_CODE = /^.*?ERROR_CODE: \d+, ERROR_MESSAGE: /s;
const FILE = /^\S+\.(?:cc|h|cpp|hpp):\d+ /;
/** A C++ function's signature: `onnxruntime::common::Status onnxruntime::Helper::Compute(int, bool) const [with …] `. */
const FUNCTION =
  /^(?:[\w:<>*&]+ )*[\w:~<>]*::[\w~]+\([^()]*(?:\([^()]*\)[^()]*)*\)\s+(?:const\s+)?(?:\[[^\]]*\]\s+)?/;
const CONDITION = /^.{1,300}? was (?:true|false)\.\s+(?=\S)/s;

/** The sentence that `message` amounts to. With `graph`, a message that names only an op is given its first node. */
export function explain(message: string, graph?: Graph): string {
  const plain = message.replace(ERROR_CODE, '');
  for (const { pattern, op, name, rest } of NODE_FORMS) {
    const found = pattern.exec(plain);
    if (found) return `${found[op]} node "${found[name]}": ${oneLine(found[rest])}`;
  }
  return withNode(oneLine(plain), graph);
}

const oneLine = (text: string): string =>
  withoutPosition(text.replace(/^\[\w+Error\] /, ''))
    .replace(/\s+/g, ' ')
    .trim();

function withoutPosition(message: string): string {
  const bare = message.replace(FILE, '').replace(FUNCTION, '').replace(CONDITION, '');
  return bare.trim() === '' ? message : bare;
}

function withNode(text: string, graph: Graph | undefined): string {
  const words = new Set(text.split(/\W+/));
  const nodes = graph?.nodes ?? [];
  if (nodes.some(node => node.name !== '' && text.includes(`'${node.name}'`))) return text;
  const node = nodes.find(candidate => words.has(candidate.opType));
  return node ? `${node.opType} node "${node.name}": ${text}` : text;
}
