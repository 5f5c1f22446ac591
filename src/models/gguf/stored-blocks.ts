/**
 * Matrices of a GGUF file in the blocks that they are stored in, for products that take them so.
 *
 * 1. A matrix is moved in pieces. Where heads are in pairs (see names.ts) pieces are whole heads, and rows find their places
 *    one by one: blocks lie along rows.
 */
import { isPacked, PACKED_TYPES, packStored } from '../../formats/gguf/packed.ts';
import type { GgufFile } from '../../formats/gguf/reader.ts';
import { GGML_TYPES, ggmlBytes } from '../../formats/gguf/types.ts';
import { sizeOf } from '../../graph/ir.ts';
import { rowInHalves } from '../rotary-layout.ts';
import type { StoredBlocks } from '../weight-files.ts';
import type { Matched } from './files.ts';
import type { Json } from './keys.ts';

/** Elements that are moved at once; more where a head has more. */
const PIECE = 1 << 20;

/** The blocks of a parameter; undefined when it is stored as floats. */
export function blocksOf(file: GgufFile, of: Matched, config: Json): StoredBlocks | undefined {
  const type = file.tensors.get(of.name)?.type;
  if (of.storage === 'latent') return {}; // two tensors
  if (type === undefined || GGML_TYPES[type].elements === 1) return undefined;
  if (!isPacked(type) || of.storage === 'plus-one') return {};
  const { blockSize } = PACKED_TYPES[type];
  const [rows, columns] = of.spec.dims as readonly [number, number]; // only matrices are in blocks
  const width = headWidth(of, config);
  const step = (width ?? 1) * Math.max(1, Math.floor(PIECE / ((width ?? 1) * columns)));
  const begin = (of.expert ?? 0) * sizeOf(of.spec.dims);
  return {
    packed: {
      ...PACKED_TYPES[type],
      async readInto(target, first) {
        const put = (stored: Uint8Array, row: number) =>
          packStored(type, stored, target, first + (row * columns) / blockSize);
        for (let row = 0; row < rows; row += step) {
          const count = Math.min(step, rows - row) * columns;
          await file.readBlocks(of.name, begin + row * columns, count, stored => {
            if (width === undefined) put(stored, row);
            else eachRow(stored, ggmlBytes(type, columns), width, (bytes, at) => put(bytes, row + at));
          });
        }
      },
    },
  };
}

/** Rows of a head whose dimensions are in pairs. */
function headWidth({ storage, spec }: Matched, config: Json): number | undefined {
  const rows = spec.dims[0] as number;
  if (storage === 'query-pairs') return rows / Number(config.num_attention_heads);
  return storage === 'key-pairs' ? rows / Number(config.num_key_value_heads) : undefined;
}

/** Hands out the rows of whole heads, each with its number when pairs are halves. */
function eachRow(
  stored: Uint8Array,
  rowBytes: number,
  width: number,
  put: (bytes: Uint8Array, row: number) => void,
): void {
  for (let row = 0; row * rowBytes < stored.length; row++) {
    const inHead = row % width;
    put(stored.subarray(row * rowBytes, (row + 1) * rowBytes), row - inHead + rowInHalves(inHead, width));
  }
}
