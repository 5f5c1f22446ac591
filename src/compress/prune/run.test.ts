/** Pruning as it is asked for: what each way leaves, what it needs, and that recovery keeps it so. */
import { describe, expect, it } from 'vitest';
import type { Examples } from '../../data/examples/examples.ts';
import { float32, type Model, type Tensor } from '../../graph/ir.ts';
import { verify } from '../../graph/verify.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { modelFor } from '../../ops/opset.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { Random } from '../../util/random.ts';
import { compareModels } from '../evaluate.ts';
import { residualBranches } from './depth.ts';
import { prune } from './run.ts';
import { macsOf } from './structured.ts';

const runtime = await nativeRuntime();
const [WIDTH, HIDDEN, CLASSES] = [8, 64, 12];

/** x [batch, time, 8] → blocks x + W₂ gelu(W₁ x) → logits [batch, time, 12]; the last block matters least. */
function sequences(batch: number | string): Model {
  const random = new Random(5);
  const b = new Builder('sequences');
  const weight = (name: string, rows: number, columns: number, scale: number) =>
    b.initializer(
      name,
      float32(
        [rows, columns],
        Float32Array.from({ length: rows * columns }, () => (scale * random.normal()) / Math.sqrt(rows)),
      ),
    );
  // a sum that is no layer: x + 0.1 x³
  const bent = (x: Value) => x.add(x.mul(x).mul(x).mul(0.1)).tanh();
  let x = b.input('x', 'float32', [batch, 'time', WIDTH]);
  [1, 1, 0.05].forEach((scale, i) => {
    x = x.add(
      bent(x.matmul(weight(`up.${i}`, WIDTH, HIDDEN, 1))).matmul(weight(`down.${i}`, HIDDEN, WIDTH, scale)),
    );
  });
  b.output(x.matmul(weight('head', WIDTH, CLASSES, 3)), 'logits');
  return modelFor(b.graph);
}

const [COUNT, TIME] = [256, 3];
const random = new Random(6);
const values = Float32Array.from({ length: COUNT * TIME * WIDTH }, () => random.normal());
const examples: Examples = {
  name: 'sequences',
  count: COUNT,
  batch: at => ({
    x: float32(
      [at.length, TIME, WIDTH],
      Float32Array.from(at.flatMap(i => [...values.subarray(i * TIME * WIDTH, (i + 1) * TIME * WIDTH)])),
    ),
  }),
};
const RECOVERY = { epochs: 80, seed: 1 };

/** Mean over rows of KL(whole ‖ pruned). */
async function lost(whole: Model, pruned: Model): Promise<number> {
  const feeds = examples.batch([...Array(COUNT).keys()]);
  const [p, q] = await Promise.all(
    [whole, pruned].map(async model => {
      using program = await runtime.compile(model);
      const { data } = (await program.call(feeds)).logits as Tensor;
      return Array.from({ length: COUNT * TIME }, (_, r) =>
        logSoftmax([...(data as Float32Array).subarray(r * CLASSES, (r + 1) * CLASSES)]),
      );
    }),
  );
  const rows = (p as number[][]).map((row, r) =>
    row.reduce((sum, lp, c) => sum + Math.exp(lp) * (lp - (q?.[r]?.[c] as number)), 0),
  );
  return rows.reduce((a, b) => a + b, 0) / rows.length;
}

function logSoftmax(z: readonly number[]): number[] {
  const top = Math.max(...z);
  const total = top + Math.log(z.reduce((sum, v) => sum + Math.exp(v - top), 0));
  return z.map(v => v - total);
}

describe('weights', () => {
  const task = { kind: 'weights', pattern: { share: 0.6 }, method: 'magnitude' } as const;

  it('that are 0 stay 0 while the others learn the answers of the whole', async () => {
    const whole = sequences('n');
    const bare = await prune(runtime, whole, task, examples, { minElements: 64 });
    const learned = await prune(runtime, whole, task, examples, { minElements: 64, recovery: RECOVERY });
    verify(learned.model);
    const zeros = ({ graph }: Model) =>
      ['up.0', 'down.1'].map(name =>
        Array.from((graph.initializers.get(name) as Tensor).data as Float32Array, w => w === 0),
      );
    expect(zeros(learned.model)).toEqual(zeros(bare.model));
    expect(zeros(bare.model)[0]?.filter(Boolean)).toHaveLength(Math.round(0.6 * WIDTH * HIDDEN));
    const [before, after] = [await lost(whole, bare.model), await lost(whole, learned.model)];
    expect(after).toBeLessThan(before / 2);
  });

  it.each(['wanda', 'sparsegpt'] as const)('by %s follow what flows through them', async method => {
    const whole = sequences('n');
    const options = { minElements: 64 };
    const { model, lines } = await prune(runtime, whole, { ...task, method }, examples, options);
    expect(lines).toHaveLength(6);
    expect((await compareModels(runtime, whole, model, examples)).sqnr.logits).toBeGreaterThan(5);
    await expect(prune(runtime, whole, { ...task, method })).rejects.toThrow(
      `sparsity ${method} needs examples`,
    );
  });
});

describe('layers', () => {
  it('of least influence go; sums within them are none', async () => {
    const whole = sequences('n');
    expect(residualBranches(whole.graph)).toHaveLength(6);
    const { model, lines } = await prune(runtime, whole, { kind: 'layers', count: 1 }, examples);
    expect(lines).toHaveLength(1);
    expect([...model.graph.initializers.keys()]).not.toContain('down.2');
    expect([...model.graph.initializers.keys()]).toContain('down.1');
    const layer = 2 * WIDTH * HIDDEN;
    expect(macsOf(whole.graph) - macsOf(model.graph)).toBe(layer);
  });

  it('are counted before any is taken out', async () => {
    await expect(prune(runtime, sequences('n'), { kind: 'layers', count: 4 }, examples)).rejects.toThrow(
      '3 layers of this model lie beside a shortcut and can go, not 4',
    );
  });
});

describe('channels', () => {
  const task = {
    kind: 'channels',
    importance: 'activation',
    target: { keep: 0.5, of: 'macs' },
    align: 8,
  } as const;

  it('of a model with a fixed batch, which is fixed again afterwards', async () => {
    const whole = sequences(1);
    const { model } = await prune(runtime, whole, task, examples, { recovery: { ...RECOVERY, epochs: 1 } });
    expect(model.graph.inputs[0]?.shape).toEqual([1, 'time', WIDTH]);
    expect(model.graph.outputs[0]?.shape).toEqual([1, 'time', CLASSES]);
    expect(macsOf(model.graph) / macsOf(whole.graph)).toBeLessThanOrEqual(0.5);
    expect((model.graph.initializers.get('up.0')?.dims[1] as number) % 8).toBe(0);
  });

  it('lose less with recovery than without', async () => {
    const whole = sequences('n');
    const bare = await prune(runtime, whole, task, examples);
    const learned = await prune(runtime, whole, { ...task, rounds: 2 }, examples, { recovery: RECOVERY });
    expect(await lost(whole, learned.model)).toBeLessThan((await lost(whole, bare.model)) / 2);
  });

  it('say what they need', async () => {
    const whole = sequences('n');
    await expect(prune(runtime, whole, task)).rejects.toThrow('importance activation needs examples');
    await expect(prune(runtime, whole, { ...task, importance: 'taylor' }, examples)).rejects.toThrow(
      'there are no labels',
    );
    await expect(
      prune(runtime, whole, { ...task, importance: 'magnitude' }, undefined, { recovery: RECOVERY }),
    ).rejects.toThrow('recovery learns from examples');
  });
});
