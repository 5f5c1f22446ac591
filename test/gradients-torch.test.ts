/** Gradients against PyTorch's, replayed from bench/peers/fixtures/gradients.json (see bench/peers/README.md). */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { gradients } from '../src/autodiff/gradients.ts';
import { lower } from '../src/autodiff/lower.ts';
import { allocate, type DType } from '../src/graph/dtype.ts';
import { sizeOf, type Tensor } from '../src/graph/ir.ts';
import { Builder, type Value } from '../src/ops/builder.ts';
import { GRADIENT_RULES } from '../src/ops/gradient/index.ts';
import { isNone } from '../src/ops/rule.ts';
import { isOpType, type OpType } from '../src/ops/schema.ts';
import { evaluate } from '../src/runtime/reference/index.ts';

interface Stored {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

interface Fixture {
  readonly op: string;
  readonly domain: string;
  readonly attributes: Readonly<Record<string, number | string | number[]>>;
  readonly inputs: readonly (Stored | null)[];
  readonly outputs: readonly (Stored | null)[];
  readonly cotangents: readonly (readonly number[] | null)[];
  readonly inputGradients: readonly (readonly number[] | null)[];
}

const PATH = new URL('../bench/peers/fixtures/gradients.json', import.meta.url);
const FIXTURES: readonly Fixture[] = existsSync(PATH) ? JSON.parse(readFileSync(PATH, 'utf8')) : [];

const keyOf = (f: Fixture): string => (f.domain === '' ? f.op : `${f.domain}.${f.op}`);
/** Ops in which data inputs from this position on (axes, shapes, bounds) are held constant. */
const isData = (f: Fixture, i: number): boolean =>
  f.inputGradients[i] != null || f.inputs[i]?.dtype !== 'int64';

function tensorOf({ dtype, dims, data }: Stored): Tensor {
  const array = allocate(dtype, sizeOf(dims));
  data.forEach((v, i) => {
    if (array instanceof BigInt64Array) array[i] = BigInt(v);
    else (array as Float32Array)[i] = v;
  });
  return { dtype, dims, data: array };
}

/** Runs the fixture's op and its gradient: outputs `y…` and `d…` by position. */
async function replay(f: Fixture): Promise<Readonly<Record<string, Tensor>>> {
  const b = new Builder('fixture');
  const feeds: Record<string, Tensor> = {};
  const inputs = f.inputs.map((stored, i) => {
    if (!stored) return undefined;
    const tensor = tensorOf(stored);
    if (!isData(f, i)) return b.initializer(`x${i}`, tensor);
    feeds[`x${i}`] = tensor;
    return b.input(`x${i}`, tensor.dtype, tensor.dims);
  });
  const made = b.ops(keyOf(f) as OpType, inputs, f.attributes, f.outputs.length);
  const used = made.flatMap((y, i) => {
    const [stored, seed] = [f.outputs[i], f.cotangents[i]];
    return stored && seed ? [{ y, seed: b.constant(tensorOf({ ...stored, data: seed })) }] : [];
  });
  const wrt = inputs.flatMap((x, i) => (f.inputGradients[i] ? [{ x: x as Value, i }] : []));
  const grads = gradients(
    b,
    used.map(u => u.y),
    wrt.map(w => w.x),
    { seeds: used.map(u => u.seed) },
  );
  grads.forEach((g, k) => void b.output(g, `d${wrt[k].i}`));
  made.forEach((y, i) => void (f.outputs[i] && b.output(y, `y${i}`)));
  return evaluate(lower(b.graph), feeds);
}

function expectClose(actual: Tensor, expected: readonly number[], what: string): void {
  expect(actual.data.length, what).toBe(expected.length);
  expected.forEach((v, i) => {
    const error = Math.abs(Number(actual.data[i]) - v) / Math.max(1, Math.abs(v));
    expect(error, `${what}[${i}]: ${actual.data[i]} where PyTorch has ${v}`).toBeLessThan(1e-4);
  });
}

const replayed = FIXTURES.filter(f => {
  const key = keyOf(f);
  return isOpType(key) && !isNone(GRADIENT_RULES[key]);
});

describe.skipIf(FIXTURES.length === 0)('gradients agree with PyTorch', () => {
  test.each(replayed.map((f, i) => [`${i} ${keyOf(f)} ${JSON.stringify(f.attributes)}`, f] as const))(
    '%s',
    async (_, f) => {
      const results = await replay(f);
      f.outputs.forEach((y, i) => void (y && expectClose(results[`y${i}`], y.data, `output ${i}`)));
      f.inputGradients.forEach((d, i) => void (d && expectClose(results[`d${i}`], d, `gradient ${i}`)));
    },
  );
});
