import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ValueInfo } from '../../graph/ir.ts';
import { memoryFiles } from '../../util/files.ts';
import { decodePicture, type Picture, withChannels } from './image.ts';
import { openExamples } from './open.ts';
import { resized } from './resize.ts';

interface Stored extends Omit<Picture, 'data'> {
  readonly name: string;
  readonly file: string;
  readonly data: readonly number[];
}

/** Written by fixtures/make_pictures.py with Pillow. */
const fixture = JSON.parse(readFileSync(new URL('fixtures/pictures.json', import.meta.url), 'utf8')) as {
  pictures: readonly Stored[];
  grey: readonly number[];
  resized: readonly Omit<Stored, 'name' | 'file'>[];
};
const bytesOf = ({ file }: Stored): Uint8Array => new Uint8Array(Buffer.from(file, 'base64'));
const largestDifference = (a: Uint8Array, b: readonly number[]): number =>
  a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);

const [rgb] = fixture.pictures;
const grey = fixture.pictures[1];

describe('pictures as Pillow reads them', () => {
  it.each(fixture.pictures.map(p => [p.name, p] as const))('%s', (name, picture) => {
    const got = decodePicture(bytesOf(picture), name);
    expect([got.height, got.width, got.channels]).toEqual([picture.height, picture.width, picture.channels]);
    expect(largestDifference(got.data, picture.data)).toBeLessThanOrEqual(name.endsWith('.jpg') ? 2 : 0);
  });

  it('grey is luma', () => {
    const got = withChannels(decodePicture(bytesOf(rgb), 'rgb.png'), 1);
    expect([...got.data]).toEqual(fixture.grey);
  });

  it.each(fixture.resized.map(p => [`${p.width} × ${p.height}`, p] as const))('resized to %s', (_, want) => {
    const got = resized(decodePicture(bytesOf(rgb), 'rgb.png'), want.height, want.width, 'stretch');
    expect(largestDifference(got.data, want.data)).toBeLessThanOrEqual(1);
  });

  it('a crop takes the middle', () => {
    const picture = { width: 4, height: 2, channels: 1, data: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7) };
    expect([...resized(picture, 2, 2, 'crop').data]).toEqual([1, 2, 5, 6]);
  });

  it('what is no picture is named', () => {
    expect(() => decodePicture(Uint8Array.of(1, 2, 3), 'a/b.jpg')).toThrow(
      'a/b.jpg: not a PNG or JPEG picture',
    );
  });
});

const input: ValueInfo = { name: 'x', dtype: 'float32', shape: ['N', 1, 5, 7] };

describe('folders', () => {
  const files = (extra: Record<string, string | Uint8Array> = {}) =>
    memoryFiles({
      'd/cat/1.png': bytesOf(rgb),
      'd/ant/1.png': bytesOf(grey),
      'd/ant/2.PNG': bytesOf(grey),
      ...extra,
    });

  it('have a class in each folder, in the order of names', async () => {
    const examples = await openExamples(files(), 'd', [input]);
    expect(examples.classes).toEqual(['ant', 'cat']);
    expect([...(examples.labels ?? [])]).toEqual([0, 0, 1]);
    const { x } = examples.batch([2]);
    expect(x.dims).toEqual([1, 1, 5, 7]);
    expect((x.data as Float32Array)[3]).toBeCloseTo(fixture.grey[3] / 255, 6);
  });

  it('take the order of classes.txt, and any size with a spec', async () => {
    const spec = JSON.stringify({
      path: 'd',
      images: { size: [3, 4], resize: 'stretch' },
      preprocess: { range: [0, 255] },
    });
    const store = files({ 'd/classes.txt': 'cat\nant\n', 'spec.json': spec });
    const any: ValueInfo = { ...input, shape: ['N', 3, 'H', 'W'] };
    const examples = await openExamples(store, 'spec.json', [any]);
    expect([...(examples.labels ?? [])]).toEqual([1, 1, 0]);
    const { x } = examples.batch([2]);
    expect(x.dims).toEqual([1, 3, 3, 4]);
    expect(Math.abs((x.data as Float32Array)[0] - fixture.resized[0].data[0])).toBeLessThanOrEqual(1);
  });

  it('have labels in labels.csv, or none', async () => {
    const own = { 'd/a.png': bytesOf(grey), 'd/b.png': bytesOf(grey) };
    const plain = await openExamples(memoryFiles(own), 'd', [input]);
    expect(plain.labels).toBeUndefined();
    const listed = memoryFiles({ ...own, 'd/labels.csv': 'file,label\nb.png,3\n"a.png",1\n' });
    expect([...((await openExamples(listed, 'd', [input])).labels ?? [])]).toEqual([3, 1]);
    const unknown = memoryFiles({ ...own, 'd/labels.csv': 'a.png,bee\n', 'd/classes.txt': 'ant\n' });
    await expect(openExamples(unknown, 'd', [input])).rejects.toThrow(
      'd: the label "bee" is none of the classes ant',
    );
  });

  it('without pictures, or for a model without an image input, are refused', async () => {
    await expect(openExamples(memoryFiles({ 'd/a.txt': 'x' }), 'd', [input])).rejects.toThrow(
      'd: holds no .png or .jpg',
    );
    await expect(openExamples(files(), 'd', [{ ...input, shape: ['N', 4] }])).rejects.toThrow(
      '0 inputs of four dims',
    );
  });
});

describe('JSON Lines', () => {
  const lines = '{"label": "b", "x": [[1, 2], [3, 4]]}\n{"label": "a", "x": [[5, 6], [7, 8]]}\n';
  const two: ValueInfo = { name: 'x', dtype: 'int32', shape: ['N', 2, 2] };

  it('give arrays and classes', async () => {
    const examples = await openExamples(memoryFiles({ 'd.jsonl': lines }), 'd.jsonl', [two]);
    expect([examples.classes, [...(examples.labels ?? [])]]).toEqual([
      ['a', 'b'],
      [1, 0],
    ]);
    expect([...(examples.batch([1]).x.data as Int32Array)]).toEqual([5, 6, 7, 8]);
  });

  it.each([
    ['{"x": [1]}\n{"x": [1, 2]}', 'd.jsonl: line 2: "x" is [2], in line 1 [1]'],
    ['{"x": ["1"]}', 'd.jsonl: line 1: "x" holds something that is no number'],
    ['[1]', 'd.jsonl: line 1 is not a JSON object'],
    ['{"label": 1.5, "x": [1]}', 'd.jsonl: line 1: "label" is 1.5'],
    ['', 'd.jsonl: holds no examples'],
  ])('%s is refused', async (text, message) => {
    await expect(openExamples(memoryFiles({ 'd.jsonl': text }), 'd.jsonl', [two])).rejects.toThrow(message);
  });
});

describe('modules', () => {
  const open = (exported: unknown) =>
    openExamples(memoryFiles({ 'd.mjs': '' }), 'd.mjs', [input], {
      loadModule: async () => ({ default: exported }),
    });

  it('give examples for the inputs of the model', async () => {
    const make = ([{ name }]: readonly ValueInfo[]) => ({ name: `of ${name}`, count: 1, batch: () => ({}) });
    expect((await open(make)).name).toBe('of x');
  });

  it('that lack something are refused', async () => {
    await expect(open(undefined)).rejects.toThrow('d.mjs: its default export is undefined');
    await expect(open({ count: 1 })).rejects.toThrow('has no function batch');
    await expect(open({ count: 2, labels: [1], batch: () => ({}) })).rejects.toThrow(
      'has 1 labels for 2 examples',
    );
  });
});
