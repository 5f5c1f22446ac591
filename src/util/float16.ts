/**
 * Floats narrower than 32 bits, as bit patterns.
 *
 * 1. One encoder and one decoder for all formats: a format is exponent bits, mantissa bits, a bias and what its top
 *    codes mean. Encoding divides by the quantum of the value's binade and rounds half to even, straight from double,
 *    so no value is rounded twice.
 * 2. float16 and bfloat16 overflow to infinity. The 8-bit formats saturate unless told otherwise, as ONNX's Cast does.
 * 3. float8e8m0 is apart: a power of two without sign, 255 for NaN, rounded up unless told otherwise.
 * Sources: IEEE 754-2019; Micikevicius et al. 2022, arXiv:2209.05433 (E4M3, E5M2); ONNX "Float stored in 8 bits".
 */
export interface FloatFormat {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly bias: number;
  /** `ieee`: top exponent holds infinity and NaN. `fn`: only all ones is NaN. `fnuz`: only negative zero is NaN. `finite`: neither. */
  readonly specials: 'ieee' | 'fn' | 'fnuz' | 'finite';
}

export const FLOAT_FORMATS = {
  float16: { exponentBits: 5, mantissaBits: 10, bias: 15, specials: 'ieee' },
  bfloat16: { exponentBits: 8, mantissaBits: 7, bias: 127, specials: 'ieee' },
  float8e4m3fn: { exponentBits: 4, mantissaBits: 3, bias: 7, specials: 'fn' },
  float8e4m3fnuz: { exponentBits: 4, mantissaBits: 3, bias: 8, specials: 'fnuz' },
  float8e5m2: { exponentBits: 5, mantissaBits: 2, bias: 15, specials: 'ieee' },
  float8e5m2fnuz: { exponentBits: 5, mantissaBits: 2, bias: 16, specials: 'fnuz' },
  float4e2m1: { exponentBits: 2, mantissaBits: 1, bias: 1, specials: 'finite' },
} as const satisfies Record<string, FloatFormat>;

export type SmallFloat = keyof typeof FLOAT_FORMATS;

export const isSmallFloat = (dtype: string): dtype is SmallFloat => Object.hasOwn(FLOAT_FORMATS, dtype);

const SCRATCH = new DataView(new ArrayBuffer(8));

/** floor(log2 |x|) of a normal double; −1023 for smaller ones. */
function binade(x: number): number {
  SCRATCH.setFloat64(0, x);
  return ((SCRATCH.getUint32(0) >>> 20) & 0x7ff) - 1023;
}

