/**
 * A graph whose weights are inputs, turned into one that holds them packed: how a model is opened in 8 or 4 bits.
 *
 * 1. Values are read in small pieces and rounded on the way (see pack.ts): there is never a float copy of a
 *    matrix, let alone of the model.
 * 2. Matrices that are multiplied or looked up are packed, the last product and the tables included; norms, biases and what
 *    has rows that no block divides stay float.
 * 3. Products round their activations to 8 bits a block (accuracy level 4), which is what the runtime has fast kernels for.
 * 4. What a file holds in the blocks that products take is moved, not rounded. `stored` keeps all matrices near to what files
 *    have: such blocks as they are, other rounded ones in 8 bits, floats as floats.
 * 5. A table that is also multiplied (tied embeddings) is stored once, under two shapes.
 */
import { float32, type Graph, sizeOf, type ValueInfo } from '../../graph/ir.ts';
import type { StoredBlocks } from '../../models/weight-files.ts';
import { Builder } from '../../ops/builder.ts';
import { assert } from '../../util/errors.ts';
import { type PackFormat, type PackTarget, packBlocks } from './pack.ts';
import { placeOf, rewriteProduct, rewriteTable, type WeightPlace } from './places.ts';

/** Where values of parameters come from: a store, files. */
export interface FloatSource {
  /** How many elements parameter `name` has. */
  elementsOf(name: string): number;
  /** Reads the elements of parameter `name` from number `first` on into `out`. */
  readFloats(name: string, out: Float32Array, first?: number): Promise<void>;
  /** How a matrix is stored, where that is in blocks of few bits. */
  blocksOf?(name: string): StoredBlocks | undefined;
}

/** Formats that a model can be opened in. */
export const PACK_FORMATS = {
  q8: { bits: 8, blockSize: 32 },
  q4: { bits: 4, blockSize: 32 },
  /** Coarser: an eighth less memory and faster, with about a tenth more rounding error. */
  q4g128: { bits: 4, blockSize: 128 },
} as const satisfies Record<string, PackFormat>;
export type PackDType = keyof typeof PACK_FORMATS;
/** One format for all matrices, or for each the one that its file has. */
export type PackChoice = PackFormat | 'stored';

/** The choice of that name. */
export const packChoice = (dtype: PackDType | 'stored'): PackChoice =>
  dtype === 'stored' ? dtype : PACK_FORMATS[dtype];

/** Elements that are float at a time: what a core's own cache holds. */
const PIECE = 1 << 17;
/** Products round activations to 8 bits a block. */
export const ACCURACY_LEVEL = 4;

/** Where packed products lie until the runtime has them in its own form; what is looked up stays where it is. */
export interface PackMemory {
  /** A piece of that many bytes, aligned to 8. */
  take(bytes: number): Uint8Array;
}

const FRESH: PackMemory = { take: bytes => new Uint8Array(bytes) };

/**
 * Makes constants of the inputs `weights`, named as `ParameterTrace` names them (`a+b` is b's rows below a's). Returns the
 * bytes that they take.
 */
export async function packInputs(
  graph: Graph,
  weights: readonly ValueInfo[],
  source: FloatSource,
  choice: PackChoice,
  memory: PackMemory = FRESH,
): Promise<number> {
  const names = new Set(weights.map(({ name }) => name));
  graph.inputs = graph.inputs.filter(({ name }) => !names.has(name));
  const b = new Builder(graph);
  let bytes = 0;
  for (const { name, shape } of weights) {
    const dims = shape as readonly number[]; // parameters have fixed shapes
    const fitting = formatOf(name, dims, source, choice);
    const place = fitting && placeOf(graph, name);
    if (fitting && place && isTransposed(place))
      bytes += await packOne(b, { name, dims, place }, source, fitting, memory);
    else bytes += await keepOne(graph, name, dims, source);
  }
  return bytes;
}

const LEAST_BLOCK = 16;

/** The format of a weight, which may be several under each other; undefined when it stays float. */
export function formatOf(
  name: string,
  dims: readonly number[],
  source: FloatSource,
  choice: PackChoice,
): PackFormat | undefined {
  if (choice !== 'stored') return fittingFormat(dims, choice);
  const blocks = name.split('+').map(part => source.blocksOf?.(part));
  if (blocks.every(b => b === undefined)) return undefined;
  const [first, ...rest] = blocks.map(b => b?.packed);
  const alike = first && rest.every(p => p?.bits === first.bits && p.blockSize === first.blockSize);
  return fittingFormat(dims, alike ? first : PACK_FORMATS.q8);
}

