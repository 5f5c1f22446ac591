/**
 * Muon (Jordan et al. 2024): momentum, orthogonalized by a Newton–Schulz iteration, for hidden matrices.
 *
 * b ← b + (1−μ)(g − b)   u = g + μ(b − g)   O = NS₅(u / ‖u‖)   p ← p (1 − ηλ) − η · √max(1, rows/cols) · O
 * NS: X ← aX + (bA + cA²)X with A = XXᵀ, (a, b, c) = (3.4445, −4.7750, 2.0315); the smaller side is put first.
 * 1. Embeddings, the head and vectors go to AdamW, as its authors advise.
 * 2. One graph a matrix shape. Matrices of equal shape that follow each other in memory (q, k, v, o; gate and up) are
 *    updated in one run as a stack [n, rows, cols]: small products do not fill the machine one at a time.
 */
import type { Graph, Tensor } from '../../graph/ir.ts';
import { float32, modelOf } from '../../graph/ir.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import type { Binding, Program, Runtime } from '../../runtime/runtime.ts';
import type { ParameterSpec, ParameterStore } from '../parameters.ts';
import { type AdamWOptions, adamw } from './adamw.ts';
import type { Optimizer } from './optimizer.ts';

export interface MuonOptions {
  readonly momentum?: number;
  readonly weightDecay?: number;
  /** Newton–Schulz iterations. */
  readonly iterations?: number;
  /** Which parameters Muon updates; by default matrices that are not embeddings or the head. */
  readonly select?: (spec: ParameterSpec) => boolean;
  /** AdamW for the rest; its rate is Muon's times this. */
  readonly adamw?: AdamWOptions & { readonly rateFactor?: number };
}

const COEFFICIENTS = [3.4445, -4.775, 2.0315] as const;

const isHiddenMatrix = (spec: ParameterSpec): boolean =>
  spec.dims.length === 2 && !/embed_tokens|lm_head/.test(spec.name);

export async function muon(
  runtime: Runtime,
  parameters: ParameterStore,
  gradients: Float32Array,
  options: MuonOptions = {},
): Promise<Optimizer> {
  const select = options.select ?? isHiddenMatrix;
  const momentum = new Float32Array(gradients.length);
  const scalars = { scale: scalar(), rate: scalar(), keep: scalar() };
  const chosen = parameters.specs.filter(select);
  const { programs, bindings } = await bindAll(
    runtime,
    parameters,
    gradients,
    momentum,
    chosen,
    scalars,
    options,
  );
  const rest = await adamw(runtime, parameters, gradients, {
    ...options.adamw,
    ranges: restRanges(parameters, chosen),
  });
  return {
    state: { momentum, ...rest.state },
    get steps() {
      return rest.steps;
    },
    set steps(n: number) {
      rest.steps = n;
    },
    async step(rate, gradientScale) {
      (scalars.scale.data as Float32Array)[0] = gradientScale;
      (scalars.rate.data as Float32Array)[0] = rate;
      (scalars.keep.data as Float32Array)[0] = 1 - rate * (options.weightDecay ?? 0);
      for (const binding of bindings) await binding.run();
      await rest.step(rate * (options.adamw?.rateFactor ?? 1), gradientScale);
    },
    [Symbol.dispose]() {
      for (const d of [...bindings, ...programs, rest]) d[Symbol.dispose]();
    },
  };
}

const scalar = (): Tensor => float32([], new Float32Array(1));

async function bindAll(
  runtime: Runtime,
  parameters: ParameterStore,
  gradients: Float32Array,
  momentum: Float32Array,
  chosen: readonly ParameterSpec[],
  scalars: Record<string, Tensor>,
  options: MuonOptions,
): Promise<{ programs: Program[]; bindings: Binding[] }> {
  const programs = new Map<string, Program>();
  const bindings: Binding[] = [];
  for (const stack of stacks(parameters, chosen)) {
    const [rows, columns] = (stack[0] as ParameterSpec).dims as [number, number];
    const shape = `${rows}x${columns}`;
    const { momentum: mu = 0.95, iterations = 5 } = options;
    const program =
      programs.get(shape) ?? (await runtime.compile(modelOf(muonGraph(rows, columns, mu, iterations))));
    programs.set(shape, program);
    const over = (array: Float32Array) => stacked(parameters, stack, array);
    const [p, g, b] = [over(parameters.flat), over(gradients), over(momentum)];
    bindings.push(program.bind({ p, g, b, 'p.next': p, 'b.next': b, ...scalars }));
  }
  return { programs: [...programs.values()], bindings };
}

