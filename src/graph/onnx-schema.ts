/**
 * The messages of ONNX files, as field tables.
 *
 * 1. Numbers and kinds are those of the ONNX format; the names are ONNX's in camel case.
 * 2. Fields stand in ascending order, which is the order they are written in (and what other writers do).
 * 3. Fields that carry no meaning for Gaslaw (doc strings, versions of producers, device hints) are absent: they are
 *    skipped on reading. Fields that do carry meaning but have no form here are listed as bytes, to be refused by name.
 * Source: the ONNX intermediate representation specification, IR version 10, and its protobuf field numbers.
 */
import { message, type Schema, scalar } from './wire.ts';

/** A 64-bit integer: a number where that is exact. */
export type Int64 = number | bigint;

export interface StringStringEntryProto {
  key?: string;
  value?: string;
}

export interface OperatorSetIdProto {
  domain?: string;
  version?: Int64;
}

export interface DimensionProto {
  dimValue?: Int64;
  dimParam?: string;
}

export interface TensorShapeProto {
  dim?: DimensionProto[];
}

export interface TensorTypeProto {
  elemType?: number;
  shape?: TensorShapeProto;
}

export interface TypeProto {
  tensorType?: TensorTypeProto;
  sequenceType?: Uint8Array;
  mapType?: Uint8Array;
  sparseTensorType?: Uint8Array;
  optionalType?: Uint8Array;
}

export interface ValueInfoProto {
  name?: string;
  type?: TypeProto;
}

export interface TensorProto {
  dims?: Int64[];
  dataType?: number;
  segment?: Uint8Array;
  floatData?: number[];
  int32Data?: number[];
  stringData?: Uint8Array[];
  int64Data?: Int64[];
  name?: string;
  rawData?: Uint8Array;
  doubleData?: number[];
  uint64Data?: Int64[];
  externalData?: StringStringEntryProto[];
  dataLocation?: number;
}

export interface SparseTensorProto {
  values?: TensorProto;
  indices?: TensorProto;
  dims?: Int64[];
}

export interface AttributeProto {
  name?: string;
  f?: number;
  i?: Int64;
  s?: Uint8Array;
  t?: TensorProto;
  g?: GraphProto;
  floats?: number[];
  ints?: Int64[];
  strings?: Uint8Array[];
  type?: number;
  refAttrName?: string;
  sparseTensor?: SparseTensorProto;
}

export interface NodeProto {
  input?: string[];
  output?: string[];
  name?: string;
  opType?: string;
  attribute?: AttributeProto[];
  domain?: string;
  overload?: string;
}

export interface GraphProto {
  node?: NodeProto[];
  name?: string;
  initializer?: TensorProto[];
  input?: ValueInfoProto[];
  output?: ValueInfoProto[];
  valueInfo?: ValueInfoProto[];
  sparseInitializer?: SparseTensorProto[];
}

export interface ModelProto {
  irVersion?: Int64;
  producerName?: string;
  graph?: GraphProto;
  opsetImport?: OperatorSetIdProto[];
  metadataProps?: StringStringEntryProto[];
  trainingInfo?: Uint8Array[];
  functions?: FunctionProto[];
}

export interface FunctionProto {
  name?: string;
  input?: string[];
  output?: string[];
  /** Names of attributes without a default. */
  attribute?: string[];
  node?: NodeProto[];
  opsetImport?: OperatorSetIdProto[];
  domain?: string;
  /** Attributes with their defaults. */
  attributeProto?: AttributeProto[];
  overload?: string;
}

export const ENTRY: Schema<StringStringEntryProto> = {
  name: 'StringStringEntryProto',
  fields: { key: scalar(1, 'string'), value: scalar(2, 'string') },
};

export const OPSET: Schema<OperatorSetIdProto> = {
  name: 'OperatorSetIdProto',
  fields: { domain: scalar(1, 'string'), version: scalar(2, 'int64') },
};

export const DIMENSION: Schema<DimensionProto> = {
  name: 'TensorShapeProto.Dimension',
  fields: { dimValue: scalar(1, 'int64'), dimParam: scalar(2, 'string') },
};

export const SHAPE: Schema<TensorShapeProto> = {
  name: 'TensorShapeProto',
  fields: { dim: message(1, () => DIMENSION, 'repeated') },
};

export const TENSOR_TYPE: Schema<TensorTypeProto> = {
  name: 'TypeProto.Tensor',
  fields: { elemType: scalar(1, 'int32'), shape: message(2, () => SHAPE) },
};

