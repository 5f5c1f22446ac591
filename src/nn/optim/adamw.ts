/**
 * AdamW (Loshchilov & Hutter 2019) as one elementwise graph, updated in place.
 *
 * m ← m + (1−β₁)(g − m)   v ← v + (1−β₂)(g² − v)
 * p ← p (1 − η λ) − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)
 * 1. Only matrices decay (norm gains and biases do not), as in nanoGPT and DeepSeek's setups.
 * 2. p, m and v are each read by their own update alone, which makes the update in place safe.
 */
import type { Graph } from '../../graph/ir.ts';
import { float32 } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { ParameterStore } from '../parameters.ts';
import { ChunkedGraph, chunkRanges } from './chunked.ts';
import type { Optimizer } from './optimizer.ts';

export interface AdamWOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
  /** Ranges [start, end) of the flat array to update; all of it when absent. */
  readonly ranges?: readonly (readonly [number, number])[];
}

const scalar = () => float32([], new Float32Array(1));
const set = (tensor: { data: unknown }, value: number) => {
  (tensor.data as Float32Array)[0] = value;
};

export async function adamw(
  runtime: Runtime,
  parameters: ParameterStore,
  gradients: Float32Array,
  options: AdamWOptions = {},
): Promise<Optimizer> {
  const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weightDecay = 0.1 } = options;
  const m = new Float32Array(gradients.length);
  const v = new Float32Array(gradients.length);
  const scalars = { scale: scalar(), size: scalar(), correction: scalar() };
  const keep = { matrix: scalar(), vector: scalar() };
  const whole: readonly (readonly [number, number])[] = [[0, gradients.length]];
  const ranges = (options.ranges ?? whole).flatMap(([start, end]) =>
    chunkRanges(end, [start, parameters.matrixEnd]).filter(([from]) => from >= start),
  );
  const update = await ChunkedGraph.create(runtime, adamwGraph(beta1, beta2, epsilon), ranges, {
    arrays: { p: parameters.flat, g: gradients, m, v },
    inPlace: { 'p.next': 'p', 'm.next': 'm', 'v.next': 'v' },
    shared: ([start]) => ({ ...scalars, keep: start < parameters.matrixEnd ? keep.matrix : keep.vector }),
  });
  const optimizer: Optimizer = {
    state: { m, v },
    steps: 0,
    async step(rate, gradientScale) {
      const t = ++optimizer.steps;
      set(scalars.scale, gradientScale);
      set(scalars.size, rate / (1 - beta1 ** t));
      set(scalars.correction, 1 / Math.sqrt(1 - beta2 ** t));
      set(keep.matrix, 1 - rate * weightDecay);
      set(keep.vector, 1);
      await update.run();
    },
    [Symbol.dispose]: () => update[Symbol.dispose](),
  };
  return optimizer;
}

function adamwGraph(beta1: number, beta2: number, epsilon: number): Graph {
  const b = new Builder('adamw');
  const array = (name: string) => b.input(name, 'float32', ['n']);
  const one = (name: string) => b.input(name, 'float32', []);
  const [p, g0, m, v] = [array('p'), array('g'), array('m'), array('v')];
  const [scale, size, correction, keep] = [one('scale'), one('size'), one('correction'), one('keep')];
  const g = g0.mul(scale);
  const mNext = m.add(g.sub(m).mul(1 - beta1));
  const vNext = v.add(
    g
      .mul(g)
      .sub(v)
      .mul(1 - beta2),
  );
  const step = mNext.div(vNext.sqrt().mul(correction).add(epsilon)).mul(size);
  b.output(p.mul(keep).sub(step), 'p.next');
  b.output(mNext, 'm.next');
  b.output(vNext, 'v.next');
  return b.graph;
}