/** Nearest integer, ties to the even one. */
export function roundHalfEven(x: number): number {
  if (x < 0) return -roundHalfEven(-x);
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

const signBit = (f: FloatFormat): number => 1 << (f.exponentBits + f.mantissaBits);
const infinityCode = (f: FloatFormat): number => ((1 << f.exponentBits) - 1) << f.mantissaBits;

/** The code of the largest finite value. */
function largestCode(f: FloatFormat): number {
  if (f.specials === 'ieee') return infinityCode(f) - 1;
  return f.specials === 'fn' ? signBit(f) - 2 : signBit(f) - 1;
}

function nanCode(f: FloatFormat): number {
  if (f.specials === 'ieee') return infinityCode(f) | (1 << (f.mantissaBits - 1));
  if (f.specials === 'fn') return signBit(f) - 1;
  return f.specials === 'fnuz' ? signBit(f) : 0;
}

function overflowCode(f: FloatFormat, saturate: boolean): number {
  if (saturate || f.specials === 'finite') return largestCode(f);
  return f.specials === 'ieee' ? infinityCode(f) : nanCode(f);
}

/** |x| rounded to the format's grid, as a code without sign; past the largest code when x overflows. */
function magnitudeCode(x: number, f: FloatFormat): number {
  if (x === Infinity) return signBit(f);
  const exponent = Math.max(binade(x), 1 - f.bias);
  const steps = roundHalfEven(x / 2 ** (exponent - f.mantissaBits));
  return (exponent + f.bias - 1) * 2 ** f.mantissaBits + steps;
}

/** The bits of `x` in a format. `saturate` sends overflow to the largest finite value. */
export function encodeFloat(x: number, f: FloatFormat, saturate = false): number {
  if (Number.isNaN(x)) return nanCode(f);
  const sign = x < 0 || Object.is(x, -0) ? signBit(f) : 0;
  const code = magnitudeCode(Math.abs(x), f);
  if (code > largestCode(f)) {
    const over = overflowCode(f, saturate);
    return f.specials === 'fnuz' && !saturate ? over : sign | over;
  }
  return f.specials === 'fnuz' && code === 0 ? 0 : sign | code;
}

/** The value of a bit pattern. */
export function decodeFloat(bits: number, f: FloatFormat): number {
  const negative = (bits & signBit(f)) !== 0;
  const code = bits & (signBit(f) - 1);
  if (f.specials === 'fnuz' && bits === signBit(f)) return Number.NaN;
  if (f.specials !== 'fnuz' && code > largestCode(f)) {
    if (f.specials === 'fn' || code !== infinityCode(f)) return Number.NaN;
    return negative ? -Infinity : Infinity;
  }
  const exponent = code >>> f.mantissaBits;
  const mantissa = code & ((1 << f.mantissaBits) - 1);
  const steps = exponent === 0 ? mantissa : mantissa + (1 << f.mantissaBits);
  const magnitude = steps * 2 ** (Math.max(exponent, 1) - f.bias - f.mantissaBits);
  return negative ? -magnitude : magnitude;
}

export const toFloat16 = (x: number): number => encodeFloat(x, FLOAT_FORMATS.float16);
export const fromFloat16 = (bits: number): number => decodeFloat(bits, FLOAT_FORMATS.float16);
export const toBfloat16 = (x: number): number => encodeFloat(x, FLOAT_FORMATS.bfloat16);
export const fromBfloat16 = (bits: number): number => decodeFloat(bits, FLOAT_FORMATS.bfloat16);
export const toFloat8e4m3fn = (x: number, saturate = true): number =>
  encodeFloat(x, FLOAT_FORMATS.float8e4m3fn, saturate);
export const fromFloat8e4m3fn = (bits: number): number => decodeFloat(bits, FLOAT_FORMATS.float8e4m3fn);
export const toFloat8e5m2 = (x: number, saturate = true): number =>
  encodeFloat(x, FLOAT_FORMATS.float8e5m2, saturate);
export const fromFloat8e5m2 = (bits: number): number => decodeFloat(bits, FLOAT_FORMATS.float8e5m2);

/** Which power of two a value between two of them becomes; `nearest` sends the middle up. */
export type PowerRounding = 'up' | 'down' | 'nearest';

/** Exponent code e of 2^(e − 127), 255 for NaN. Out of range: the nearest code, or NaN without `saturate`. */
export function toFloat8e8m0(x: number, rounding: PowerRounding = 'up', saturate = true): number {
  if (Number.isNaN(x) || x < 0) return 255;
  const low = x === Infinity ? 255 : x === 0 ? -1 : Math.floor(Math.log2(x)) + 127;
  const rest = x / 2 ** (low - 127);
  const raised = rounding === 'up' ? rest > 1 : rounding === 'nearest' && rest >= 1.5;
  const code = raised && Number.isFinite(rest) ? low + 1 : low;
  if (code >= 0 && code <= 254) return code;
  return saturate ? Math.min(254, Math.max(0, code)) : 255;
}
export const fromFloat8e8m0 = (code: number): number => (code === 255 ? Number.NaN : 2 ** (code - 127));

const TABLES = new Map<SmallFloat, Float64Array>();

/** All values of a format by code. */
function valuesOf(dtype: SmallFloat): Float64Array {
  const known = TABLES.get(dtype);
  if (known) return known;
  const f = FLOAT_FORMATS[dtype];
  const table = Float64Array.from({ length: signBit(f) * 2 }, (_, bits) => decodeFloat(bits, f));
  TABLES.set(dtype, table);
  return table;
}

/** Decodes an array of codes (one a slot) to doubles. */
export function decodeFloats(codes: ArrayLike<number>, dtype: SmallFloat): Float64Array {
  const table = valuesOf(dtype);
  const out = new Float64Array(codes.length);
  for (let i = 0; i < out.length; i++) out[i] = table[codes[i]];
  return out;
}

/** Decodes codes into `out`, which is as long: float32 holds every value of these formats. */
export function decodeFloatsInto(out: Float32Array, codes: ArrayLike<number>, dtype: SmallFloat): void {
  if (dtype === 'bfloat16') {
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length); // the upper half of a float32
    for (let i = 0; i < bits.length; i++) bits[i] = (codes[i] as number) << 16;
    return;
  }
  const table = valuesOf(dtype);
  for (let i = 0; i < out.length; i++) out[i] = table[codes[i] as number] as number;
}

/** Encodes numbers to codes (one a slot). */
export function encodeFloats(
  values: ArrayLike<number>,
  dtype: SmallFloat,
  saturate = false,
): Uint16Array<ArrayBuffer> {
  if (dtype === 'bfloat16' && values instanceof Float32Array) return bfloat16Codes(values);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = encodeFloat(values[i], FLOAT_FORMATS[dtype], saturate);
  return out;
}

/** float32 to bfloat16: the upper half, rounded to even by adding just under half of the lower one. */
function bfloat16Codes(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const x = bits[i] as number;
    const nan = (x & 0x7fffffff) > 0x7f800000;
    out[i] = nan ? 0x7fc0 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
  return out;
}