/** The format with the largest block that divides a row of that matrix; undefined when none does, or it is no matrix. */
export function fittingFormat(dims: readonly number[], format: PackFormat): PackFormat | undefined {
  if (dims.length !== 2) return undefined;
  let { blockSize } = format;
  while (blockSize >= LEAST_BLOCK && (dims[1] as number) % blockSize !== 0) blockSize /= 2;
  return blockSize < LEAST_BLOCK ? undefined : { ...format, blockSize };
}

const isTransposed = ({ uses }: WeightPlace): boolean => uses.every(use => use.transposed);

async function keepOne(
  graph: Graph,
  name: string,
  dims: readonly number[],
  source: FloatSource,
): Promise<number> {
  const tensor = float32(dims, new Float32Array(sizeOf(dims)));
  const values = tensor.data as Float32Array;
  await readParts(name, dims, source, values.length, (piece, at) => values.set(piece, at));
  graph.initializers.set(name, tensor);
  return values.byteLength;
}

async function packOne(
  b: Builder,
  { name, dims, place }: { name: string; dims: readonly number[]; place: WeightPlace },
  source: FloatSource,
  format: PackFormat,
  memory: PackMemory,
): Promise<number> {
  const [rows, columns] = dims as [number, number];
  const { bits, blockSize } = format;
  const stays = place.uses.some(use => use.kind === 'table');
  const { take } = stays ? FRESH : memory;
  const scales = take((4 * rows * columns) / blockSize);
  const target = {
    codes: take((rows * columns * bits) / 8),
    scales: new Float32Array(scales.buffer, scales.byteOffset, scales.byteLength / 4),
  };
  const moved = await moveParts(name, source, format, target);
  if (!moved)
    await readParts(name, dims, source, pieceOf(columns), (piece, at) => {
      packBlocks(piece, target, at / blockSize, format);
    });
  rewrite(b, { name, rows, columns, ...format, ...target }, place);
  return target.codes.byteLength + target.scales.byteLength;
}

/** Moves the blocks of a parameter, or of several under each other, where all are stored in that format. */
async function moveParts(
  name: string,
  source: FloatSource,
  format: PackFormat,
  target: PackTarget,
): Promise<boolean> {
  const parts = name.split('+');
  const packed = parts.map(part => source.blocksOf?.(part)?.packed);
  if (!packed.every(p => p?.bits === format.bits && p.blockSize === format.blockSize)) return false;
  let first = 0;
  for (const [i, part] of parts.entries()) {
    await packed[i]?.readInto(target, first);
    first += source.elementsOf(part) / format.blockSize;
  }
  return true;
}

interface PackedWeight extends PackFormat, PackTarget {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
}

/** Puts a packed weight into the graph and makes its readers take it. */
function rewrite(b: Builder, weight: PackedWeight, { uses }: WeightPlace): void {
  const { name, rows, columns, bits, blockSize, codes, scales } = weight;
  const blocks = columns / blockSize;
  const put = (part: string, codeDims: readonly number[], scaleDims: readonly number[]) => ({
    ...weight,
    codes: b.initializer(`${name}.${part}codes`, { dtype: 'uint8', dims: codeDims, data: codes }),
    scales: b.initializer(`${name}.${part}scales`, float32(scaleDims, scales)),
  });
  const [products, tables] = (['product', 'table'] as const).map(kind => uses.filter(u => u.kind === kind));
  if (products?.length) {
    const values = put('', [rows, blocks, (blockSize * bits) / 8], [rows * blocks]);
    for (const { node } of products) rewriteProduct(node, values, ACCURACY_LEVEL);
  }
  if (tables?.length) {
    const values = put('table.', [rows, (columns * bits) / 8], [rows, blocks]);
    for (const { node } of tables) rewriteTable(node, values);
  }
}

/** Whole rows, one at least. */
const pieceOf = (columns: number): number => Math.max(1, Math.floor(PIECE / columns)) * columns;

/** Reads the values of a parameter, or of several under each other, piece by piece. */
async function readParts(
  name: string,
  dims: readonly number[],
  source: FloatSource,
  pieceSize: number,
  take: (piece: Float32Array, at: number) => void,
): Promise<void> {
  let at = 0;
  const buffer = new Float32Array(Math.min(pieceSize, sizeOf(dims)));
  for (const part of name.split('+')) {
    const size = source.elementsOf(part);
    for (let first = 0; first < size; first += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, size - first));
      await source.readFloats(part, piece, first);
      take(piece, at);
      at += piece.length;
    }
  }
  assert(at === sizeOf(dims), `parameter "${name}" has ${at} values but the model needs [${dims}]`);
}
