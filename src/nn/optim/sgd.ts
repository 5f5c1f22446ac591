/**
 * Stochastic gradient descent with momentum as one elementwise graph, updated in place: PyTorch's form.
 *
 * g ← g + λ p   m ← μ m + g   p ← p − η (m, or g + μ m with Nesterov's)
 * 1. Only matrices and kernels decay, as with AdamW. The first m is g itself, since m starts at 0.
 */
import { float32, type Graph } from '../../graph/ir.ts';
import { Builder } from '../../ops/builder.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { ParameterStore } from '../parameters.ts';
import { ChunkedGraph, chunkRanges } from './chunked.ts';
import type { Optimizer } from './optimizer.ts';

export interface SgdOptions {
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
}

export async function sgd(
  runtime: Runtime,
  parameters: ParameterStore,
  gradients: Float32Array,
  { momentum = 0.9, nesterov = false, weightDecay = 0 }: SgdOptions = {},
): Promise<Optimizer> {
  const m = new Float32Array(gradients.length);
  const [scale, rate] = [float32([], [1]), float32([], [0])];
  const [matrix, vector] = [float32([], [weightDecay]), float32([], [0])];
  const ranges = chunkRanges(gradients.length, [parameters.matrixEnd]);
  const update = await ChunkedGraph.create(runtime, sgdGraph(momentum, nesterov), ranges, {
    arrays: { p: parameters.flat, g: gradients, m },
    inPlace: { 'p.next': 'p', 'm.next': 'm' },
    shared: ([start]) => ({ scale, rate, decay: start < parameters.matrixEnd ? matrix : vector }),
  });
  const optimizer: Optimizer = {
    state: { m },
    steps: 0,
    async step(size, gradientScale) {
      optimizer.steps++;
      (scale.data as Float32Array)[0] = gradientScale;
      (rate.data as Float32Array)[0] = size;
      await update.run();
    },
    [Symbol.dispose]: () => update[Symbol.dispose](),
  };
  return optimizer;
}

function sgdGraph(momentum: number, nesterov: boolean): Graph {
  const b = new Builder('sgd');
  const [p, given, m] = ['p', 'g', 'm'].map(name => b.input(name, 'float32', ['n']));
  const [scale, rate, decay] = ['scale', 'rate', 'decay'].map(name => b.input(name, 'float32', []));
  if (!p || !given || !m || !scale || !rate || !decay) throw new TypeError('six inputs');
  const g = given.mul(scale).add(p.mul(decay));
  const next = m.mul(momentum).add(g);
  b.output(p.sub((nesterov ? g.add(next.mul(momentum)) : next).mul(rate)), 'p.next');
  b.output(next, 'm.next');
  return b.graph;
}
