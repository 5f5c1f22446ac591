/** `gaslaw quantize`, run as users run it. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeTflite } from '../src/formats/tflite/decode.ts';
import { float32, modelOf } from '../src/graph/ir.ts';
import { decodeModel, encodeModel } from '../src/graph/protobuf.ts';
import { Builder } from '../src/ops/builder.ts';
import { Qdq } from '../src/ops/qdq.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { Random } from '../src/util/random.ts';
import { gaslaw, jsonOf, writeTinyModel } from './gaslaw.ts';
import { HAS_DATA, NEEDS_DATA, shared } from './shared-data.ts';

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-quantize-'));
const cli = (...args: string[]) => gaslaw(folder, ['quantize', ...args]);

interface Result {
  readonly output: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly macsBefore: number;
  readonly macsAfter: number;
}

interface Quality extends Result {
  readonly qualityBefore: number;
  readonly qualityAfter: number;
  readonly qualityInterval: readonly [number, number];
}

const KEYWORDS = join(import.meta.dirname, '../bench/data/keywords.json');
if (HAS_DATA) copyFileSync(shared('mlperftiny_kws_dscnn.onnx'), join(folder, 'kws.onnx'));

/** Convolution, Relu, mean, product. */
function writeModel(name: string): void {
  const random = new Random(1);
  const normal = (dims: number[]) =>
    float32(
      dims,
      Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 0.1 * random.normal()),
    );
  const b = new Builder('small');
  const x = b.input('x', 'float32', ['batch', 3, 8, 8]);
  const conv = b.op(
    'Conv',
    [x, b.initializer('w', normal([32, 3, 3, 3])), b.initializer('b', normal([32]))],
    { pads: [1, 1, 1, 1] },
  );
  const mean = b.op('Flatten', [b.op('GlobalAveragePool', [b.op('Relu', [conv], {})], {})], {});
  b.output(b.op('Gemm', [mean, b.initializer('v', normal([32, 64]))], {}), 'y');
  writeFileSync(join(folder, name), encodeModel(modelOf(b.graph)));
}
writeModel('small.onnx');

const read = (name: string) => decodeModel(readFileSync(join(folder, name)));
const weightDType = (name: string) => {
  const { graph } = read(name);
  return new Qdq(graph).behind(graph.nodes.find(n => n.opType === 'Conv')?.inputs[1] as string)?.quantization;
};

