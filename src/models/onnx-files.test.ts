/** ONNX files in two parts: what is read is what was written, and a write that dies leaves no model with foreign data. */
import { describe, expect, it } from 'vitest';
import { float32, type Model, modelOf, type Tensor } from '../graph/ir.ts';
import { encodeModelChunks, externalFile } from '../graph/protobuf.ts';
import { Builder } from '../ops/builder.ts';
import { concatBytes, type FileStore, memoryFiles } from '../util/files.ts';
import { onnxBytes, readOnnx, writeOnnx } from './onnx-files.ts';

/** y = x w + c with weights that all are `value`. */
function product(value: number): Model {
  const b = new Builder('product');
  const x = b.input('x', 'float32', [1, 64]);
  const w = b.initializer('w', float32([64, 32], new Float32Array(64 * 32).fill(value)));
  const c = b.initializer('c', float32([32], new Float32Array(32).fill(value)));
  b.output(b.op('Gemm', [x, w, c], {}), 'y');
  return modelOf(b.graph);
}

const weightOf = (tensor: Tensor | undefined): number | undefined => (tensor?.data as Float32Array)?.[5];
const IN_TWO = { externalFrom: 1000 };

describe('a model in two files', () => {
  it.each([
    ['whole', 1e9],
    ['tensor by tensor', 0],
  ])('is read %s as it was written', async (_, wholeBytes) => {
    const files = memoryFiles();
    const bytes = await writeOnnx(files, 'd/m.onnx', product(3), IN_TWO);
    expect(await files.list('d')).toEqual(['m.onnx', 'm.onnx_data']);
    expect(await files.size('d/m.onnx')).toBeLessThan(1000);
    const read = await readOnnx(files, 'd/m.onnx', wholeBytes);
    expect(read.bytes).toBe(bytes);
    expect(await onnxBytes(files, 'd/m.onnx')).toBe(bytes);
    expect(read.model.graph.initializers.get('w')?.data).toEqual(new Float32Array(64 * 32).fill(3));
    expect(weightOf(read.model.graph.initializers.get('c'))).toBe(3);
  });

  it('has no data file any more once it is small', async () => {
    const files = memoryFiles();
    await writeOnnx(files, 'm.onnx', product(3), IN_TWO);
    await writeOnnx(files, 'm.onnx', product(4));
    expect(await files.list('.')).toEqual(['m.onnx']);
    expect(weightOf((await readOnnx(files, 'm.onnx')).model.graph.initializers.get('w'))).toBe(4);
  });

  it.each([0, 1, 2, 3, 4, 5])('killed after %i changes is whole, old or new, or not there', async left => {
    for (const options of [IN_TWO, {}]) {
      const files = memoryFiles();
      await writeOnnx(files, 'm.onnx', product(3), IN_TWO);
      await writeOnnx(dying(files, left), 'm.onnx', product(4), options).catch(() => {});
      if (!(await files.exists('m.onnx'))) continue;
      const { initializers } = (await readOnnx(files, 'm.onnx')).model.graph;
      expect([3, 4]).toContain(weightOf(initializers.get('w')));
      expect(weightOf(initializers.get('c'))).toBe(weightOf(initializers.get('w')));
    }
  });

  it.each([1e9, 0])('is refused when its data are cut short or missing', async wholeBytes => {
    const files = memoryFiles();
    await writeOnnx(files, 'm.onnx', product(3), IN_TWO);
    await files.truncate('m.onnx_data', 100);
    await expect(readOnnx(files, 'm.onnx', wholeBytes)).rejects.toThrow(/m\.onnx: .*"w"/);
    await files.remove('m.onnx_data');
    await expect(readOnnx(files, 'm.onnx', wholeBytes)).rejects.toThrow(/m\.onnx_data/);
  });
});

it('offsets above 4 GiB are written as they are', () => {
  const { sink } = externalFile('big.onnx_data');
  const fake = { byteLength: 2 ** 32 + 3 } as Uint8Array; // only its length is looked at
  expect(sink('a', fake)?.offset).toBe(0);
  expect(sink('b', new Uint8Array(4096))).toEqual({
    location: 'big.onnx_data',
    offset: 2 ** 32 + 64,
    length: 4096,
  });
  const text = new TextDecoder('latin1').decode(
    concatBytes(
      encodeModelChunks(product(1), {
        external: () => ({ location: 'big.onnx_data', offset: 2 ** 33 + 64, length: 8192 }),
      }),
    ),
  );
  expect(text).toContain(String(2 ** 33 + 64));
});

/** The files of a process that dies after so many changes. */
function dying(files: FileStore, changes: number): FileStore {
  let left = changes;
  return new Proxy(files, {
    get(target, name) {
      const method = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      const changing = name === 'write' || name === 'remove' || name === 'rename';
      return (...args: unknown[]) => {
        if (changing && left-- <= 0) throw new Error('killed');
        return method.apply(target, args);
      };
    },
  });
}
