/**
 * How fast the native runtime is: the machine's own matmul rate, the cost of a run itself, and a decoding step that
 * updates its KV cache in place, beside `run` of the onnxruntime-node package on the same models.
 *
 * 1. Competitors take turns, and the median of their rounds counts, so a machine that slows down hits both.
 */
import { availableParallelism } from 'node:os';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { type Model, type Tensor, zeros } from '../src/graph/ir.ts';
import { encodeModel } from '../src/graph/protobuf.ts';
import { Builder, type Value } from '../src/ops/builder.ts';
import { modelFor } from '../src/ops/opset.ts';
import { matmulRate } from '../src/runtime/native/matmul-rate.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { median } from '../src/util/statistics.ts';

export interface RuntimeBench {
  /** 10⁹ floating-point operations per second of an f32 product of 1024×1024 matrices, by threads. */
  matmulGflops: { threads: number; gflops: number }[];
  /** Microseconds of a run of one Add over 4 elements. */
  runMicroseconds: { native: number; binding: number };
  /** Milliseconds of one step of a cache-bound graph. */
  cacheStepMs: { native: number; binding: number; cacheBytes: number };
}

type Step = () => Promise<unknown>;
const ROUNDS = 7;

/** Measures everything; takes about ten seconds. */
export async function benchRuntime(): Promise<RuntimeBench> {
  const runtime = await nativeRuntime();
  const threadCounts = [...new Set([1, availableParallelism()])];
  const matmulGflops = [];
  for (const threads of threadCounts)
    matmulGflops.push({ threads, gflops: (await matmulRate(runtime, threads)) / 1e9 });
  return { matmulGflops, runMicroseconds: await benchRun(runtime), cacheStepMs: await benchCache(runtime) };
}

async function benchRun(runtime: Runtime): Promise<RuntimeBench['runMicroseconds']> {
  const model = addModel();
  const feeds = { a: zeros('float32', [4]), b: zeros('float32', [4]) };
  const [native, binding] = await race(runtime, model, feeds, { c: zeros('float32', [4]) }, 3000);
  return { native: native * 1000, binding: binding * 1000 };
}

function addModel(): Model {
  const b = new Builder('add');
  const [x, y] = ['a', 'b'].map(name => b.input(name, 'float32', [4])) as [Value, Value];
  b.output(x.add(y), 'c');
  return modelFor(b.graph);
}

const [BATCH, HEADS, CONTEXT, HEAD_SIZE] = [32, 4, 256, 64];

async function benchCache(runtime: Runtime): Promise<RuntimeBench['cacheStepMs']> {
  const width = HEADS * HEAD_SIZE;
  const cache = () => zeros('float32', [BATCH, HEADS, CONTEXT, HEAD_SIZE]);
  const feeds: Record<string, Tensor> = {
    qkv: zeros('float32', [BATCH, 1, 3 * width]),
    pastKey: cache(),
    pastValue: cache(),
    seqlens: { dtype: 'int32', dims: [BATCH], data: new Int32Array(BATCH).fill(CONTEXT / 2) },
    total: { dtype: 'int32', dims: [], data: Int32Array.of(CONTEXT / 2 + 1) },
  };
  const outputs = {
    y: zeros('float32', [BATCH, 1, width]),
    key: feeds.pastKey,
    value: feeds.pastValue,
  };
  const [native, binding] = await race(runtime, cacheModel(), feeds, outputs, 20);
  return { native, binding, cacheBytes: 2 * feeds.pastKey.data.length * 4 };
}

/** One attention layer over a cache whose past and present are the same tensor. */
function cacheModel(): Model {
  const b = new Builder('cache');
  const cache = [BATCH, HEADS, CONTEXT, HEAD_SIZE];
  const qkv = b.input('qkv', 'float32', [BATCH, 1, 3 * HEADS * HEAD_SIZE]);
  const [key, value] = [b.input('pastKey', 'float32', cache), b.input('pastValue', 'float32', cache)];
  const [seqlens, total] = [b.input('seqlens', 'int32', [BATCH]), b.input('total', 'int32', [])];
  const inputs = [qkv, undefined, undefined, key, value, seqlens, total];
  const attributes = { num_heads: HEADS, kv_num_heads: HEADS };
  const made = b.ops('com.microsoft.GroupQueryAttention', inputs, attributes, 3);
  for (const [i, name] of ['y', 'key', 'value'].entries()) b.output(made[i], name);
  return modelFor(b.graph);
}

/** Milliseconds a run of `model`, natively with `outputs` bound and through onnxruntime-node's `run`. */
async function race(
  runtime: Runtime,
  model: Model,
  feeds: Readonly<Record<string, Tensor>>,
  outputs: Readonly<Record<string, Tensor>>,
  runs: number,
): Promise<[native: number, binding: number]> {
  const threads = availableParallelism();
  using program = await runtime.compile(model, { threads });
  using bound = program.bind({ ...feeds, ...outputs });
  const session = await InferenceSession.create(encodeModel(model), { intraOpNumThreads: threads });
  const ortFeeds = Object.fromEntries(Object.entries(feeds).map(([name, tensor]) => [name, toOrt(tensor)]));
  const steps: Step[] = [() => bound.run(), () => session.run(ortFeeds)];
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++)
    for (const [i, step] of steps.entries()) times[i].push(await perRun(step, runs));
  await session.release();
  return [median(times[0]), median(times[1])];
}

const toOrt = ({ dtype, dims, data }: Tensor): OrtTensor =>
  dtype === 'int32'
    ? new OrtTensor('int32', data as Int32Array, dims)
    : new OrtTensor('float32', data as Float32Array, dims);

async function perRun(step: Step, runs: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < runs; i++) await step();
  return (performance.now() - start) / runs;
}
