/** A TFLite file as plain data: one subgraph of tensors and operators that name tensors by index. */
import type { DType, TensorData } from '../../graph/dtype.ts';
import type { AffineQuantization } from '../../ops/qdq.ts';
import type { OperatorName } from './schema.ts';

export interface TfliteTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Elements of a constant. */
  readonly data?: TensorData;
  readonly quantization?: Omit<AffineQuantization, 'dtype'>;
}

export interface TfliteOperator {
  readonly op: OperatorName;
  /** Indices of tensors; -1 for one that is left out. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly options: Readonly<Record<string, number | readonly number[]>>;
}

export interface TfliteModel {
  readonly description: string;
  readonly tensors: readonly TfliteTensor[];
  readonly operators: readonly TfliteOperator[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}