export const TYPE: Schema<TypeProto> = {
  name: 'TypeProto',
  fields: {
    tensorType: message(1, () => TENSOR_TYPE),
    sequenceType: scalar(4, 'bytes'),
    mapType: scalar(5, 'bytes'),
    sparseTensorType: scalar(8, 'bytes'),
    optionalType: scalar(9, 'bytes'),
  },
};

export const VALUE_INFO: Schema<ValueInfoProto> = {
  name: 'ValueInfoProto',
  fields: { name: scalar(1, 'string'), type: message(2, () => TYPE) },
};

export const TENSOR: Schema<TensorProto> = {
  name: 'TensorProto',
  fields: {
    dims: scalar(1, 'int64', 'repeated'),
    dataType: scalar(2, 'int32'),
    segment: scalar(3, 'bytes'),
    floatData: scalar(4, 'float', 'packed'),
    int32Data: scalar(5, 'int32', 'packed'),
    stringData: scalar(6, 'bytes', 'repeated'),
    int64Data: scalar(7, 'int64', 'packed'),
    name: scalar(8, 'string'),
    rawData: scalar(9, 'bytes'),
    doubleData: scalar(10, 'double', 'packed'),
    uint64Data: scalar(11, 'uint64', 'packed'),
    externalData: message(13, () => ENTRY, 'repeated'),
    dataLocation: scalar(14, 'int32'),
  },
};

export const SPARSE_TENSOR: Schema<SparseTensorProto> = {
  name: 'SparseTensorProto',
  fields: {
    values: message(1, () => TENSOR),
    indices: message(2, () => TENSOR),
    dims: scalar(3, 'int64', 'repeated'),
  },
};

export const ATTRIBUTE: Schema<AttributeProto> = {
  name: 'AttributeProto',
  fields: {
    name: scalar(1, 'string'),
    f: scalar(2, 'float'),
    i: scalar(3, 'int64'),
    s: scalar(4, 'bytes'),
    t: message(5, () => TENSOR),
    g: message(6, () => GRAPH),
    floats: scalar(7, 'float', 'repeated'),
    ints: scalar(8, 'int64', 'repeated'),
    strings: scalar(9, 'bytes', 'repeated'),
    type: scalar(20, 'int32'),
    refAttrName: scalar(21, 'string'),
    sparseTensor: message(22, () => SPARSE_TENSOR),
  },
};

export const NODE: Schema<NodeProto> = {
  name: 'NodeProto',
  fields: {
    input: scalar(1, 'string', 'repeated'),
    output: scalar(2, 'string', 'repeated'),
    name: scalar(3, 'string'),
    opType: scalar(4, 'string'),
    attribute: message(5, () => ATTRIBUTE, 'repeated'),
    domain: scalar(7, 'string'),
    overload: scalar(8, 'string'),
  },
};

export const GRAPH: Schema<GraphProto> = {
  name: 'GraphProto',
  fields: {
    node: message(1, () => NODE, 'repeated'),
    name: scalar(2, 'string'),
    initializer: message(5, () => TENSOR, 'repeated'),
    input: message(11, () => VALUE_INFO, 'repeated'),
    output: message(12, () => VALUE_INFO, 'repeated'),
    valueInfo: message(13, () => VALUE_INFO, 'repeated'),
    sparseInitializer: message(15, () => SPARSE_TENSOR, 'repeated'),
  },
};

export const MODEL: Schema<ModelProto> = {
  name: 'ModelProto',
  fields: {
    irVersion: scalar(1, 'int64'),
    producerName: scalar(2, 'string'),
    graph: message(7, () => GRAPH),
    opsetImport: message(8, () => OPSET, 'repeated'),
    metadataProps: message(14, () => ENTRY, 'repeated'),
    trainingInfo: scalar(20, 'bytes', 'repeated'),
    functions: message(25, () => FUNCTION, 'repeated'),
  },
};

export const FUNCTION: Schema<FunctionProto> = {
  name: 'FunctionProto',
  fields: {
    name: scalar(1, 'string'),
    input: scalar(4, 'string', 'repeated'),
    output: scalar(5, 'string', 'repeated'),
    attribute: scalar(6, 'string', 'repeated'),
    node: message(7, () => NODE, 'repeated'),
    opsetImport: message(9, () => OPSET, 'repeated'),
    domain: scalar(10, 'string'),
    attributeProto: message(11, () => ATTRIBUTE, 'repeated'),
    overload: scalar(13, 'string'),
  },
};

/** AttributeProto.type numbers of the kinds that Gaslaw keeps. */
export const ATTRIBUTE_TYPES = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
} as const;
