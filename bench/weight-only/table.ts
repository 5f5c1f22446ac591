/**
 * Perplexity of language models at 8 to 2 bits: Gaslaw's methods beside each other in blocks of 32, and GGUF types written
 * by Gaslaw beside the same types written by llama.cpp's quantizer, with and without an importance matrix, and by GPTQ.
 *
 * 1. What is measured is what the codes stand for, read back into floats, so that every width and type is scored by the
 *    same program; activations stay float.
 * 2. Calibration reads the training part, scores are of the held-out end; neither sees the other.
 * 3. Methods: zero points, float16 scales; table and projection at 8 bits. Types: every matrix whose rows are whole blocks
 *    takes the type asked for, the others stay float in both; table and projection are Q6_K below 6 bits, else the type.
 */

import { quantizerOf } from '../../src/compress/quantize/gguf-gptq.ts';
import { awq } from '../../src/compress/quantize/language-model/awq.ts';
import { type CalibratedStore, importanceOf } from '../../src/compress/quantize/language-model/fold.ts';
import { isTableOrOutput, roundStore } from '../../src/compress/quantize/language-model/round.ts';
import { copyOf } from '../../src/compress/quantize/language-model/smooth-quant.ts';
import { calibrateParameters } from '../../src/export/calibration.ts';
import { calibrationWindows } from '../../src/export/text.ts';
import { isCoded } from '../../src/formats/gguf/codes.ts';
import { dequantize } from '../../src/formats/gguf/dequantize.ts';
import { quantize, type WritableType } from '../../src/formats/gguf/quantize.ts';
import { fitsBlocks } from '../../src/formats/gguf/types.ts';
import type { CausalModel } from '../../src/models/model.ts';
import type { ParameterStore } from '../../src/nn/parameters.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { scoreText, weightsScorer } from '../../src/train/perplexity.ts';
import type { RowQuantizer } from '../ggml.ts';
import type { SplitText } from './qwen.ts';

export interface Subject {
  readonly model: CausalModel;
  readonly store: ParameterStore;
  readonly tokenizer: Tokenizer;
  readonly text: SplitText;
  /** GGUF types that its rows can take. */
  readonly types: readonly WritableType[];
}

export interface Row {
  readonly name: string;
  readonly perplexity: number;
  readonly bitsPerWeight?: number;
  /** Perplexity on the text between what calibrates: what `gaslaw quantize` decides by. */
  readonly between: number;
}

const BITS = [8, 6, 5, 4, 3, 2] as const;
const METHOD_NAMES = ['rtn', 'mse', 'gptq', 'gptq in order', 'awq', 'awq + gptq', 'hqq'] as const;
const [LENGTH, SCORED] = [128, 16_384];

/** Rows of one model, told as they come. */
export async function perplexityTable(
  runtime: Runtime,
  subject: Subject,
  peer: RowQuantizer | undefined,
  tell: (row: Row) => void,
): Promise<Row[]> {
  const { model, store, tokenizer, text } = subject;
  const ids = (part: string) => Int32Array.from(tokenizer.encode(part));
  const heldOut = ids(text.heldOut).subarray(0, SCORED);
  const { sequences, between } = calibrationWindows(ids(text.train), LENGTH);
  const statistics = await calibrateParameters(runtime, model, store, sequences);
  const rows: Row[] = [];
  const add: Add = async (name, of, bitsPerWeight) => {
    const { perplexity } = await scoreText(runtime, model, of, heldOut, { bytes: 1, length: LENGTH });
    const row = { name, perplexity, bitsPerWeight, between: await perplexityOn(runtime, model, of, between) };
    rows.push(row);
    tell(row);
  };
  await add('float32', store);
  await addTypes(subject, { store, statistics }, peer, add);
  await addMethods(subject, { store, statistics }, add);
  return rows;
}

type Add = (name: string, of: ParameterStore, bitsPerWeight?: number) => Promise<void>;

async function addMethods({ model }: Subject, from: CalibratedStore, add: Add): Promise<void> {
  for (const bits of BITS)
    for (const name of METHOD_NAMES) {
      const format = { bits, blockSize: 32, symmetric: false, scales: 'float16' } as const;
      const start = name.startsWith('awq') ? awq(model, from, format) : from;
      const rounded = roundStore(start, {
        format,
        method: name.includes('gptq') ? 'gptq' : name === 'awq' ? 'mse' : (name as 'rtn' | 'mse' | 'hqq'),
        weighted: name === 'awq',
        methodOptions: { actOrder: name === 'gptq in order' },
      });
      await add(`${bits} bits ${name}`, rounded.store, rounded.bitsPerWeight);
    }
}

async function addTypes(
  { store, types }: Subject,
  from: CalibratedStore,
  peer: RowQuantizer | undefined,
  add: Add,
): Promise<void> {
  const importance = importanceOf(from.statistics);
  const plain =
    (write: RowQuantizer): Write =>
    (_, ...rest) =>
      write(...rest);
  const weighted =
    (write: RowQuantizer): Write =>
    (name, type, values, columns) =>
      write(type, values, columns, importance.get(name));
  for (const type of types) {
    await add(`${type} gaslaw`, written(store, type, plain(quantize as RowQuantizer)));
    if (peer) await add(`${type} llama.cpp`, written(store, type, plain(peer)));
    await add(`${type} gaslaw with imatrix`, written(store, type, weighted(quantize as RowQuantizer)));
    if (peer) await add(`${type} llama.cpp with imatrix`, written(store, type, weighted(peer)));
    if (isCoded(type)) await add(`${type} gaslaw gptq`, written(store, type, quantizerOf(from.statistics)));
  }
}

async function perplexityOn(
  runtime: Runtime,
  model: CausalModel,
  store: ParameterStore,
  texts: readonly Int32Array[],
): Promise<number> {
  const { nats, tokens } = await weightsScorer(model, store)(runtime, texts, LENGTH);
  return Math.exp(nats / tokens);
}

type Write = (name: string, type: WritableType, values: Float32Array, columns: number) => Uint8Array;

/** The store as blocks of `type` hold it. */
function written(store: ParameterStore, wanted: WritableType, write: Write): ParameterStore {
  const copy = copyOf(store);
  for (const spec of copy.specs) {
    const columns = spec.dims[1];
    if (columns === undefined) continue;
    const isLow = !['Q6_K', 'Q8_0'].includes(wanted);
    const type = isTableOrOutput(spec.name) && isLow && columns % 256 === 0 ? 'Q6_K' : wanted;
    if (!fitsBlocks(type, columns)) continue;
    const values = copy.slice(copy.flat, spec);
    dequantize(type, write(spec.name, type, values.slice(), columns), values);
  }
  return copy;
}
