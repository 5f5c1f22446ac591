import * as ort from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { EXPORT_DTYPES, exportAs } from '../src/export/dtypes.ts';
import { quantizedDecoder } from '../src/export/load.ts';
import { Decoder } from '../src/generate/decoder.ts';
import { Engine } from '../src/generate/engine.ts';
import { denseConfig, denseModel } from '../src/models/dense/index.ts';
import type { CausalModel } from '../src/models/model.ts';
import { ParameterStore } from '../src/nn/parameters.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import type { Runtime } from '../src/runtime/runtime.ts';
import { Random } from '../src/util/random.ts';

const config = denseConfig({
  vocabSize: 72,
  hiddenSize: 80,
  numHiddenLayers: 2,
  numAttentionHeads: 5,
  numKeyValueHeads: 1,
  intermediateSize: 208,
  maxPositionEmbeddings: 96,
  initializerRange: 0.1,
});
const PROMPT = [3, 14, 15, 9, 26, 5];
const NEW_TOKENS = 32;

let runtime: Runtime;
const model = denseModel(config);
const store = randomStore(model);

function randomStore(m: CausalModel): ParameterStore {
  return new ParameterStore(m.parameters).initialize(new Random(7));
}

beforeAll(async () => {
  runtime = await nativeRuntime();
});

/** Greedy text by onnxruntime-node's own API: whole prompt, then a token at a time with growing caches. */
async function stockGreedy(file: Uint8Array, m: CausalModel): Promise<number[]> {
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: 1 });
  const ids: number[] = [];
  let cache: Record<string, ort.Tensor> = Object.fromEntries(
    m.cacheSlots.map(s => [s.name, new ort.Tensor('float32', new Float32Array(0), [1, s.heads, 0, s.width])]),
  );
  for (let next = PROMPT; ids.length < NEW_TOKENS; ) {
    const total = PROMPT.length + ids.length;
    const int64 = (values: readonly number[]) =>
      new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
    const out = await session.run({
      input_ids: int64(next),
      attention_mask: int64(Array(total).fill(1)),
      ...cache,
    });
    const logits = out.logits as ort.Tensor;
    expect(logits.dims).toEqual([1, next.length, m.vocabSize]);
    const last = (logits.data as Float32Array).subarray(-m.vocabSize);
    const token = last.indexOf(Math.max(...last));
    ids.push(token);
    next = [token];
    cache = Object.fromEntries(
      m.cacheSlots.map(s => [s.name, out[s.name.replace('past_key_values', 'present')] as ort.Tensor]),
    );
  }
  await session.release();
  return ids;
}

async function engineGreedy(decoder: Decoder): Promise<number[]> {
  using engine = new Engine(decoder, { slots: 2, capacity: 64 });
  const [done] = await engine.generate([{ prompt: PROMPT, maxTokens: NEW_TOKENS, temperature: 0, seed: 1 }]);
  return done?.ids ?? [];
}

describe.each(EXPORT_DTYPES)('%s', dtype => {
  it('gives the same greedy text in stock onnxruntime-node and in the engine', async () => {
    const { decoder, file } = await quantizedDecoder(runtime, model, store, dtype);
    using _ = decoder;
    const stock = await stockGreedy(file, model);
    console.log(dtype, file.byteLength, stock.join());
    expect(await engineGreedy(decoder)).toEqual(stock);
    expect(new Set(stock).size).toBeGreaterThan(3);
  });
});

it('f32', async () => {
  using decoder = await Decoder.create(runtime, model, store);
  console.log((await engineGreedy(decoder)).join());
  for (const method of ['rtn', 'mse'] as const)
    for (const d of ['int8', 'int4'] as const)
      console.log(
        method,
        exportAs(model, store, d, { quantize: { method } })
          .report?.weights.map(
            w =>
              `${w.name.slice(0, 30)} ${w.role} ${w.bits} ${w.blockSize} ${w.relative.toFixed(5)} ${w.bytesBefore}->${w.bytesAfter}`,
          )
          .join('\n'),
      );
});