describe('gaslaw quantize', () => {
  it('writes a graph in integers that ONNX Runtime runs', async () => {
    const result = jsonOf(cli('small.onnx', '--dtype', 'int8', '--out', 'int8.onnx', '--json')) as Result;
    expect(result).toMatchObject({ output: 'int8.onnx', macsBefore: 3 * 9 * 32 * 64 + 32 * 64 });
    expect(result.bytesAfter).toBeLessThan(0.8 * result.bytesBefore);
    expect(weightDType('int8.onnx')).toMatchObject({ dtype: 'int8', axis: 0 });
    using program = await (await nativeRuntime()).compile(read('int8.onnx'));
    const y = (await program.call({ x: float32([2, 3, 8, 8], new Float32Array(384).fill(0.5)) })).y;
    expect(y?.dims).toEqual([2, 64]);
  });

  it('its graph converts to TFLite, with a batch of 1 or of --dim', () => {
    jsonOf(cli('small.onnx', '--dtype', 'int8', '--out', 'free.onnx', '--json'));
    for (const [dim, batch] of [
      [[], 1],
      [['--dim', 'batch=2'], 2],
    ] as const) {
      jsonOf(
        gaslaw(folder, ['convert', 'free.onnx', '--to', 'tflite', ...dim, '--out', 'free.tflite', '--json']),
      );
      const { tensors, inputs } = decodeTflite(readFileSync(join(folder, 'free.tflite')));
      expect(tensors[inputs[0] ?? -1]?.shape).toEqual([batch, 8, 8, 3]);
    }
  });

  it('what it writes for a device the device reads', () => {
    jsonOf(
      cli(
        'small.onnx',
        '--dtype',
        'int8',
        '--device',
        'stm32n6',
        '--dim',
        'batch=1',
        '--out',
        'st.onnx',
        '--json',
      ),
    );
    expect(read('st.onnx').opsets.get('')).toBe(20);
    expect(jsonOf(gaslaw(folder, ['check', 'st.onnx', '--device', 'stm32n6', '--json']))).toMatchObject({
      deploys: true,
    });
  });

  it.each([
    ['int4', [], { dtype: 'int4' }],
    ['int16', [], { dtype: 'int8' }],
    ['int8', ['--per-tensor'], { scale: [expect.any(Number)] }],
    ['int8', ['--power-of-two', '--symmetric'], { dtype: 'int8' }],
    [
      'int8',
      ['--method', 'entropy', '--samples', '8', '--seed', '3', '--input-range', '0,1'],
      { dtype: 'int8' },
    ],
    ['int8', ['--equalize', '--bias-correction'], { dtype: 'int8' }],
    ['int8', ['--rounding', 'output', '--average-bits', '4'], { dtype: 'int4' }],
    ['int8', ['--device', 'ti-am62a'], { dtype: 'int8' }],
  ])('%s %j', (dtype, args, expected) => {
    jsonOf(cli('small.onnx', '--dtype', dtype, ...args, '--out', 'other.onnx', '--json'));
    expect(weightDType('other.onnx')).toMatchObject(expected);
  });

  it.runIf(HAS_DATA)(`calibrates on data and says what was lost on the rest ${NEEDS_DATA}`, () => {
    const args = [
      'kws.onnx',
      '--dtype',
      'int8',
      '--data',
      KEYWORDS,
      '--samples',
      '200',
      '--rounding',
      'nearest',
      '--out',
      'kws8.onnx',
      '--json',
    ];
    const result = jsonOf(cli(...args)) as Quality;
    expect(result).toMatchObject({ quality: 'accuracy', calibration: { samples: 200 } });
    expect(result.qualityBefore).toBeGreaterThan(0.88);
    expect(result.qualityAfter).toBeGreaterThan(result.qualityBefore - 0.01);
    const [low, high] = result.qualityInterval;
    expect(low < result.qualityAfter && result.qualityAfter < high).toBe(true);
  });

  it.runIf(HAS_DATA)(`measures on other data where it is told to ${NEEDS_DATA}`, () => {
    const args = [
      'kws.onnx',
      '--dtype',
      'int8',
      '--eval',
      KEYWORDS,
      '--samples',
      '4',
      '--out',
      'kws8.onnx',
      '--json',
    ];
    expect((jsonOf(cli(...args)) as Quality).qualityBefore).toBeCloseTo(0.901, 6);
  });

  it('float16 halves the weights', () => {
    const result = jsonOf(cli('small.onnx', '--dtype', 'float16', '--out', 'half.onnx', '--json')) as Result;
    expect(read('half.onnx').graph.initializers.get('w.float16')?.dtype).toBe('float16');
    expect(result.bytesAfter).toBeLessThan(0.7 * result.bytesBefore);
  });

  it('int8 TFLite at once, as a microcontroller takes it', () => {
    jsonOf(
      cli('small.onnx', '--dtype', 'int8', '--device', 'arm-cortex-m4', '--out', 'small.tflite', '--json'),
    );
    const { tensors } = decodeTflite(readFileSync(join(folder, 'small.tflite')));
    expect(tensors.find(t => t.name === 'x')).toMatchObject({ dtype: 'int8', shape: [1, 8, 8, 3] });
  });

  it('a language model’s weights', async () => {
    await writeTinyModel(join(folder, 'lm'), 'abcdefgh 0123456789+=');
    const result = jsonOf(cli('lm', '--dtype', 'int8', '--out', 'lm8', '--json')) as Result;
    expect(existsSync(join(folder, result.output))).toBe(true);
    expect(result.output).toMatch(/_quantized\.onnx$/);
  });

  it('a language model into GGUF, with its perplexity before and after', () => {
    writeFileSync(join(folder, 'text.txt'), 'abc 12+34=46 '.repeat(200));
    const args = ['--dtype', 'q8_0', '--data', 'text.txt', '--out', 'lm.gguf', '--json'];
    const result = jsonOf(cli('lm', ...args)) as Record<string, number>;
    expect(result).toMatchObject({ output: 'lm.gguf', dtype: 'q8_0', method: 'mse' });
    expect(result.qualityBefore).toBeGreaterThan(1);
    expect(result.qualityAfter).not.toBe(result.qualityBefore);
    expect(result.qualityAfter).toBeCloseTo(result.qualityBefore as number, 1);
  });

  it.each([
    [['lm', '--dtype', 'int16', '--out', 'x'], 2, /--dtype int16: language models take int8, int4/],
    [
      ['lm', '--dtype', 'int8', '--method', 'entropy', '--out', 'x'],
      2,
      /for language models it is one of rtn/,
    ],
    [['small.onnx', '--dtype', 'q4_k', '--out', 'x.onnx'], 2, /q4_k is for language models/],
    [['small.onnx', '--dtype', 'int8', '--method', 'awq', '--out', 'x.onnx'], 2, /for graphs it is one of/],
    [
      ['small.onnx', '--dtype', 'int3', '--out', 'x.onnx'],
      2,
      /--dtype is "int3"; it must be one of int8, int4/,
    ],
    [
      ['small.onnx', '--dtype', 'int4', '--device', 'arm-cortex-m4', '--out', 'x.onnx'],
      2,
      /arm-cortex-m4 takes weights of int8; none has 4 bits/,
    ],
    [
      ['small.onnx', '--dtype', 'int8', '--input-range', '1', '--out', 'x.onnx'],
      2,
      /--input-range 1: give two numbers/,
    ],
    [['small.onnx', '--dtype', 'int8', '--train', '1', '--out', 'x.onnx'], 2, /training needs examples/],
    [['small.onnx', '--dtype', 'int8', '--average-bits', '3', '--out', 'x.onnx'], 2, /--average-bits/],
    [['absent.onnx', '--dtype', 'int8', '--out', 'x.onnx'], 1, /absent\.onnx: no such file/],
  ])('%j is refused in one sentence', (args, code, message) => {
    const { status, stderr } = cli(...args);
    expect(status).toBe(code);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});
