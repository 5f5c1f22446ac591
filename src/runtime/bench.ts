/**
 * How long one run of any graph takes on random inputs.
 *
 * 1. A few runs warm up; the median and the 95th percentile of the others are reported, since single runs are disturbed.
 * 2. Floats are standard normal; integers are 0 or 1, which are legal as ids, masks and flags alike.
 */
import type { DType } from '../graph/dtype.ts';
import { type Model, sizeOf, staticDims, type Tensor, type ValueInfo, zeros } from '../graph/ir.ts';
import { assertDims, bindDims, isNamed, symbolsOf } from '../ops/bind-dims.ts';
import { GaslawError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { median, quantile } from '../util/statistics.ts';
import type { CompileOptions, Runtime } from './runtime.ts';

export interface GraphBenchOptions extends CompileOptions {
  readonly runs: number;
  readonly seed: number;
  /** Values of symbolic dims; others are 1. */
  readonly dims?: ReadonlyMap<string, number>;
}

export interface GraphBench {
  readonly medianMs: number;
  readonly p95Ms: number;
  readonly runs: number;
  /** What the symbolic dims were. */
  readonly dims: Readonly<Record<string, number>>;
  readonly loadSeconds: number;
}

const WARMUP = 3;

/** Compiles `model` and times it. Throws a UsageError for a dim that it does not have. */
export async function benchGraph(
  runtime: Runtime,
  model: Model,
  options: GraphBenchOptions,
): Promise<GraphBench> {
  const given = options.dims ?? new Map<string, number>();
  assertDims(model.graph, given);
  const symbols = symbolsOf(model.graph.inputs).filter(isNamed);
  const bound = bindDims(model.graph, given, 'all').inputs;
  const started = performance.now();
  using program = await runtime.compile(model, options);
  const loadSeconds = (performance.now() - started) / 1000;
  const random = new Random(options.seed).fork('inputs');
  const inputs = Object.fromEntries(
    program.inputs.map(({ name }) => [name, randomInput(bound, name, random.fork(name))]),
  );
  const times: number[] = [];
  for (let run = -WARMUP; run < options.runs; run++) {
    const start = performance.now();
    await program.call(inputs);
    if (run >= 0) times.push(performance.now() - start);
  }
  return {
    medianMs: median(times),
    p95Ms: quantile(times, 0.95),
    runs: options.runs,
    dims: Object.fromEntries(symbols.map(name => [name, given.get(name) ?? 1])),
    loadSeconds,
  };
}

function randomInput(inputs: readonly ValueInfo[], name: string, random: Random): Tensor {
  const input = inputs.find(other => other.name === name);
  const dims = staticDims(input?.shape);
  if (!input || !dims) throw new GaslawError(`input "${name}" has no shape; give the model one to time it`);
  const tensor = zeros(input.dtype, dims);
  fill(tensor, input.dtype, random);
  return tensor;
}

function fill({ data, dims }: Tensor, dtype: DType, random: Random): void {
  if (dtype === 'float32' || dtype === 'float64') {
    const numbers = data as Float32Array; // or Float64Array, which is indexed alike
    for (let i = 0; i < numbers.length; i++) numbers[i] = random.normal();
    return;
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) data[i] = BigInt(random.int(2));
    return;
  }
  if (/^(u?int(8|16|32)|bool)$/.test(dtype)) {
    const numbers = data as Int32Array; // any of the integer arrays
    for (let i = 0; i < sizeOf(dims); i++) numbers[i] = random.int(2);
  }
}
