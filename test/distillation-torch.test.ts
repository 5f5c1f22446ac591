/** Distillation losses and their gradients against PyTorch's, replayed from bench/peers/fixtures/distillation.json. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { gradients } from '../src/autodiff/gradients.ts';
import { lower } from '../src/autodiff/lower.ts';
import type { Tensor } from '../src/graph/ir.ts';
import {
  attentionTransfer,
  contrastive,
  decoupledDistillation,
  featureHint,
  logitDistillation,
  projection,
  relationalAngle,
  relationalDistance,
} from '../src/nn/distillation.ts';
import { Builder, type Value } from '../src/ops/builder.ts';
import { evaluate } from '../src/runtime/reference/index.ts';

interface Stored {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

interface Fixture {
  readonly name: keyof typeof LOSSES;
  readonly student: Stored;
  readonly teacher: Stored;
  readonly labels: Stored;
  readonly cotangent: Stored;
  readonly value: Stored;
  readonly gradient: Stored;
}

const FIXTURES: readonly Fixture[] = JSON.parse(
  readFileSync(new URL('../bench/peers/fixtures/distillation.json', import.meta.url), 'utf8'),
);
const float64 = ({ dims, data }: Stored): Tensor => ({
  dtype: 'float64',
  dims,
  data: Float64Array.from(data),
});

type Loss = (student: Value, teacher: Value, labels: Value) => Value;
const LOSSES = {
  logitDistillation: (s, t) => logitDistillation(s, t),
  decoupledDistillation,
  featureHint,
  attentionTransfer,
  relationalDistance,
  relationalAngle,
  contrastive: (s, t) => contrastive(s, t),
} satisfies Record<string, Loss>;

function run(f: Fixture) {
  const b = new Builder('distillation');
  const s = b.input('student', 'float64', f.student.dims);
  const t = b.input('teacher', 'float64', f.teacher.dims);
  const labels = b.input('labels', 'int64', f.labels.dims);
  const of: Loss = LOSSES[f.name];
  const loss = of(s, t, labels);
  const weighted = loss.mul(b.input('cotangent', 'float64', f.cotangent.dims)).sum(undefined, false);
  b.output(loss, 'value');
  const [towardsStudent, towardsTeacher] = gradients(b, weighted, [s, t]);
  b.output(towardsStudent as Value, 'gradient');
  b.output(towardsTeacher as Value, 'teacher_gradient');
  return evaluate(lower(b.graph), {
    student: float64(f.student),
    teacher: float64(f.teacher),
    labels: { dtype: 'int64', dims: f.labels.dims, data: BigInt64Array.from(f.labels.data, BigInt) },
    cotangent: float64(f.cotangent),
  });
}

const numbers = (t: Tensor | undefined): number[] => Array.from(t?.data as Float64Array);
const near = (values: readonly number[]) => {
  const largest = Math.max(...values.map(Math.abs));
  return values.map(v => expect.closeTo(v, Math.floor(-Math.log10(largest * 2e-6))));
};

describe.each(FIXTURES.map(f => [f.name, f] as const))('%s', (_, f) => {
  const got = run(f);
  test('has PyTorch’s value', () => expect(numbers(got.value)).toEqual(near(f.value.data)));
  test('has PyTorch’s gradient', () => expect(numbers(got.gradient)).toEqual(near(f.gradient.data)));
  test('holds the teacher constant', () =>
    expect(numbers(got.teacher_gradient).every(g => g === 0)).toBe(true));
});

test('a student like its teacher has nothing to learn', () => {
  const b = new Builder('same');
  const x = b.input('x', 'float64', [4, 6]);
  const labels = b.input('labels', 'int64', [4]);
  const scalars = [
    logitDistillation(x, x).mean(undefined, false),
    decoupledDistillation(x, x, labels).mean(undefined, false),
    featureHint(x, x).mean(undefined, false),
    relationalDistance(x, x),
    relationalAngle(x, x),
  ];
  scalars.forEach((loss, i) => {
    b.output(loss, `loss${i}`);
  });
  const out = evaluate(b.graph, {
    x: float64({ dims: [4, 6], data: Array.from({ length: 24 }, (_, i) => Math.sin(i * i)) }),
    labels: { dtype: 'int64', dims: [4], data: BigInt64Array.of(0n, 5n, 2n, 3n) },
  });
  for (const i of scalars.keys()) expect(numbers(out[`loss${i}`])[0]).toBeCloseTo(0, 12);
});

test('a projection makes the teacher’s channels of images and of vectors', () => {
  const b = new Builder('projection');
  const parameter = (dims: readonly number[]) => b.input(`weight ${dims}`, 'float32', dims);
  const image = projection(b.input('a', 'float32', ['N', 3, 4, 5]), 7, parameter);
  const vector = projection(b.input('b', 'float32', ['N', 3]), 7, parameter);
  expect([image.shape, vector.shape]).toEqual([
    ['N', 7, 4, 5],
    ['N', 7],
  ]);
});
