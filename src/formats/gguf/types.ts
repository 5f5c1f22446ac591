/**
 * What a GGUF file can hold: tensor types (ggml's numbering and block sizes) and typed metadata.
 *
 * 1. A block is a stretch of a row; a row is a whole number of blocks. Plain types have blocks of one element.
 * 2. Metadata keep the type that the file gave them, so that what is read can be written back to the same bytes.
 * Source: ggml's `ggml.h`, `ggml-common.h` and `gguf.h` (llama.cpp 0.5, 2026-09).
 */

/** Number in files, elements and bytes of a block. */
export const GGML_TYPES = {
  F32: { code: 0, elements: 1, bytes: 4 },
  F16: { code: 1, elements: 1, bytes: 2 },
  Q4_0: { code: 2, elements: 32, bytes: 18 },
  Q4_1: { code: 3, elements: 32, bytes: 20 },
  Q5_0: { code: 6, elements: 32, bytes: 22 },
  Q5_1: { code: 7, elements: 32, bytes: 24 },
  Q8_0: { code: 8, elements: 32, bytes: 34 },
  Q2_K: { code: 10, elements: 256, bytes: 84 },
  Q3_K: { code: 11, elements: 256, bytes: 110 },
  Q4_K: { code: 12, elements: 256, bytes: 144 },
  Q5_K: { code: 13, elements: 256, bytes: 176 },
  Q6_K: { code: 14, elements: 256, bytes: 210 },
  Q8_K: { code: 15, elements: 256, bytes: 292 },
  IQ2_XXS: { code: 16, elements: 256, bytes: 66 },
  IQ2_XS: { code: 17, elements: 256, bytes: 74 },
  IQ3_XXS: { code: 18, elements: 256, bytes: 98 },
  IQ1_S: { code: 19, elements: 256, bytes: 50 },
  IQ4_NL: { code: 20, elements: 32, bytes: 18 },
  IQ3_S: { code: 21, elements: 256, bytes: 110 },
  IQ2_S: { code: 22, elements: 256, bytes: 82 },
  IQ4_XS: { code: 23, elements: 256, bytes: 136 },
  I8: { code: 24, elements: 1, bytes: 1 },
  I16: { code: 25, elements: 1, bytes: 2 },
  I32: { code: 26, elements: 1, bytes: 4 },
  I64: { code: 27, elements: 1, bytes: 8 },
  F64: { code: 28, elements: 1, bytes: 8 },
  IQ1_M: { code: 29, elements: 256, bytes: 56 },
  BF16: { code: 30, elements: 1, bytes: 2 },
  TQ1_0: { code: 34, elements: 256, bytes: 54 },
  TQ2_0: { code: 35, elements: 256, bytes: 66 },
  MXFP4: { code: 39, elements: 32, bytes: 17 },
} as const satisfies Record<string, { code: number; elements: number; bytes: number }>;

export type GgmlType = keyof typeof GGML_TYPES;

const BY_CODE = new Map<number, GgmlType>(
  (Object.keys(GGML_TYPES) as GgmlType[]).map(type => [GGML_TYPES[type].code, type]),
);

/** The type of a number in a file; undefined when it is not known. */
export const ggmlTypeOfCode = (code: number): GgmlType | undefined => BY_CODE.get(code);

/** Bytes of `count` elements, which are whole blocks. */
export const ggmlBytes = (type: GgmlType, count: number): number =>
  (count / GGML_TYPES[type].elements) * GGML_TYPES[type].bytes;

/** Whether rows of `columns` elements are whole blocks of `type`. */
export const fitsBlocks = (type: GgmlType, columns: number): boolean =>
  columns % GGML_TYPES[type].elements === 0;

// ---- metadata ----

/** Number in files, and bytes of one value (of a string the least: its length alone). */
export const VALUE_TYPES = {
  uint8: { code: 0, bytes: 1 },
  int8: { code: 1, bytes: 1 },
  uint16: { code: 2, bytes: 2 },
  int16: { code: 3, bytes: 2 },
  uint32: { code: 4, bytes: 4 },
  int32: { code: 5, bytes: 4 },
  float32: { code: 6, bytes: 4 },
  bool: { code: 7, bytes: 1 },
  string: { code: 8, bytes: 8 },
  uint64: { code: 10, bytes: 8 },
  int64: { code: 11, bytes: 8 },
  float64: { code: 12, bytes: 8 },
} as const;

export type ValueType = keyof typeof VALUE_TYPES;
export const ARRAY_CODE = 9;

export const valueTypeOfCode = (code: number): ValueType | undefined =>
  (Object.keys(VALUE_TYPES) as ValueType[]).find(type => VALUE_TYPES[type].code === code);

/** 64-bit integers are bigints, all other numbers are numbers. */
export type Scalar = number | bigint | boolean | string;

export type GgufValue =
  | { readonly type: ValueType; readonly value: Scalar }
  | { readonly type: ValueType; readonly values: readonly Scalar[] };

export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** One value with its type; a list of them. */
export const scalar = (type: ValueType, value: Scalar): GgufValue => ({ type, value });
export const list = (type: ValueType, values: readonly Scalar[]): GgufValue => ({ type, values });

export const ALIGNMENT_KEY = 'general.alignment';
export const DEFAULT_ALIGNMENT = 32;
