/**
 * Raw records of one size: a label, then the numbers of a sample, little-endian, without header.
 * CIFAR-10's binary version is one (a label byte and 3,072 bytes), MLPerf Tiny's keyword inputs with their label another.
 */
import { byteLength, type DType, viewBytes } from '../../graph/dtype.ts';
import { sizeOf } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import type { Numbers, SampleLayout, Samples } from './samples.ts';

export interface RecordForm {
  /** Of one sample. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Type of the label before each sample; `none` when there is none. */
  readonly label: 'uint8' | 'uint16' | 'int32' | 'none';
  readonly layout?: SampleLayout;
  readonly classes?: readonly string[];
}

/** The samples of a file. Throws a GaslawError when its bytes are not whole records. */
export function readRecords(bytes: Uint8Array, form: RecordForm, name: string): Samples {
  const labelBytes = form.label === 'none' ? 0 : byteLength(form.label, 1);
  const sampleBytes = byteLength(form.dtype, sizeOf(form.shape));
  const record = labelBytes + sampleBytes;
  const count = bytes.byteLength / record;
  if (!Number.isInteger(count) || count === 0) {
    throw new GaslawError(
      `${name}: ${bytes.byteLength} bytes are not whole records of ${record} (label ${form.label}, ${form.dtype}[${form.shape.join(', ')}]); correct the shape, dtype or label of its spec`,
    );
  }
  const samples = new Uint8Array(count * sampleBytes);
  const labels = new Uint8Array(count * labelBytes);
  for (let i = 0; i < count; i++) {
    labels.set(bytes.subarray(i * record, i * record + labelBytes), i * labelBytes);
    samples.set(bytes.subarray(i * record + labelBytes, (i + 1) * record), i * sampleBytes);
  }
  const { shape, layout, classes } = form;
  return {
    name,
    count,
    fields: {
      data: { dims: shape, ...(layout && { layout }), data: viewBytes(form.dtype, samples) as Numbers },
    },
    ...(form.label !== 'none' && { labels: Int32Array.from(viewBytes(form.label, labels) as Uint8Array) }),
    ...(classes && { classes }),
  };
}
