/**
 * What of TFLite's flatbuffer schema is used: operator codes, option tables, element types.
 * Source: tensorflow/lite/schema/schema.fbs, version 3 of the file format.
 */
import type { DType } from '../../graph/dtype.ts';

export type OptionKind = 'int8' | 'int32' | 'bool' | 'float32' | 'ints';

/** [field of the table, kind, default]. */
export type OptionField = readonly [slot: number, kind: OptionKind, otherwise: number];

interface OperatorSpec {
  readonly code: number;
  /** Version of the operator whose int8 kernel is meant. */
  readonly version: number;
  /** Type of its option table in the union; 0 for none. */
  readonly options: number;
  readonly fields: Readonly<Record<string, OptionField>>;
}

const activation = (slot: number): OptionField => [slot, 'int8', 0];
const op = (
  code: number,
  version: number,
  options = 0,
  fields: OperatorSpec['fields'] = {},
): OperatorSpec => ({
  code,
  version,
  options,
  fields,
});

const conv = { padding: [0, 'int8', 0], strideW: [1, 'int32', 0], strideH: [2, 'int32', 0] } as const;
const pool = {
  padding: [0, 'int8', 0],
  strideW: [1, 'int32', 0],
  strideH: [2, 'int32', 0],
  filterWidth: [3, 'int32', 0],
  filterHeight: [4, 'int32', 0],
  activation: activation(5),
} as const;

export const OPERATORS = {
  ADD: op(0, 2, 11, { activation: activation(0) }),
  AVERAGE_POOL_2D: op(1, 2, 5, pool),
  CONCATENATION: op(2, 2, 10, { axis: [0, 'int32', 0], activation: activation(1) }),
  CONV_2D: op(3, 3, 1, {
    ...conv,
    activation: activation(3),
    dilationW: [4, 'int32', 1],
    dilationH: [5, 'int32', 1],
  }),
  DEPTHWISE_CONV_2D: op(4, 3, 2, {
    ...conv,
    depthMultiplier: [3, 'int32', 0],
    activation: activation(4),
    dilationW: [5, 'int32', 1],
    dilationH: [6, 'int32', 1],
  }),
  DEQUANTIZE: op(6, 2, 38),
  FULLY_CONNECTED: op(9, 4, 8, { activation: activation(0), keepNumDims: [2, 'bool', 0] }),
  LOGISTIC: op(14, 2),
  MAX_POOL_2D: op(17, 2, 5, pool),
  MUL: op(18, 2, 21, { activation: activation(0) }),
  RELU: op(19, 2),
  RELU_N1_TO_1: op(20, 1),
  RELU6: op(21, 2),
  RESHAPE: op(22, 1, 17, { newShape: [0, 'ints', 0] }),
  RESIZE_BILINEAR: op(23, 2, 15, { alignCorners: [2, 'bool', 0], halfPixelCenters: [3, 'bool', 0] }),
  SOFTMAX: op(25, 2, 9, { beta: [0, 'float32', 0] }),
  TANH: op(28, 2),
  PAD: op(34, 2, 22),
  PADV2: op(60, 2, 43),
  TRANSPOSE: op(39, 2, 26),
  MEAN: op(40, 2, 27, { keepDims: [0, 'bool', 0] }),
  SUB: op(41, 2, 28, { activation: activation(0) }),
  SQUEEZE: op(43, 1, 30, { squeezeDims: [0, 'ints', 0] }),
  LEAKY_RELU: op(98, 2, 75, { alpha: [0, 'float32', 0] }),
  MAXIMUM: op(55, 2, 39),
  MINIMUM: op(57, 2, 39),
  RESIZE_NEAREST_NEIGHBOR: op(97, 2, 74, { alignCorners: [0, 'bool', 0], halfPixelCenters: [1, 'bool', 0] }),
  STRIDED_SLICE: op(45, 2, 32, {
    beginMask: [0, 'int32', 0],
    endMask: [1, 'int32', 0],
    ellipsisMask: [2, 'int32', 0],
    newAxisMask: [3, 'int32', 0],
    shrinkAxisMask: [4, 'int32', 0],
  }),
  QUANTIZE: op(114, 1, 89),
  HARD_SWISH: op(117, 1, 91),
  DEPTH_TO_SPACE: op(5, 1, 94, { blockSize: [0, 'int32', 0] }),
  L2_NORMALIZATION: op(11, 2, 12, { activation: activation(0) }),
  SPACE_TO_DEPTH: op(26, 2, 19, { blockSize: [0, 'int32', 0] }),
  GATHER: op(36, 2, 23, { axis: [0, 'int32', 0], batchDims: [1, 'int32', 0] }),
  DIV: op(42, 2, 29, { activation: activation(0) }),
  EXP: op(47, 2, 33),
  SPLIT: op(49, 2, 35, { count: [0, 'int32', 0] }),
  CAST: op(53, 1, 37),
  PRELU: op(54, 1),
  ARG_MAX: op(56, 2, 40),
  NEG: op(59, 1, 42),
  SLICE: op(65, 2, 48),
  TRANSPOSE_CONV: op(67, 3, 49, { ...conv, activation: activation(3) }),
  EXPAND_DIMS: op(70, 1, 52),
  SUM: op(74, 2, 27, { keepDims: [0, 'bool', 0] }),
  SQRT: op(75, 1),
  RSQRT: op(76, 2),
  REDUCE_MAX: op(82, 2, 27, { keepDims: [0, 'bool', 0] }),
  PACK: op(83, 2, 59, { count: [0, 'int32', 0], axis: [1, 'int32', 0] }),
  UNPACK: op(88, 2, 64, { count: [0, 'int32', 0], axis: [1, 'int32', 0] }),
  SQUARED_DIFFERENCE: op(99, 2, 76),
  ABS: op(101, 2, 78),
  SPLIT_V: op(102, 2, 79, { count: [0, 'int32', 0] }),
  ELU: op(111, 1),
  BATCH_MATMUL: op(126, 2, 101, { transposeX: [0, 'bool', 0], transposeY: [1, 'bool', 0] }),
} as const satisfies Record<string, OperatorSpec>;

export type OperatorName = keyof typeof OPERATORS;

export const SPECS: Readonly<Record<OperatorName, OperatorSpec>> = OPERATORS;

export const OPERATOR_OF_CODE: ReadonlyMap<number, OperatorName> = new Map(
  Object.entries(OPERATORS).map(([name, { code }]) => [code, name as OperatorName]), // its own keys
);

/** TensorType. */
export const TYPE_CODES = {
  float32: 0,
  float16: 1,
  int32: 2,
  uint8: 3,
  int64: 4,
  bool: 6,
  int16: 7,
  int8: 9,
} as const satisfies Partial<Record<DType, number>>;

export const TYPE_OF_CODE: ReadonlyMap<number, DType> = new Map(
  Object.entries(TYPE_CODES).map(([name, code]) => [code, name as DType]), // its own keys
);

export const ACTIVATIONS = { none: 0, relu: 1, reluN1To1: 2, relu6: 3 } as const;
export const PADDINGS = { same: 0, valid: 1 } as const;
