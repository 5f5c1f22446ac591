/**
 * Weight-only quantization: a graph in, the same graph with low-bit weights out. Activations stay float.
 *
 *   MatMul(x, W), FusedMatMul(x, W, transB)  →  MatMulNBits(x, codes, scales, zeros)
 *   Gather(W, ids)                           →  GatherBlockQuantized(codes, ids, scales, zeros)
 *
 * 1. The block is the largest power of two up to the one asked for, 16 or more, that divides a row; when none does, rows
 *    are padded, and tables, which cannot be, stay float.
 * 2. The product that makes the graph's output and the tables that are looked up keep 8 bits by default: they are a
 *    small part of a model and the most sensitive one.
 * 3. A table that is also multiplied (tied embeddings) is stored once.
 * 4. 8-bit products let the runtime round activations to 8 bits a block (accuracy level 4): ONNX Runtime's CPU provider
 *    has no other fast 8-bit kernel. 4-bit ones compute in float32 (level 1).
 */
import { type Graph, type Node, sizeOf, type Tensor } from '../../graph/ir.ts';
import { sortTopologically } from '../../graph/walk.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { assert } from '../../util/errors.ts';
import {
  type BlockFormat,
  type BlockQuantized,
  blockTensors,
  errorOf,
  type MatrixError,
  type StoredBits,
  storedBits,
} from './blocks.ts';
import { type InputStatistics, METHODS, type MethodName, type MethodOptions } from './methods/index.ts';
import {
  matrixOf,
  type PackedValues,
  placeOf,
  rewriteProduct,
  rewriteTable,
  type WeightPlace,
  type WeightRole,
  type WeightUse,
} from './places.ts';

export interface WeightOnlyOptions {
  readonly bits: StoredBits;
  /** Bits of output products and of tables; 'float' leaves them. Default 8. */
  readonly outputBits?: StoredBits | 'float';
  readonly tableBits?: StoredBits | 'float';
  /** Bits of a weight by its name, for those that are more sensitive than the rest; undefined for the others. */
  readonly bitsOf?: (name: string) => StoredBits | undefined;
  /** Largest block, a power of two from 16. Default 32 at 8 bits and 16 at 4 bits. */
  readonly blockSize?: number;
  /** Without zero points. Default: at 8 bits. */
  readonly symmetric?: boolean;
  /** How files hold scales. Default float16. */
  readonly scales?: BlockFormat['scales'];
  /** Default: `gptq` where `inputs` has the weight's statistics, else `mse`. */
  readonly method?: MethodName;
  /** What the method may be told. */
  readonly methodOptions?: MethodOptions;
  /** 1 computes in float32, 4 rounds activations to 8 bits a block. Default: 4 at 8 bits, 1 at 4 bits. */
  readonly accuracyLevel?: 0 | 1 | 4;
  /** Weights with fewer elements stay float. Default 1024. */
  readonly minElements?: number;
  /** Statistics of the inputs of each product, by weight name (see calibrate.ts). */
  readonly inputs?: ReadonlyMap<string, InputStatistics>;
}

