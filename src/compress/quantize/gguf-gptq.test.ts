/** GPTQ within GGUF's blocks: the file's own grid, and a product nearer to the float one than the nearest codes give. */
import { describe, expect, it } from 'vitest';
import { type CodedType, gridOf, isCoded, putCodes } from '../../formats/gguf/codes.ts';
import { dequantize } from '../../formats/gguf/dequantize.ts';
import { quantize, WRITABLE_TYPES } from '../../formats/gguf/quantize.ts';
import { Random } from '../../util/random.ts';
import { gptqBlocks, quantizerOf } from './gguf-gptq.ts';

const [ROWS, COLUMNS, SAMPLES] = [8, 256, 1024];
const CODED = WRITABLE_TYPES.filter(isCoded);
const BITS: Readonly<Record<CodedType, number>> = {
  Q2_K: 2,
  Q3_K: 3,
  Q4_K: 4,
  Q4_0: 4,
  Q4_1: 4,
  Q5_K: 5,
  Q5_0: 5,
  Q5_1: 5,
  Q6_K: 6,
};

const random = new Random(1);
const WEIGHTS = Float32Array.from({ length: ROWS * COLUMNS }, () => 0.1 * random.normal());

/** E[x xᵀ] of inputs that share twelve causes and are driven unequally. */
function gram(): Float64Array {
  const causes = Array.from({ length: 12 }, () =>
    Float64Array.from({ length: COLUMNS }, () => random.normal()),
  );
  const drive = Float64Array.from({ length: COLUMNS }, () => Math.exp(0.8 * random.normal()));
  const sum = new Float64Array(COLUMNS * COLUMNS);
  for (let n = 0; n < SAMPLES; n++) {
    const amounts = causes.map(() => random.normal());
    const x = Float64Array.from(
      drive,
      (scale, i) =>
        scale *
        (0.5 * random.normal() + amounts.reduce((all, a, c) => all + 0.3 * a * (causes[c]?.[i] ?? 0), 0)),
    );
    for (let i = 0; i < COLUMNS; i++)
      for (let j = 0; j < COLUMNS; j++)
        sum[i * COLUMNS + j] =
          (sum[i * COLUMNS + j] as number) + ((x[i] as number) * (x[j] as number)) / SAMPLES;
  }
  return sum;
}
const inputs = { columns: COLUMNS, gram: gram() };
const statistics = {
  ...inputs,
  mean: new Float64Array(COLUMNS),
  largest: new Float64Array(COLUMNS),
};
const importance = Float64Array.from({ length: COLUMNS }, (_, i) => inputs.gram[i * COLUMNS + i] as number);

function readBack(type: CodedType, bytes: Uint8Array): Float32Array {
  const out = new Float32Array(WEIGHTS.length);
  dequantize(type, bytes, out);
  return out;
}

/** E‖(W − Ŵ) x‖². */
function productError(back: Float32Array): number {
  let error = 0;
  for (let row = 0; row < ROWS; row++) {
    const d = WEIGHTS.subarray(row * COLUMNS, (row + 1) * COLUMNS).map(
      (w, i) => w - (back[row * COLUMNS + i] as number),
    );
    for (let i = 0; i < COLUMNS; i++)
      for (let j = 0; j < COLUMNS; j++)
        error += (d[i] as number) * (d[j] as number) * (inputs.gram[i * COLUMNS + j] as number);
  }
  return error;
}

describe.each(CODED)('%s', type => {
  const bytes = quantize(type, WEIGHTS, COLUMNS, importance);

  it('has 2^bits codes on a line, and the bytes follow from them and the scales', () => {
    const { base, step, levels } = gridOf(type, bytes);
    expect(levels).toBe(2 ** BITS[type]);
    const codes = Uint8Array.from(readBack(type, bytes), (v, i) =>
      step[i] === 0 ? 0 : Math.round((v - (base[i] as number)) / (step[i] as number)),
    );
    const again = bytes.slice();
    putCodes(type, new Uint8Array(codes.length).fill(levels - 1), again);
    expect(again).not.toEqual(bytes);
    putCodes(type, codes, again);
    expect(readBack(type, again)).toEqual(readBack(type, bytes));
  });

  it('the product is nearer than with the nearest codes', () => {
    const swept = gptqBlocks(type, { rows: ROWS, columns: COLUMNS, data: WEIGHTS }, inputs);
    expect(swept).toHaveLength(bytes.length);
    expect(productError(readBack(type, swept))).toBeLessThan(0.75 * productError(readBack(type, bytes)));
  });
});

it('stores what was not calibrated, or has no codes, by nearness', () => {
  const write = quantizerOf(new Map([['seen', statistics]]));
  expect(write('other', 'Q4_K', WEIGHTS, COLUMNS)).toEqual(quantize('Q4_K', WEIGHTS, COLUMNS));
  expect(write('seen', 'Q8_0', WEIGHTS, COLUMNS)).toEqual(quantize('Q8_0', WEIGHTS, COLUMNS));
  expect(write('seen', 'Q4_K', WEIGHTS, COLUMNS)).not.toEqual(quantize('Q4_K', WEIGHTS, COLUMNS, importance));
  const nearest = quantizerOf(new Map([['seen', statistics]]), { gptq: false });
  expect(nearest('seen', 'Q4_K', WEIGHTS, COLUMNS)).toEqual(quantize('Q4_K', WEIGHTS, COLUMNS, importance));
});
