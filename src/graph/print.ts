/**
 * Graphs as text to read: a header with inputs and outputs, then one line a node.
 *
 *     graph "block" (%x: float32[B,T,64]) -> (%y: float32[B,T,64])
 *       %w: float32[64,64] = initializer (16.4 kB)
 *       %h: float32[B,T,64] = MatMul(%x, %w)
 *       %y: float32[B,T,64] = Softmax(%h) {axis: -1}  # attention_3
 *
 * 1. Small constants stand where they are used; large ones have a line of their own.
 * 2. A node's name follows as a comment when it says more than its output's name.
 * 3. Lines are cut at a width, since a line that wraps hides the shape of a graph.
 */
import { decodeFloats, fromFloat8e8m0, isSmallFloat } from '../util/float16.ts';
import { bitsOf, byteLength, type DType, isPacked } from './dtype.ts';
import {
  type Attribute,
  type Graph,
  type Model,
  type Node,
  opKey,
  sizeOf,
  type Tensor,
  type TensorType,
  typeOf,
  type ValueInfo,
} from './ir.ts';

export interface PrintOptions {
  /** Characters a line may have; infinite by default for programs, 120 suits terminals. */
  readonly width?: number;
  /** Constants of up to this many elements are printed where they are used. */
  readonly inlineElements?: number;
}

interface Style {
  readonly width: number;
  readonly inlineElements: number;
}

const styleOf = ({ width = Number.POSITIVE_INFINITY, inlineElements = 8 }: PrintOptions): Style => ({
  width,
  inlineElements,
});

/** `float32[B,T,64]`; `float32[…]` when the rank is unknown. */
export const printType = ({ dtype, shape }: TensorType): string =>
  `${dtype}[${shape ? shape.join(',') : '…'}]`;

/** A model: versions, then its graph. */
export function printModel(model: Model, options: PrintOptions = {}): string {
  const opsets = [...model.opsets].map(([domain, version]) => `${domain || 'ai.onnx'} ${version}`);
  const head = `model by ${model.producer || 'unknown'}, IR ${model.irVersion}, ${opsets.join(', ')}`;
  return `${cut(head, styleOf(options).width)}\n${printGraph(model.graph, options)}`;
}

export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  const style = styleOf(options);
  return graphLines(graph, style, '')
    .map(line => cut(line, style.width))
    .join('\n');
}

/** One node as it stands in `printGraph` (without its bodies). */
export const printNode = (node: Node, graph: Graph, options: PrintOptions = {}): string =>
  cut(nodeLine(node, graph, styleOf(options)), styleOf(options).width);

const cut = (line: string, width: number): string =>
  line.length > width ? `${line.slice(0, Math.max(0, width - 1))}…` : line;

function graphLines(graph: Graph, style: Style, indent: string): string[] {
  const list = (infos: readonly ValueInfo[]) => infos.map(i => `%${i.name}: ${printType(i)}`).join(', ');
  const head = `${indent}graph "${graph.name}" (${list(graph.inputs)}) -> (${list(graph.outputs)})`;
  const inner = `${indent}  `;
  const large = [...graph.initializers].filter(([, tensor]) => !isInline(tensor, style));
  return [
    head,
    ...large.map(
      ([name, tensor]) => `${inner}%${name}: ${tensorType(tensor)} = initializer (${sizeText(tensor)})`,
    ),
    ...graph.nodes.flatMap(node => [
      `${inner}${nodeLine(node, graph, style)}`,
      ...bodyLines(node, style, inner),
    ]),
  ];
}

const bodyLines = (node: Node, style: Style, indent: string): string[] =>
  Object.entries(node.attributes).flatMap(([name, a]) =>
    a.type === 'graph' ? [`${indent}  ${name}:`, ...graphLines(a.value, style, `${indent}    `)] : [],
  );

