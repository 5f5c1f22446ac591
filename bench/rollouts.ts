/**
 * Rollouts: tokens a second of the engine (prompt, sampling, bookkeeping and taking over the weights included) over float and
 * 8-bit caches, and the same decode loop through onnxruntime-node's own `run`, whose outputs (the caches included) are copied
 * on every step.
 * Usage: npm run bench -- rollouts
 */
import { decodeGraph, presentName } from '../src/generate/graphs.ts';
import { modelOf, type Tensor, zeros } from '../src/graph/ir.ts';
import { encodeModel } from '../src/graph/protobuf.ts';
import { denseConfig, denseModel } from '../src/models/dense/index.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { Rollouts } from '../src/train/rollouts.ts';
import { Random } from '../src/util/random.ts';
import { median } from '../src/util/statistics.ts';

const BATCH = 128;
const CONTEXT = 256;
/** Steps of the slow loop; every step costs the same, so a few say enough. */
const PEER_STEPS = 8;

const model = denseModel(
  denseConfig({
    vocabSize: 512,
    hiddenSize: 256,
    numHiddenLayers: 4,
    intermediateSize: 768,
    maxPositionEmbeddings: CONTEXT,
  }),
);

export async function benchRollouts(rounds: number) {
  const store = new ParameterStore(model.parameters).initialize(new Random(1));
  const runtime = await nativeRuntime();
  const make = (cache: 'f32' | 'int8') =>
    Rollouts.create(runtime, model, store, { slots: BATCH, cache, threads: 2 });
  using float = await make('f32');
  using rounded = await make('int8');
  const peer = await peerLoop(store);
  const times: Record<'float' | 'rounded' | 'peer', number[]> = { float: [], rounded: [], peer: [] };
  await rollout(float);
  await rollout(rounded);
  for (let round = 0; round < rounds; round++) {
    times.float.push(await rollout(float));
    times.rounded.push(await rollout(rounded));
    times.peer.push(await peer());
  }
  const over = (ours: number[]) => median(ours.map((o, i) => o / (times.peer[i] as number)));
  return {
    parameters: store.count,
    batch: BATCH,
    context: CONTEXT,
    tokensPerSecond: median(times.float),
    int8CacheTokensPerSecond: median(times.rounded),
    onnxruntimeNodeTokensPerSecond: median(times.peer),
    ratio: over(times.float),
    int8CacheRatio: over(times.rounded),
  };
}

const requests = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ prompt: [1 + (i % 7), 2, 3, 4], maxTokens: CONTEXT, seed: i }));

async function rollout(rollouts: Rollouts): Promise<number> {
  const { engine } = rollouts;
  const before = engine.sampledTokens;
  const started = performance.now();
  await rollouts.refresh(() => requests(4)); // as in reinforcement learning, where the weights have changed
  await engine.generate(requests(BATCH));
  return (engine.sampledTokens - before) / ((performance.now() - started) / 1000);
}

/** The same graph, sampling and batch through the package's own API. */
async function peerLoop(store: ParameterStore): Promise<() => Promise<number>> {
  const ort = await import('onnxruntime-node');
  const graph = decodeGraph(model);
  const session = await ort.InferenceSession.create(encodeModel(modelOf(graph)), { intraOpNumThreads: 2 });
  const feed = (t: Tensor) => new ort.Tensor(t.dtype as 'float32', t.data as Float32Array, t.dims);
  const feeds: Record<string, InstanceType<typeof ort.Tensor>> = {};
  for (const { name } of graph.inputs.slice(4 + model.cacheSlots.length))
    feeds[name] = feed(store.tensor(name));
  for (const s of model.cacheSlots) feeds[s.name] = feed(zeros(s.dtype, [BATCH, s.heads, CONTEXT, s.width]));
  const random = new Random(1);
  return async () => {
    const ids = new Int32Array(BATCH).fill(1);
    const started = performance.now();
    for (let step = 0; step < PEER_STEPS; step++) {
      const past = CONTEXT / 2 + step;
      feeds.ids = feed({ dtype: 'int32', dims: [BATCH, 1], data: ids });
      feeds.select = feed({
        dtype: 'int32',
        dims: [BATCH],
        data: Int32Array.from({ length: BATCH }, (_, i) => i),
      });
      feeds.last_position = feed({ dtype: 'int32', dims: [BATCH], data: new Int32Array(BATCH).fill(past) });
      feeds.total = feed({ dtype: 'int32', dims: [], data: Int32Array.of(past + 1) });
      const results = await session.run(feeds);
      for (const s of model.cacheSlots)
        feeds[s.name] = results[presentName(s.name)] as (typeof feeds)[string];
      const logits = results.logits?.data as Float32Array;
      for (let r = 0; r < BATCH; r++) ids[r] = draw(logits, r * model.vocabSize, random);
    }
    return (BATCH * PEER_STEPS) / ((performance.now() - started) / 1000);
  };
}

/** A draw from softmax of one row of logits. */
function draw(logits: Float32Array, offset: number, random: Random): number {
  const weights = logits.subarray(offset, offset + model.vocabSize).map(Math.exp);
  let left = random.uniform() * weights.reduce((sum, w) => sum + w, 0);
  return Math.max(
    0,
    weights.findIndex(w => (left -= w) < 0),
  );
}
