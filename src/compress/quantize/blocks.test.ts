import { describe, expect, it } from 'vitest';
import { Random } from '../../util/random.ts';
import {
  type BlockFormat,
  type BlockQuantized,
  blockTensors,
  dequantize,
  errorOf,
  type Matrix,
  packRows,
} from './blocks.ts';
import { inverseFactor } from './methods/hessian.ts';
import { type InputStatistics, METHODS } from './methods/index.ts';

const FORMAT: BlockFormat = { bits: 4, blockSize: 16, symmetric: false, scales: 'float32' };

const matrixOf = (rows: number, columns: number, at: (i: number) => number): Matrix => ({
  rows,
  columns,
  data: Float32Array.from({ length: rows * columns }, (_, i) => at(i)),
});

function normalMatrix(rows: number, columns: number, seed = 1): Matrix {
  const random = new Random(seed);
  return matrixOf(rows, columns, () => 0.1 * random.normal());
}

/** Σ over rows of eᵀ H e: the mean square error of the product. */
function productError(matrix: Matrix, q: BlockQuantized, { gram }: InputStatistics): number {
  const approximate = dequantize(q).data;
  const { rows, columns: n } = matrix;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    const e = Array.from(
      { length: n },
      (_, i) => (matrix.data[row * n + i] as number) - (approximate[row * n + i] as number),
    );
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) sum += (e[i] as number) * (e[j] as number) * (gram[i * n + j] as number);
  }
  return sum;
}

/** E[x xᵀ] of x = A z with a random A and white z: inputs that depend on each other. */
function dependentInputs(columns: number, rank: number): InputStatistics {
  const a = normalMatrix(columns, rank, 9).data;
  const gram = Float64Array.from({ length: columns * columns }, (_, at) => {
    const [i, j] = [Math.floor(at / columns), at % columns];
    let sum = i === j ? 1e-4 : 0;
    for (let k = 0; k < rank; k++) sum += (a[i * rank + k] as number) * (a[j * rank + k] as number);
    return sum;
  });
  return { columns, gram };
}

describe('packing', () => {
  it('puts the first code of a row into the low bits and starts each row at a byte', () => {
    expect([...packRows(Uint8Array.of(1, 2, 3, 15, 14, 13), 2, 4)]).toEqual([0x21, 0x03, 0xef, 0x0d]);
    expect([...packRows(Uint8Array.of(200, 3), 1, 8)]).toEqual([200, 3]);
    // 1 + 4·2 + 16·3 + 64·0, then 2
    expect([...packRows(Uint8Array.of(1, 2, 3, 0, 2), 1, 2)]).toEqual([57, 2]);
  });

  it('has the shapes of MatMulNBits, with rows padded to whole blocks', () => {
    const q = METHODS.rtn.quantize(normalMatrix(3, 40), { ...FORMAT, scales: 'float16' });
    const { codes, scales, zeros } = blockTensors(q);
    expect(codes.dims).toEqual([3, 3, 8]);
    expect([scales.dtype, scales.dims]).toEqual(['float16', [9]]);
    expect(zeros?.dims).toEqual([6]); // three 4-bit zero points a row take two bytes
    expect(dequantize(q).data.length).toBe(120);
  });
});

describe('rounding to nearest', () => {
  it('keeps an evenly spaced block exactly: 16 values from −5 to 10 are the 16 codes', () => {
    const matrix = matrixOf(1, 16, i => i - 5);
    const q = METHODS.rtn.quantize(matrix, FORMAT);
    expect([...q.codes]).toEqual([...Array(16).keys()]);
    expect([q.scales[0], q.zeros[0]]).toEqual([1, 5]);
    expect([...dequantize(q).data]).toEqual([...matrix.data]);
  });

  it.each([4, 8] as const)('errs by at most half a step at %d bits, and a step of rounded ends', bits => {
    const matrix = normalMatrix(20, 48);
    const q = METHODS.rtn.quantize(matrix, { ...FORMAT, bits });
    const back = dequantize(q).data;
    matrix.data.forEach((w, i) => {
      const scale = q.scales[Math.floor(i / 16)] as number;
      const clipped = w === Math.min(...block(matrix, i)) || w === Math.max(...block(matrix, i));
      expect(Math.abs(w - (back[i] as number))).toBeLessThanOrEqual((clipped ? 1 : 0.5) * scale * 1.0001);
    });
  });

  it('symmetric blocks hold their extreme exactly, whatever its sign', () => {
    for (const sign of [1, -1]) {
      const matrix = matrixOf(1, 16, i => (i === 3 ? sign * 2 : 0.1 * i));
      const q = METHODS.rtn.quantize(matrix, { ...FORMAT, symmetric: true });
      expect(dequantize(q).data[3]).toBe(sign * 2);
      expect(blockTensors(q).zeros).toBeUndefined();
    }
  });

  it('a block of zeros stays zero', () => {
    const q = METHODS.mse.quantize(
      matrixOf(2, 16, () => 0),
      FORMAT,
    );
    expect(dequantize(q).data.every(w => w === 0)).toBe(true);
  });

  it('float16 scales are float16 numbers', () => {
    const q = METHODS.rtn.quantize(normalMatrix(4, 32), { ...FORMAT, scales: 'float16' });
    // a float16 of this size has 11 significant bits
    for (const s of q.scales) expect((s * 2 ** (10 - Math.floor(Math.log2(s)))) % 1).toBe(0);
  });
});

const block = ({ data }: Matrix, i: number): Float32Array => data.subarray(i - (i % 16), i - (i % 16) + 16);

