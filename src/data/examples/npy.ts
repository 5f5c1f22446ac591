/**
 * NumPy's arrays: `.npy`, and `.npz`, a zip of them.
 * Source: NEP 1 and numpy.lib.format (versions 1 to 3): magic, version, header length, a Python dict, raw data.
 */
import { unzipSync } from 'fflate';
import { type DType, viewBytes } from '../../graph/dtype.ts';
import { sizeOf, type Tensor } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import { nameOf } from '../../util/files.ts';
import type { Field, Numbers, Samples } from './samples.ts';

const DTYPES: Readonly<Record<string, DType>> = {
  '<f4': 'float32',
  '<f8': 'float64',
  '|i1': 'int8',
  '|u1': 'uint8',
  '|b1': 'bool',
  '<i2': 'int16',
  '<u2': 'uint16',
  '<i4': 'int32',
  '<u4': 'uint32',
  '<i8': 'int64',
  '<u8': 'uint64',
};

/** One array. Throws a GaslawError for other bytes, Fortran order and dtypes without a numeric form. */
export function decodeNpy(bytes: Uint8Array, name: string): Tensor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 12 || view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059)
    throw new GaslawError(`${name}: not a .npy array`);
  const [start, length] = bytes[6] === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1] ?? '';
  const dims = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '')
    .split(',')
    .filter(s => s.trim() !== '')
    .map(Number);
  const dtype = DTYPES[descr];
  if (!dtype)
    throw new GaslawError(
      `${name}: dtype "${descr}" is not read; save it as ${Object.values(DTYPES).join(', ')}`,
    );
  if (/'fortran_order':\s*True/.test(header) && dims.length > 1)
    throw new GaslawError(`${name}: stored in Fortran order; save np.ascontiguousarray of it`);
  const data = viewBytes(dtype, bytes.subarray(start + length));
  if (data.length !== sizeOf(dims))
    throw new GaslawError(
      `${name}: holds ${data.length} elements where [${dims.join(', ')}] has ${sizeOf(dims)}; the file was cut`,
    );
  return { dtype, dims, data };
}

/** The arrays of a `.npz` by name. */
export function decodeNpz(bytes: Uint8Array, name: string): Record<string, Tensor> {
  const entries = Object.entries(unzipped(bytes, name));
  return Object.fromEntries(
    entries.map(([file, content]) => [file.replace(/\.npy$/, ''), decodeNpy(content, `${name}: ${file}`)]),
  );
}

function unzipped(bytes: Uint8Array, name: string): Record<string, Uint8Array> {
  try {
    return unzipSync(bytes, { filter: file => file.name.endsWith('.npy') });
  } catch (error) {
    throw new GaslawError(`${name}: not a .npz archive (${(error as Error).message})`);
  }
}

const LABELS = ['labels', 'label', 'y', 'y_test', 'targets', 'target'];

/** Samples of arrays whose first dim counts them; `labels`, `label`, `y`, `y_test`, `targets` or `target` are the labels. */
export function samplesOfArrays(arrays: Readonly<Record<string, Tensor>>, name: string): Samples {
  const names = Object.keys(arrays);
  const label = LABELS.find(key => names.includes(key));
  const fields = Object.fromEntries(
    names.filter(key => key !== label).map(key => [key, fieldOf(arrays[key], `${name}: ${key}`)]),
  );
  const counts = names.map(key => [key, arrays[key].dims[0]] as const);
  const count = counts[0]?.[1];
  if (!count || Object.keys(fields).length === 0)
    throw new GaslawError(`${name}: holds no examples; it has ${names.join(', ') || 'no arrays'}`);
  const other = counts.find(([, n]) => n !== count);
  if (other)
    throw new GaslawError(`${name}: "${counts[0][0]}" has ${count} examples, "${other[0]}" has ${other[1]}`);
  return {
    name: nameOf(name),
    count,
    fields,
    ...(label && { labels: labelsFrom(arrays[label], `${name}: ${label}`) }),
  };
}

/** Labels as [N], [N, 1], or one-hot [N, classes]. */
function labelsFrom({ dims, data }: Tensor, name: string): Int32Array {
  const values = Array.from(data as Numbers, Number);
  const width = sizeOf(dims.slice(1));
  if (width === 1) return Int32Array.from(values);
  if (dims.length !== 2)
    throw new GaslawError(`${name}: labels are [N] or one-hot [N, classes], not [${dims.join(', ')}]`);
  return Int32Array.from({ length: dims[0] }, (_, i) => {
    const row = values.slice(i * width, (i + 1) * width);
    return row.indexOf(Math.max(...row));
  });
}

/** Samples of three dims with 1, 3 or 4 channels are images. */
function fieldOf({ dims, dtype, data }: Tensor, name: string): Field {
  if (dtype === 'string' || dims.length === 0)
    throw new GaslawError(`${name}: an array of examples has a first dim`);
  const own = dims.slice(1);
  const isChannels = (d: number | undefined) => d === 1 || d === 3 || d === 4;
  const layout =
    own.length !== 3 ? undefined : isChannels(own[2]) ? 'HWC' : isChannels(own[0]) ? 'CHW' : undefined;
  return { dims: own, ...(layout && { layout }), data: data as Numbers };
}