export interface QuantizedWeight extends MatrixError {
  readonly name: string;
  readonly role: WeightRole;
  readonly bits: number;
  readonly blockSize: number;
  readonly symmetric: boolean;
  readonly method: MethodName;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface WeightOnlyReport {
  readonly weights: readonly QuantizedWeight[];
  /** Matrices that stayed float, and why. */
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
}

interface Candidate extends WeightPlace {
  readonly name: string;
  readonly tensor: Tensor;
}

/** Rewrites `graph` in place. Throws when a method's statistics are missing. */
export function quantizeWeights(graph: Graph, options: WeightOnlyOptions): WeightOnlyReport {
  const weights: QuantizedWeight[] = [];
  const kept: { name: string; reason: string }[] = [];
  const builder = new Builder(graph);
  for (const [name, tensor] of [...graph.initializers]) {
    if (tensor.dtype !== 'float32' || tensor.dims.length !== 2) continue;
    const candidate = candidateOf(graph, name, tensor);
    if (!candidate) continue;
    const format = formatOf(candidate, options);
    if (typeof format === 'string') kept.push({ name, reason: format });
    else weights.push(quantizeOne(builder, candidate, format, options));
  }
  sortTopologically(graph);
  return { weights, kept };
}

/** The weight with its uses, or undefined when something reads it that needs it whole. */
function candidateOf(graph: Graph, name: string, tensor: Tensor): Candidate | undefined {
  const place = placeOf(graph, name);
  return place && { name, tensor, ...place };
}

/** The format for a weight, or the reason why it stays float. */
function formatOf({ name, tensor, role, uses }: Candidate, options: WeightOnlyOptions): BlockFormat | string {
  const { minElements = 1024 } = options;
  const size = sizeOf(tensor.dims);
  if (size < minElements) return `has ${size} elements, fewer than ${minElements}`;
  const bits = options.bitsOf?.(name) ?? bitsFor(role, options);
  if (bits === 'float') return `${role} weights stay float`;
  const { blockSize = bits === 8 ? 32 : 16 } = options;
  assert(
    blockSize >= 16 && Number.isInteger(Math.log2(blockSize)),
    `block size ${blockSize} is no power of two from 16`,
  );
  const columns = (uses[0]?.transposed ? tensor.dims[1] : tensor.dims[0]) as number;
  const block = dividingBlock(columns, blockSize);
  const isTable = uses.some(use => use.kind === 'table');
  if (isTable && block === undefined) return `its rows of ${columns} are no multiple of a block of 16`;
  return {
    bits,
    blockSize: block ?? blockSize,
    symmetric: options.symmetric ?? bits === 8,
    scales: fitsFloat16(tensor) ? (options.scales ?? 'float16') : 'float32',
  };
}

function bitsFor(
  role: WeightRole,
  { bits, outputBits = 8, tableBits = 8 }: WeightOnlyOptions,
): StoredBits | 'float' {
  if (role === 'product') return bits;
  return role === 'output' ? outputBits : tableBits;
}

function dividingBlock(columns: number, largest: number): number | undefined {
  for (let block = largest; block >= 16; block /= 2) if (columns % block === 0) return block;
  return undefined;
}

/** Whether scales of values of this size are normal float16 numbers. */
function fitsFloat16({ data }: Tensor): boolean {
  let largest = 0;
  for (const w of data as Float32Array) if (Math.abs(w) > largest) largest = Math.abs(w);
  return largest === 0 || (largest > 1e-2 && largest < 1e4);
}

function quantizeOne(
  builder: Builder,
  candidate: Candidate,
  format: BlockFormat,
  options: WeightOnlyOptions,
): QuantizedWeight {
  const { name, tensor, role, uses } = candidate;
  const matrix = matrixOf(tensor, uses[0]?.transposed ?? false);
  const inputs = options.inputs?.get(name);
  const method = methodFor(options.method ?? (inputs ? 'gptq' : 'mse'), uses);
  const q = METHODS[method].quantize(matrix, format, inputs, options.methodOptions);
  const stored = store(builder, name, q);
  const level = options.accuracyLevel ?? (format.bits === 8 ? 4 : 1);
  for (const use of uses) {
    if (use.kind === 'product') rewriteProduct(use.node, stored, level);
    else rewriteTable(use.node, asRows(builder, use.node, stored));
  }
  builder.graph.initializers.delete(name);
  const { bits, blockSize, symmetric } = format;
  const bytesBefore = tensor.data.length * 4;
  return {
    name,
    role,
    bits,
    blockSize,
    symmetric,
    method,
    bytesBefore,
    bytesAfter: stored.bytes,
    ...errorOf(matrix, q),
  };
}

/** Tables are not products, so methods that need the inputs of one fall back to the search. */
const methodFor = (method: MethodName, uses: readonly WeightUse[]): MethodName =>
  METHODS[method].needs === 'inputs' && uses.every(use => use.kind === 'table') ? 'mse' : method;

/** A weight's tensors in the graph. */
interface Stored extends PackedValues {
  readonly bytes: number;
}

function store(b: Builder, name: string, q: BlockQuantized): Stored {
  const tensors = blockTensors(q);
  const put = (part: string, tensor: Tensor) => b.initializer(`${name}.${part}`, tensor);
  const bytes = [tensors.codes, tensors.scales, tensors.zeros].reduce(
    (sum, t) => sum + (t ? (t.data as Uint8Array).byteLength : 0),
    0,
  );
  const scales = put('scales', tensors.scales);
  return {
    rows: q.rows,
    columns: q.columns,
    bits: storedBits(q.format),
    blockSize: q.format.blockSize,
    codes: put('codes', tensors.codes),
    // runtimes fold this cast when they load the model
    scales: b.scope(name, () => scales.cast('float32')),
    zeros: tensors.zeros && put('zeros', tensors.zeros),
    bytes,
  };
}

/** The same tensors as rows: codes [V, bytes], scales [V, blocks], zero points [V, packed]. */
function asRows(b: Builder, node: Node, stored: Stored): PackedValues {
  const rows = (value: Value) => b.scope(node.name, () => value.reshape([stored.rows, -1]));
  const { codes, scales, zeros } = stored;
  return { ...stored, codes: rows(codes), scales: rows(scales), zeros: zeros && rows(zeros) };
}