function nodeLine(node: Node, graph: Graph, style: Style): string {
  const outputs = node.outputs.map(name => outputText(name, graph)).join(', ');
  const inputs = node.inputs.map(name => inputText(name, graph, style)).join(', ');
  const attributes = Object.entries(node.attributes).flatMap(([name, a]) =>
    a.type === 'graph' ? [] : [`${name}: ${attributeText(a, style)}`],
  );
  const braces = attributes.length > 0 ? ` {${attributes.join(', ')}}` : '';
  const comment = node.outputs.includes(node.name) ? '' : `  # ${node.name}`;
  return `${outputs} = ${opKey(node)}(${inputs})${braces}${comment}`;
}

function outputText(name: string, graph: Graph): string {
  if (name === '') return '_';
  const type = typeOf(graph, name) ?? graph.outputs.find(output => output.name === name);
  return type ? `%${name}: ${printType(type)}` : `%${name}`;
}

function inputText(name: string, graph: Graph, style: Style): string {
  if (name === '') return '_';
  const tensor = graph.initializers.get(name);
  return tensor && isInline(tensor, style) ? printTensor(tensor, style) : `%${name}`;
}

function attributeText(attribute: Exclude<Attribute, { type: 'graph' }>, style: Style): string {
  const { type, value } = attribute;
  if (type === 'tensor') return printTensor(value, style);
  if (type === 'string') return JSON.stringify(value);
  if (type === 'strings') return `[${value.map(text => JSON.stringify(text)).join(', ')}]`;
  if (type === 'int') return String(value);
  if (type === 'float') return floatText(value);
  return `[${type === 'ints' ? value.join(', ') : value.map(floatText).join(', ')}]`;
}

/** `2.5` for a float32 scalar, `int64[2]{1, -1}` otherwise; only the type when it is large. */
export function printTensor(tensor: Tensor, options: PrintOptions = {}): string {
  const style = styleOf(options);
  if (!isInline(tensor, style)) return `${tensorType(tensor)}{…}`;
  const values = elementTexts(tensor);
  if (tensor.dtype === 'float32' && tensor.dims.length === 0) return values[0];
  return `${tensorType(tensor)}{${values.join(', ')}}`;
}

const tensorType = ({ dtype, dims }: Tensor): string => printType({ dtype, shape: dims });
const isInline = (tensor: Tensor, style: Style): boolean => sizeOf(tensor.dims) <= style.inlineElements;

function elementTexts({ dtype, dims, data }: Tensor): string[] {
  if (Array.isArray(data)) return data.map(text => JSON.stringify(text));
  const plain = Array.from(data as Float64Array, Number); // all arrays that remain hold numbers or bigints
  if (dtype === 'int64' || dtype === 'uint64') return Array.from(data as BigInt64Array, String);
  if (dtype === 'bool') return plain.map(v => (v === 0 ? 'false' : 'true'));
  const codes = isPacked(dtype) ? unpacked(plain, dtype).slice(0, sizeOf(dims)) : plain;
  if (dtype === 'float8e8m0') return codes.map(code => floatText(fromFloat8e8m0(code)));
  return Array.from(isSmallFloat(dtype) ? decodeFloats(codes, dtype) : codes, floatText);
}

/** Elements of less than a byte, low bits first; `int` types in two's complement. */
function unpacked(bytes: readonly number[], dtype: DType): number[] {
  const bits = bitsOf(dtype);
  const codes = bytes.flatMap(byte =>
    Array.from({ length: 8 / bits }, (_, i) => (byte >> (i * bits)) & (2 ** bits - 1)),
  );
  return dtype.startsWith('int') ? codes.map(v => (v >= 2 ** (bits - 1) ? v - 2 ** bits : v)) : codes;
}

/** Six significant digits: enough to recognise, short enough to read. */
const floatText = (value: number): string =>
  Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));

function sizeText({ dtype, dims }: Tensor): string {
  if (dtype === 'string') return `${sizeOf(dims)} strings`;
  const bytes = byteLength(dtype, sizeOf(dims));
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
