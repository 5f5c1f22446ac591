/**
 * Every kernel against what ONNX Runtime and ONNX's reference evaluator computed (bench/peers/reference_kernels.py).
 * Fixtures hold six digits of float32 results, so values agree to 2e-5; integers and bools are equal.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type DType, storesDType } from '../../graph/dtype.ts';
import type { Attribute, Node, Tensor } from '../../graph/ir.ts';
import { isOpType, OPS, type OpType, splitKey } from '../../ops/schema.ts';
import { KERNELS } from './index.ts';
import { kernelContext } from './kernel.ts';
import { doubles, isBig, pack, store } from './tensor.ts';

type Stored = { dtype: DType; dims: number[]; data: (number | string)[] };
type StoredAttribute = Attribute | { type: 'tensor'; value: Stored };
interface Fixture {
  op: string;
  source: string;
  attributes: Record<string, StoredAttribute>;
  inputs: (Stored | null)[];
  outputs: (Stored | null)[];
  /** Defined leading positions of output 0 per batch row. */
  rows?: number[];
}

const FOLDER = new URL('./fixtures/', import.meta.url);
const FAMILIES = readdirSync(FOLDER).map(file => ({
  family: file.replace('.json', ''),
  cases: JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Fixture[],
}));

const SPECIAL: Record<string, number> = { nan: Number.NaN, inf: Infinity, '-inf': -Infinity };
const toNumber = (v: number | string): number => (typeof v === 'number' ? v : SPECIAL[v]);

function load({ dtype, dims, data }: Stored): Tensor {
  if (dtype === 'string') return { dtype, dims, data: data.map(String) };
  if (dtype === 'uint64') return { dtype, dims, data: BigUint64Array.from(data, BigInt) };
  if (isBig(dtype)) return { dtype, dims, data: BigInt64Array.from(data, BigInt) };
  return store(dtype, dims, Float64Array.from(data, toNumber));
}

/** The node of a case. Names tell which inputs and outputs there are. */
function nodeOf(f: Fixture): Node {
  const attributes = Object.entries(f.attributes).map(([name, a]) => {
    const tensor = a.type === 'tensor' ? { type: a.type, value: load(a.value as Stored) } : (a as Attribute);
    return [name, tensor] as const;
  });
  return {
    name: 'n',
    ...splitKey(f.op),
    inputs: f.inputs.map((x, i) => (x ? `i${i}` : '')),
    outputs: f.outputs.map((_, i) => `o${i}`),
    attributes: Object.fromEntries(attributes),
  };
}

function run(f: Fixture): readonly Tensor[] {
  if (!isOpType(f.op)) throw new Error(`${f.op} is not in the op list`);
  return KERNELS[f.op](
    kernelContext(
      nodeOf(f),
      f.inputs.map(x => (x ? load(x) : undefined)),
    ),
  );
}

/** Output 0 of [batch, length, width] cut to each row's defined length. */
function defined(values: number[], dims: readonly number[], rows: number[] | undefined): number[] {
  if (!rows) return values;
  const [, length, width] = dims;
  return values.filter((_, i) => Math.floor(i / width) % length < rows[Math.floor(i / (length * width))]);
}

const isClose = (a: number, b: number): boolean =>
  Object.is(a, b) || a === b || Math.abs(a - b) <= 2e-5 * Math.max(1, Math.abs(b));

/** Where `got` leaves `want`, or `close`. */
function compare(got: Tensor, want: Tensor, rows: number[] | undefined): string {
  const [x, y] = [got, want].map(t => defined([...doubles(t)], t.dims, rows));
  const off = x.findIndex((v, at) => !isClose(v, y[at]));
  return off === -1 ? 'close' : `element ${off} is ${x[off]}, not ${y[off]}`;
}

function check(f: Fixture): void {
  const outputs = run(f);
  for (const [i, stored] of f.outputs.entries()) {
    if (!stored) continue;
    const [got, want] = [outputs[i], load(stored)];
    expect([got.dtype, got.dims, storesDType(got.dtype, got.data)]).toEqual([want.dtype, want.dims, true]);
    if (isBig(want.dtype)) expect(got.data).toEqual(want.data);
    else expect(compare(got, want, i === 0 ? f.rows : undefined)).toBe('close');
  }
}

describe.each(FAMILIES)('$family', ({ cases }) => {
  test.each(cases.map((f, i) => ({ f, name: `${i} ${f.op} ${JSON.stringify(f.attributes).slice(0, 90)}` })))(
    '$name',
    ({ f }) => check(f),
  );
});

/** Bodies are no JSON; evaluate.test.ts runs some. */
const WITH_BODIES = ['If', 'Loop', 'Scan'];

test('every op of the list has a fixture, but for the two that no other program has', () => {
  const covered = new Set(FAMILIES.flatMap(({ cases }) => cases.map(f => f.op)));
  const missing = (Object.keys(OPS) as OpType[]).filter(op => !covered.has(op));
  expect(missing).toEqual([...WITH_BODIES, 'gaslaw.StopGradient', 'gaslaw.StraightThrough']);
});

test('4-bit codes are packed low nibble first', () => {
  const packed = pack('int4', [3], [1, -2, 7]);
  expect(packed.data).toEqual(Uint8Array.of(0xe1, 0x07));
  expect([...doubles(packed)]).toEqual([1, -2, 7]);
});
