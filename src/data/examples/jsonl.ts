/**
 * JSON Lines: an object a line, with a nested array of numbers for each input and `label` (a class index or name).
 * With one input its name does not matter.
 */
import { GaslawError } from '../../util/errors.ts';
import { nameOf } from '../../util/files.ts';
import { indexLabels } from './image-folder.ts';
import type { Field, Samples } from './samples.ts';

type Row = Readonly<Record<string, unknown>>;

/** The samples of a file. Throws a GaslawError naming the line that is not like the first. */
export function readJsonLines(text: string, name: string, classes?: readonly string[]): Samples {
  const lines = text.split('\n').filter(line => line.trim() !== '');
  const rows = lines.map((line, i) => parsed(line, `${name}: line ${i + 1}`));
  if (rows.length === 0) throw new GaslawError(`${name}: holds no examples`);
  const keys = Object.keys(rows[0]).filter(key => key !== 'label');
  const fields = Object.fromEntries(keys.map(key => [key, fieldOf(rows, key, name)]));
  if (keys.length === 0) throw new GaslawError(`${name}: line 1 has no array of numbers beside its label`);
  return {
    name: nameOf(name),
    count: rows.length,
    fields,
    ...(rows[0].label !== undefined &&
      indexLabels(
        rows.map((row, i) => labelOf(row, `${name}: line ${i + 1}`)),
        classes,
        name,
      )),
  };
}

function parsed(line: string, place: string): Row {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Row;
  } catch {
    // said below
  }
  throw new GaslawError(`${place} is not a JSON object`);
}

function labelOf({ label }: Row, place: string): string {
  if (typeof label === 'string' || (Number.isInteger(label) && (label as number) >= 0)) return String(label);
  throw new GaslawError(`${place}: "label" is ${JSON.stringify(label)}, not a class index or name`);
}

function fieldOf(rows: readonly Row[], key: string, name: string): Field {
  const dims = dimsOf(rows[0][key]);
  const flat = rows.map((row, i) => {
    const place = `${name}: line ${i + 1}: "${key}"`;
    if (String(dimsOf(row[key])) !== String(dims))
      throw new GaslawError(
        `${place} is [${dimsOf(row[key])}], in line 1 [${dims}]; all examples need one shape`,
      );
    const values = [row[key]].flat(Number.POSITIVE_INFINITY);
    if (!values.every(v => typeof v === 'number'))
      throw new GaslawError(`${place} holds something that is no number`);
    return values as number[];
  });
  const data = new Float64Array(flat.length * (flat[0]?.length ?? 0));
  flat.forEach((values, i) => void data.set(values.slice(0, flat[0].length), i * flat[0].length));
  return { dims, data };
}

/** Dims of a nested array by its first elements: [] for a number. */
function dimsOf(value: unknown): number[] {
  return Array.isArray(value) ? [value.length, ...dimsOf(value[0])] : [];
}
