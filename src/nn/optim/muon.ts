/**
 * Muon (Jordan et al. 2024): momentum, orthogonalized by a Newton–Schulz iteration, for hidden matrices.
 *
 * b ← b + (1−μ)(g − b)   u = g + μ(b − g)   O = NS₅(u / ‖u‖)   p ← p (1 − ηλ) − η · √max(1, rows/cols) · O
 * NS: X ← aX + (bA + cA²)X with A = XXᵀ, (a, b, c) = (3.4445, −4.7750, 2.0315); the smaller side is put first.
 * 1. Embeddings, the head and vectors go to AdamW, as its authors advise.
 * 2. One graph a matrix shape; matrices of equal shape share the compiled program.
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
  for (const spec of chosen) {
    const shape = spec.dims.join('x');
    const [rows, columns] = spec.dims as [number, number];
    const program =
      programs.get(shape) ??
      (await runtime.compile(
        modelOf(muonGraph(rows, columns, options.momentum ?? 0.95, options.iterations ?? 5)),
      ));
    programs.set(shape, program);
    const p = parameters.tensor(spec.name);
    const b = parameters.tensor(spec.name, momentum);
    const g = parameters.tensor(spec.name, gradients);
    bindings.push(program.bind({ p, g, b, 'p.next': p, 'b.next': b, ...scalars }));
  }
  return { programs: [...programs.values()], bindings };
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
  const matrix = (name: string) => builder.input(name, 'float32', [rows, columns]);
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

/** Pushes the singular values of u towards 1. */
export function orthogonalize(u: Value, iterations: number): Value {
  const [rows, columns] = u.shape as readonly [number, number];
  const wide = rows <= columns;
  const norm = u.mul(u).sum(undefined, false).sqrt().add(1e-7);
  let x = (wide ? u : u.transpose([1, 0])).div(norm);
  const [a, b, c] = COEFFICIENTS;
  for (let i = 0; i < iterations; i++) {
    const gram = u.builder.op('com.microsoft.FusedMatMul', [x, x], { transB: 1 });
    const mix = gram.mul(b).add(gram.matmul(gram).mul(c));
    x = x.mul(a).add(mix.matmul(x));
  }
  return wide ? x : x.transpose([1, 0]);
}
