/** Samples as they are stored, before they have the form of a model's input. */

import type { TensorData } from '../../graph/dtype.ts';

export type Numbers = Exclude<TensorData, string[]>;

/** Where the channels of images stand: planes (CHW) or pixels (HWC). */
export type SampleLayout = 'CHW' | 'HWC';

export interface Field {
  /** Of one sample. */
  readonly dims: readonly number[];
  readonly layout?: SampleLayout;
  /** All samples one after another. */
  readonly data: Numbers;
}

export interface Samples {
  readonly name: string;
  readonly count: number;
  readonly fields: Readonly<Record<string, Field>>;
  readonly labels?: Int32Array;
  readonly classes?: readonly string[];
}
