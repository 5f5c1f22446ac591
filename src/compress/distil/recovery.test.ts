/** A pruned network learns back from the one it was, by every term. */
import { describe, expect, it } from 'vitest';
import { float32, type Graph, int32 } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import { modelFor } from '../../ops/opset.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { Random } from '../../util/random.ts';
import { magnitude } from '../prune/importance.ts';
import { pruneStructured } from '../prune/structured.ts';
import { recovery } from './recovery.ts';
import { lastFeature, needsLabels, TERM_KINDS, type Term, teacherValues } from './terms.ts';

const runtime = await nativeRuntime();
const BATCH = 16;

/** Two convolutions, a mean over positions, a matrix, a Softmax. */
function network(): Graph {
  const b = new Builder('network');
  const random = new Random(4);
  const weight = (name: string, dims: readonly number[], spread: number) => {
    const values = Float32Array.from(
      { length: dims.reduce((a, c) => a * c, 1) },
      () => spread * random.normal(),
    );
    return b.initializer(name, float32(dims, values));
  };
  const x = b.input('x', 'float32', ['N', 3, 6, 6]);
  const conv = (name: string, from: typeof x, dims: readonly number[]) =>
    b.op('Relu', [b.op('Conv', [from, weight(name, dims, 0.4)], { pads: [1, 1, 1, 1] })], {});
  const features = conv('conv2', conv('conv1', x, [12, 3, 3, 3]), [16, 12, 3, 3]);
  const pooled = features.mean([2, 3], false);
  b.output(pooled.matmul(weight('head', [16, 5], 1.5)).softmax(), 'probabilities');
  return b.graph;
}

const whole = network();
const teacher = modelFor(whole);
const pruned = pruneStructured(whole, {
  target: { keep: 0.5, of: 'macs' },
  importance: magnitude(whole),
}).graph;

/** Images of noise, and the class that the teacher finds most likely. */
async function batches() {
  using program = await runtime.compile(teacher);
  const random = new Random(9);
  const made = [];
  for (let i = 0; i < 8; i++) {
    const x = float32(
      [BATCH, 3, 6, 6],
      Float32Array.from({ length: BATCH * 108 }, () => random.normal()),
    );
    const answers = (await program.call({ x })).probabilities?.data as Float32Array;
    const rows = Array.from({ length: BATCH }, (_, n) => Array.from(answers.subarray(5 * n, 5 * n + 5)));
    made.push({
      x,
      labels: int32(
        [BATCH],
        rows.map(r => r.indexOf(Math.max(...r))),
      ),
    });
  }
  return made;
}
const data = await batches();

const stage = (terms: readonly Term[], student = pruned) =>
  recovery(runtime, student, teacher, {
    terms,
    data: index => [data[index % data.length] as (typeof data)[number]],
    batchSize: BATCH,
    schedule: { kind: 'constant', rate: 0.01 },
    optimizer: { kind: 'adamw', weightDecay: 0 },
    seed: 1,
  });

describe('recovery', () => {
  it.each(TERM_KINDS)('by %s: the term falls to well below what pruning left', async kind => {
    using training = await stage([{ kind, weight: 1 }]);
    const seen: number[] = [];
    for (let i = 0; i < 40; i++) seen.push((await training.step(i))[`distil/${kind}`] as number);
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    expect(mean(seen.slice(-8))).toBeLessThan(0.85 * mean(seen.slice(0, 8)));
  });

  it('of an unpruned student finds nothing to learn from logits and features', async () => {
    using training = await stage([{ kind: 'logits' }, { kind: 'hint' }, { kind: 'distance' }], whole);
    const metrics = await training.step(0);
    for (const kind of ['logits', 'hint', 'distance']) expect(metrics[`distil/${kind}`]).toBeCloseTo(0, 5);
  });

  it('hints in units of the power of the feature do not change with its scale', async () => {
    const relative = await stage([{ kind: 'hint', relative: true, weight: 1 }]);
    const plain = await stage([{ kind: 'hint', weight: 1 }]);
    const name = lastFeature(whole);
    using program = await runtime.compile({
      ...teacher,
      graph: { ...whole, outputs: [{ name, dtype: 'float32' }] },
    });
    const { [name]: feature } = await program.call({ x: (data[0] as (typeof data)[number]).x });
    const values = feature?.data as Float32Array;
    const power = values.reduce((sum, v) => sum + v * v, 0) / values.length;
    const [a, b] = [(await relative.step(0)).loss as number, (await plain.step(0)).loss as number];
    expect(a).toBeCloseTo(b / power, 4);
  });

  it('sums its terms by weight', async () => {
    using training = await stage([
      { kind: 'logits', weight: 2, temperature: 1 },
      { kind: 'labels', weight: 0.5 },
    ]);
    const m = await training.step(0);
    expect(m.loss).toBeCloseTo(2 * (m['distil/logits'] as number) + 0.5 * (m['distil/labels'] as number), 4);
    expect(m.accuracy).toBeGreaterThanOrEqual(0);
  });
});

describe('terms', () => {
  it('say what they need', () => {
    expect(needsLabels([{ kind: 'logits' }])).toBe(false);
    expect(needsLabels([{ kind: 'logits' }, { kind: 'decoupled' }])).toBe(true);
    expect(teacherValues([{ kind: 'labels' }], whole)).toEqual({ logits: false, features: [] });
    expect(teacherValues([{ kind: 'hint' }, { kind: 'angle' }, { kind: 'logits' }], whole)).toEqual({
      logits: true,
      features: [lastFeature(whole)],
    });
  });

  it('refuse a value that the teacher has not', () =>
    expect(() => teacherValues([{ kind: 'hint', at: 'nowhere' }], whole)).toThrow('no value "nowhere"'));
});