/** Parameters of equal shape that follow each other in memory, in groups. */
function stacks(parameters: ParameterStore, chosen: readonly ParameterSpec[]): ParameterSpec[][] {
  const groups: ParameterSpec[][] = [];
  let end = -1;
  for (const spec of chosen) {
    const view = parameters.slice(parameters.flat, spec);
    const group = groups.at(-1);
    if (group && view.byteOffset === end && spec.dims.join() === group[0]?.dims.join()) group.push(spec);
    else groups.push([spec]);
    end = view.byteOffset + view.byteLength;
  }
  return groups;
}

/** A stack [n, rows, cols] over the parts of `array` that belong to it. */
function stacked(parameters: ParameterStore, stack: readonly ParameterSpec[], array: Float32Array): Tensor {
  const first = parameters.slice(array, stack[0] as ParameterSpec);
  const data = new Float32Array(array.buffer, first.byteOffset, stack.length * first.length);
  return float32([stack.length, ...(stack[0] as ParameterSpec).dims], data);
}

/** What is left of the flat array when the chosen parameters are taken out. */
function restRanges(parameters: ParameterStore, chosen: readonly ParameterSpec[]): [number, number][] {
  const taken = chosen
    .map(spec => parameters.slice(parameters.flat, spec))
    .map(view => [view.byteOffset / 4, view.byteOffset / 4 + view.length] as const)
    .sort((a, b) => a[0] - b[0]);
  const ranges: [number, number][] = [];
  let start = 0;
  for (const [from, to] of taken) {
    if (from > start) ranges.push([start, from]);
    start = to;
  }
  if (start < parameters.flat.length) ranges.push([start, parameters.flat.length]);
  return ranges;
}

function muonGraph(rows: number, columns: number, mu: number, iterations: number): Graph {
  const builder = new Builder('muon');
  const matrix = (name: string) => builder.input(name, 'float32', ['n', rows, columns]);
  const one = (name: string) => builder.input(name, 'float32', []);
  const [p, g0, momentum] = [matrix('p'), matrix('g'), matrix('b')];
  const [scale, rate, keep] = [one('scale'), one('rate'), one('keep')];
  const g = g0.mul(scale);
  const next = momentum.add(g.sub(momentum).mul(1 - mu));
  const update = orthogonalize(g.add(next.sub(g).mul(mu)), iterations);
  const size = Math.sqrt(Math.max(1, rows / columns));
  builder.output(p.mul(keep).sub(update.mul(rate.mul(size))), 'p.next');
  builder.output(next, 'b.next');
  return builder.graph;
}

/** Pushes the singular values of each matrix of u [n, rows, cols] towards 1. */
function orthogonalize(u: Value, iterations: number): Value {
  const [, rows, columns] = u.shape as readonly [string, number, number];
  const wide = rows <= columns;
  const norm = u.mul(u).sum([1, 2]).sqrt().add(1e-7);
  let x = (wide ? u : u.transpose([0, 2, 1])).div(norm);
  const [a, b, c] = COEFFICIENTS;
  for (let i = 0; i < iterations; i++) {
    const gram = u.builder.op('com.microsoft.FusedMatMul', [x, x], { transB: 1 });
    const square = u.builder.op('com.microsoft.FusedMatMul', [gram, gram], { alpha: c });
    x = x.mul(a).add(gram.mul(b).add(square).matmul(x));
  }
  return wide ? x : x.transpose([0, 2, 1]);
}
