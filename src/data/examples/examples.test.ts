import { strToU8, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import type { ValueInfo } from '../../graph/ir.ts';
import { memoryFiles } from '../../util/files.ts';
import { batchesOf, labelsOf, splitExamples, subset } from './examples.ts';
import { fitExamples } from './fit.ts';
import { openExamples } from './open.ts';
import { readRecords } from './records.ts';

const input = (shape: ValueInfo['shape'], name = 'x', dtype: ValueInfo['dtype'] = 'float32'): ValueInfo => ({
  name,
  dtype,
  shape,
});

/** What numpy.save writes (version 1): the header padded to 64 bytes. */
function npy(descr: string, dims: string, data: Uint8Array): Uint8Array {
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`;
  const header = `${dict.padEnd(117)}\n`;
  return new Uint8Array([0x93, ...strToU8('NUMPY'), 1, 0, header.length, 0, ...strToU8(header), ...data]);
}

const bytesOf = (data: Float32Array | BigInt64Array): Uint8Array => new Uint8Array(data.buffer);

/** Two records of a 2-channel 1×2 image, planes: label, c0 c0 c1 c1. */
const RECORDS = Uint8Array.of(1, 0, 51, 102, 255, 0, 255, 255, 255, 255);
const planes = readRecords(
  RECORDS,
  { shape: [2, 1, 2], dtype: 'uint8', label: 'uint8', layout: 'CHW' },
  'records.bin',
);

describe('records in the form of an input', () => {
  it('keep planes and become 0 to 1', () => {
    const { x } = fitExamples(planes, [input(['N', 2, 1, 2])]).batch([0]);
    expect(x.dims).toEqual([1, 2, 1, 2]);
    expect([...(x.data as Float32Array)].map(v => Math.round(v * 10) / 10)).toEqual([0, 0.2, 0.4, 1]);
  });

  it('become pixels for a model that wants them, with mean and deviation by channel', () => {
    const { x } = fitExamples(planes, [input([1, 1, 2, 2])], {
      layout: 'NHWC',
      range: [0, 255],
      mean: [0, 2],
      std: [1, 100],
    }).batch([0]);
    expect([...(x.data as Float32Array)]).toEqual([0, 1, 51, Math.fround(2.53)]);
  });

  it('come in the order asked for, with their labels', () => {
    const examples = subset(
      fitExamples(planes, [input(['N', 2, 1, 2], 'x', 'uint8')], { range: [0, 255] }),
      [1, 0],
    );
    expect([...(examples.labels as Int32Array)]).toEqual([0, 1]);
    expect([...(examples.batch([0, 1]).x.data as Uint8Array)]).toEqual([255, 255, 255, 255, 0, 51, 102, 255]);
  });

  it('are dequantized by scale and zero point', () => {
    const stored = readRecords(
      Uint8Array.of(0xff, 83),
      { shape: [2], dtype: 'int8', label: 'none' },
      'kws.bin',
    );
    const { x } = fitExamples(stored, [input(['N', 2, 1])], { scale: 0.5, zeroPoint: 83 }).batch([0]);
    expect(x.dims).toEqual([1, 2, 1]);
    expect([...(x.data as Float32Array)]).toEqual([-42, 0]);
  });

  it('that do not fit are refused with both shapes', () => {
    expect(() => fitExamples(planes, [input(['N', 3, 32, 32])])).toThrow(
      'records.bin: an example is [2, 1, 2], but the model\'s input "x" takes [3, 32, 32]',
    );
    expect(() => fitExamples(planes, [input(['N', 4]), input(['N', 4], 'y')])).toThrow(
      'nothing in it is named "x"',
    );
    expect(() => readRecords(RECORDS, { shape: [2], dtype: 'uint8', label: 'uint8' }, 'r.bin')).toThrow(
      'r.bin: 10 bytes are not whole records of 3',
    );
  });
});

describe('numpy files', () => {
  const labels = npy('<i8', '2,', bytesOf(BigInt64Array.of(7n, 3n)));
  const values = npy('<f4', '2, 3', bytesOf(Float32Array.of(1, 2, 3, 4, 5, 6)));

  it('npz gives labels and the input by name', async () => {
    const files = memoryFiles({ 'd.npz': zipSync({ 'x.npy': values, 'labels.npy': labels }) });
    const examples = await openExamples(files, 'd.npz', [input(['N', 3])]);
    expect([...(examples.labels as Int32Array)]).toEqual([7, 3]);
    expect([...(examples.batch([1]).x.data as Float32Array)]).toEqual([4, 5, 6]);
  });

  it('npy has no labels, which is said when they are needed', async () => {
    const examples = await openExamples(memoryFiles({ 'd.npy': values }), 'd.npy', [input(['N', 3])]);
    expect(examples.count).toBe(2);
    expect(() => labelsOf(examples)).toThrow('d.npy: there are no labels');
  });

  it('broken ones give one sentence', async () => {
    const open = (name: string, bytes: Uint8Array) =>
      openExamples(memoryFiles({ [name]: bytes }), name, [input(['N', 3])]);
    await expect(open('d.npy', values.slice(0, -4))).rejects.toThrow(
      'd.npy: holds 5 elements where [2, 3] has 6',
    );
    await expect(open('d.npy', strToU8('hello, world!'))).rejects.toThrow('d.npy: not a .npy array');
    await expect(open('d.npz', strToU8('hello'))).rejects.toThrow('d.npz: not a .npz archive');
    await expect(open('d.txt', strToU8('hello'))).rejects.toThrow('d.txt: not data that gaslaw reads');
  });
});

describe('a spec', () => {
  it('names the file beside it, its records and their preparation', async () => {
    const spec = {
      path: 'r.bin',
      records: { shape: [2, 1, 2], dtype: 'uint8', layout: 'CHW' },
      classes: ['cat', 'dog'],
      preprocess: { range: [-1, 1] },
    };
    const files = memoryFiles({ 'a/spec.json': JSON.stringify(spec), 'a/r.bin': RECORDS });
    const examples = await openExamples(files, 'a/spec.json', [input(['N', 2, 1, 2])]);
    expect(examples.classes).toEqual(['cat', 'dog']);
    expect([...(examples.batch([1]).x.data as Float32Array)]).toEqual([1, 1, 1, 1]);
  });

  it('with a wrong field is refused by its name', async () => {
    const files = memoryFiles({
      'spec.json': JSON.stringify({ path: 'r.bin', records: { shape: [0], dtype: 'uint8' } }),
    });
    await expect(openExamples(files, 'spec.json', [input(['N'])])).rejects.toThrow(
      'spec.json: records.shape.0',
    );
  });
});

describe('splits and batches', () => {
  const many = fitExamples(
    readRecords(
      Uint8Array.from({ length: 20 }, (_, i) => i),
      { shape: [1], dtype: 'uint8', label: 'uint8' },
      'd',
    ),
    [input(['N', 1])],
  );

  it('a split has every example once, the same ones for the same seed', () => {
    const [a, b] = splitExamples(many, 3, 1);
    expect([...(a.labels ?? []), ...(b.labels ?? [])].sort((x, y) => x - y)).toEqual([
      ...(many.labels ?? []),
    ]);
    expect(splitExamples(many, 3, 1)[0].labels).toEqual(a.labels);
    expect(splitExamples(many, 3, 2)[0].labels).not.toEqual(a.labels);
    expect(() => splitExamples(many, 10, 1)).toThrow('10 examples cannot be split into 10 and others');
  });

  it('batches cover all indices', () => {
    expect([...batchesOf(5, 2)]).toEqual([[0, 1], [2, 3], [4]]);
  });
});
