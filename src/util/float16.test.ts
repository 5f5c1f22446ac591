import { describe, expect, test } from 'vitest';
import {
  decodeFloat,
  decodeFloats,
  decodeFloatsInto,
  encodeFloat,
  encodeFloats,
  FLOAT_FORMATS,
  fromBfloat16,
  fromFloat8e4m3fn,
  fromFloat8e5m2,
  fromFloat16,
  roundHalfEven,
  type SmallFloat,
  toBfloat16,
  toFloat8e4m3fn,
  toFloat8e5m2,
  toFloat16,
} from './float16.ts';

const FORMATS = Object.keys(FLOAT_FORMATS) as SmallFloat[];
const codesOf = (dtype: SmallFloat) => {
  const f = FLOAT_FORMATS[dtype];
  return Array.from({ length: 2 ** (1 + f.exponentBits + f.mantissaBits) }, (_, i) => i);
};

describe.each(FORMATS)('%s', dtype => {
  const f = FLOAT_FORMATS[dtype];
  test('every pattern survives decode and encode', () => {
    const lost = codesOf(dtype).filter(bits => {
      const x = decodeFloat(bits, f);
      return Number.isNaN(x) ? !Number.isNaN(decodeFloat(encodeFloat(x, f), f)) : encodeFloat(x, f) !== bits;
    });
    expect(lost).toEqual([]);
  });

  test('a midpoint of neighbours goes to the even code, a hair beside it to the nearer one', () => {
    const wrong = codesOf(dtype).filter(bits => {
      const [low, high] = [decodeFloat(bits, f), decodeFloat(bits + 1, f)];
      if (!(low >= 0 && high > low && high < Infinity)) return false;
      const middle = (low + high) / 2;
      const hair = (high - low) / 1024;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const got = [middle - hair, middle, middle + hair].map(x => encodeFloat(x, f));
      return got.join() !== [bits, even, bits + 1].join();
    });
    expect(wrong).toEqual([]);
  });

  test('arrays decode as single codes do', () => {
    const codes = codesOf(dtype);
    const out = new Float32Array(codes.length);
    decodeFloatsInto(out, codes, dtype);
    expect(Array.from(out)).toEqual(codes.map(bits => decodeFloat(bits, f)));
    expect(Array.from(decodeFloats(codes, dtype))).toEqual(Array.from(out));
  });

  test('arrays encode as single numbers do', () => {
    const bits = Uint32Array.from({ length: 20_000 }, (_, i) => Math.imul(i, 0x9e3779b1));
    const values = new Float32Array(bits.buffer);
    values.set([0, -0, Infinity, -Infinity, Number.NaN, 3.4e38, -3.4e38, 1e-40]);
    expect(Array.from(encodeFloats(values, dtype))).toEqual(Array.from(values, x => encodeFloat(x, f)));
  });
});

test('float16 has the values that IEEE 754 gives', () => {
  expect([0x3c00, 0x7bff, 0x0001, 0x0400, 0xfc00, 0x3555].map(fromFloat16)).toEqual([
    1,
    65504,
    2 ** -24,
    2 ** -14,
    -Infinity,
    0.333251953125,
  ]);
  expect([65519.99, 65520, -1e9, 2 ** -25, 2 ** -25 * 1.01].map(toFloat16)).toEqual([
    0x7bff, 0x7c00, 0xfc00, 0, 1,
  ]);
});

test('bfloat16 agrees with rounding the upper half of float32', () => {
  const upper = (x: number) => {
    const u = new Uint32Array(Float32Array.of(x).buffer)[0];
    return ((u + 0x7fff + ((u >>> 16) & 1)) >>> 16) & 0xffff;
  };
  for (const x of [1, -1, Math.PI, 1e-30, -1e30, 0.1, 257, 2 ** -133, 1.00390625]) {
    const f = Math.fround(x);
    expect(toBfloat16(f)).toBe(upper(f));
  }
  expect(fromBfloat16(0x4049)).toBe(3.140625);
});

test('8-bit floats saturate or not, as asked', () => {
  expect(fromFloat8e4m3fn(toFloat8e4m3fn(1000))).toBe(448);
  expect(fromFloat8e4m3fn(toFloat8e4m3fn(1000, false))).toBeNaN();
  expect(fromFloat8e4m3fn(toFloat8e4m3fn(464))).toBe(448);
  expect(fromFloat8e5m2(toFloat8e5m2(-1e6))).toBe(-57344);
  expect(fromFloat8e5m2(toFloat8e5m2(-1e6, false))).toBe(-Infinity);
});

test('float4 e2m1 has its sixteen values', () => {
  const values = codesOf('float4e2m1')
    .slice(0, 8)
    .map(b => decodeFloat(b, FLOAT_FORMATS.float4e2m1));
  expect(values).toEqual([0, 0.5, 1, 1.5, 2, 3, 4, 6]);
});

test('round half to even', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999].map(roundHalfEven)).toEqual([0, 2, 2, -0, -2, 2]);
});
