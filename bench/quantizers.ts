/**
 * Blocks written here beside ggml's own quantizer, called in the library that node-llama-cpp carries: the error of each type
 * on noise, on heavy tails and on trained weights, ours over theirs, with an importance matrix and without.
 *
 * 1. Without importance the root mean square error; with it the error weighted by it, which is what both minimize.
 * 2. Importances are log-normal, as the mean squares of activations are: few columns matter much.
 * Usage: npm run bench -- quantizers --peer DIR [--models FILE]    (node-llama-cpp is installed in DIR; FILE a model)
 */
import { nodeFiles } from '../src/cli/node-files.ts';
import { openLanguageModel } from '../src/export/language-model.ts';
import { dequantize, type ReadableType } from '../src/formats/gguf/dequantize.ts';
import { quantize, WRITABLE_TYPES } from '../src/formats/gguf/quantize.ts';
import { GGML_TYPES } from '../src/formats/gguf/types.ts';
import { Random } from '../src/util/random.ts';
import { ggmlQuantizer, type RowQuantizer } from './ggml.ts';

const COLUMNS = 256;
const ROWS = 64;

export interface QuantizerErrors {
  readonly type: string;
  readonly data: string;
  /** Root mean square error over that of the values. */
  readonly ours: number;
  readonly theirs: number;
  readonly ratio: number;
  /** The same, weighted by an importance that both were given. */
  readonly weightedOurs: number;
  readonly weightedTheirs: number;
  readonly weightedRatio: number;
}

/** √(Σ w (x - y)² / Σ w x²). */
function errorOf(x: Float32Array, y: Float32Array, importance?: Float64Array): number {
  let [sum, all] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    const w = importance?.[i % COLUMNS] ?? 1;
    sum += w * ((x[i] as number) - (y[i] as number)) ** 2;
    all += w * (x[i] as number) ** 2;
  }
  return Math.sqrt(sum / all);
}

function compare(
  peer: RowQuantizer,
  type: ReadableType & (typeof WRITABLE_TYPES)[number],
  data: string,
  x: Float32Array,
): QuantizerErrors {
  const random = new Random(7);
  const importance = Float64Array.from({ length: COLUMNS }, () => Math.exp(1.5 * random.normal()));
  const back = (bytes: Uint8Array): Float32Array => {
    const out = new Float32Array(x.length);
    dequantize(type, bytes, out);
    return out;
  };
  const [ours, plain] = [
    errorOf(x, back(quantize(type, x, COLUMNS))),
    errorOf(x, back(peer(type, x, COLUMNS))),
  ];
  const weightedOurs = errorOf(x, back(quantize(type, x, COLUMNS, importance)), importance);
  const weightedTheirs = errorOf(x, back(peer(type, x, COLUMNS, importance)), importance);
  return {
    type,
    data,
    ours,
    theirs: plain,
    ratio: ours / plain,
    weightedOurs,
    weightedTheirs,
    weightedRatio: weightedOurs / weightedTheirs,
  };
}

async function trainedWeights(path: string): Promise<Float32Array> {
  const { store } = await openLanguageModel(nodeFiles(), path);
  if (!store) throw new Error(`${path}: has no weights`);
  const matrices = store.specs
    .filter(spec => spec.dims.length > 1)
    .map(spec => [...store.slice(store.flat, spec)]);
  const all = matrices.flat();
  return Float32Array.from(all.slice(0, all.length - (all.length % COLUMNS)));
}

export async function benchQuantizers(folder: string, model?: string): Promise<QuantizerErrors[]> {
  const peer = ggmlQuantizer(folder);
  const random = new Random(1);
  const noise = Float32Array.from({ length: ROWS * COLUMNS }, () => 0.02 * random.normal());
  const tails = Float32Array.from(
    { length: ROWS * COLUMNS },
    () => (0.02 * random.normal()) / Math.max(0.1, random.uniform()),
  );
  const sets: [string, Float32Array][] = [
    ['normal', noise],
    ['heavy tails', tails],
  ];
  if (model !== undefined) sets.push(['trained', await trainedWeights(model)]);
  const types = WRITABLE_TYPES.filter(t => GGML_TYPES[t].elements > 1);
  return sets.flatMap(([name, x]) => types.map(type => compare(peer, type, name, x)));
}