describe('search of the range', () => {
  it('is never worse than rounding to nearest, block by block, and better in all', () => {
    const matrix = normalMatrix(64, 64);
    for (const symmetric of [true, false]) {
      const format = { ...FORMAT, symmetric };
      const [rtn, mse] = (['rtn', 'mse'] as const).map(
        m => dequantize(METHODS[m].quantize(matrix, format)).data,
      );
      const squares = (approximate: Float32Array | undefined, start: number) =>
        matrix.data
          .subarray(start, start + 16)
          .reduce((sum, w, i) => sum + (w - (approximate?.[start + i] ?? 0)) ** 2, 0);
      let [before, after] = [0, 0];
      for (let start = 0; start < matrix.data.length; start += 16) {
        before += squares(rtn, start);
        after += squares(mse, start);
        expect(squares(mse, start)).toBeLessThanOrEqual(squares(rtn, start) * 1.0001);
      }
      expect(after).toBeLessThan(0.97 * before);
    }
  });
});

describe('widths that no op reads', () => {
  it.each([3, 5, 6] as const)('%d bits have values, with steps of the span over 2^bits − 1', bits => {
    const matrix = matrixOf(1, 16, i => i - 5);
    const q = METHODS.rtn.quantize(matrix, { ...FORMAT, bits });
    expect(q.scales[0]).toBeCloseTo(15 / (2 ** bits - 1), 6);
    expect(() => blockTensors(q)).toThrow(/no op reads weights of/);
  });
});

describe('HQQ', () => {
  const distance = (matrix: Matrix, q: BlockQuantized): number => {
    const back = dequantize(q).data;
    return matrix.data.reduce((sum, w, i) => sum + Math.abs(w - (back[i] as number)) ** 0.7, 0);
  };

  it.each([2, 3, 4, 8] as const)('%d bits: closer than rounding to nearest in the norm of p = 0.7', bits => {
    for (const symmetric of [true, false]) {
      const matrix = normalMatrix(64, 64);
      const format = { ...FORMAT, bits, symmetric };
      const [rtn, hqq] = (['rtn', 'hqq'] as const).map(m =>
        distance(matrix, METHODS[m].quantize(matrix, format)),
      );
      expect(hqq).toBeLessThan(0.99 * (rtn as number));
    }
  });
});

describe('GPTQ', () => {
  it('in order of activity is as good, with scales that do not wait for the sweep', () => {
    const matrix = normalMatrix(16, 48);
    const inputs = dependentInputs(48, 12);
    const run = (actOrder: boolean) => METHODS.gptq.quantize(matrix, FORMAT, inputs, { actOrder });
    const mse = productError(matrix, METHODS.mse.quantize(matrix, FORMAT, inputs), inputs);
    expect(productError(matrix, run(true), inputs)).toBeLessThan(0.5 * mse);
    expect([...run(true).scales]).toEqual([...METHODS.mse.quantize(matrix, FORMAT, inputs).scales]);
  });

  it('panels change nothing: 300 columns as the textbook sweep rounds them', () => {
    const [rows, n] = [3, 300];
    const matrix = normalMatrix(rows, n);
    const inputs = dependentInputs(n, 40);
    const q = METHODS.gptq.quantize(matrix, { ...FORMAT, blockSize: 512 }, inputs);
    const factor = inverseFactor(inputs);
    const w = Float32Array.from(matrix.data);
    for (let row = 0; row < rows; row++)
      for (let j = 0; j < n; j++) {
        const [scale, zero] = [q.scales[row] as number, q.zeros[row] as number];
        const code = Math.max(0, Math.min(15, Math.floor((w[row * n + j] as number) / scale + 0.5) + zero));
        expect(q.codes[row * 512 + j]).toBe(code);
        const delta = ((w[row * n + j] as number) - (code - zero) * scale) / (factor[j * n + j] as number);
        for (let k = j + 1; k < n; k++)
          w[row * n + k] = (w[row * n + k] as number) - delta * (factor[j * n + k] as number);
      }
  });

  it('is plain rounding when inputs are independent: nothing can be made up for', () => {
    const matrix = normalMatrix(8, 32);
    const gram = Float64Array.from({ length: 32 * 32 }, (_, i) => (i % 33 === 0 ? 2 : 0));
    const q = METHODS.gptq.quantize(matrix, FORMAT, { columns: 32, gram });
    expect([...q.codes]).toEqual([...METHODS.mse.quantize(matrix, FORMAT).codes]);
  });

  it('at least halves the error of the product when inputs depend on each other', () => {
    const matrix = normalMatrix(16, 48);
    const inputs = dependentInputs(48, 12);
    const gptq = productError(matrix, METHODS.gptq.quantize(matrix, FORMAT, inputs), inputs);
    const mse = productError(matrix, METHODS.mse.quantize(matrix, FORMAT), inputs);
    expect(gptq).toBeLessThan(0.5 * mse);
  });

  it('needs statistics of as many inputs as the matrix has columns', () => {
    expect(() => METHODS.gptq.quantize(normalMatrix(2, 16), FORMAT)).toThrow(/calibration data/);
    expect(() => METHODS.gptq.quantize(normalMatrix(2, 16), FORMAT, dependentInputs(32, 4))).toThrow(
      /32 inputs, but the matrix has 16/,
    );
  });
});

it('errors are those of the definition', () => {
  const matrix = matrixOf(1, 16, i => (i === 0 ? 3 : 4));
  const q = METHODS.rtn.quantize(matrix, { ...FORMAT, bits: 8 });
  const zeroed = { ...q, scales: new Float32Array(1) };
  expect(errorOf(matrix, zeroed)).toEqual({ relative: 1, largest: 4 });
});
