/**
 * Blocks written here beside ggml's own quantizer, called in the library that node-llama-cpp carries: the error of each type
 * on noise, on heavy tails and on trained weights, ours over theirs, with an importance matrix and without.
 *
 * 1. Without importance the root mean square error; with it the error weighted by it, which is what both minimize.
 * 2. Importances are log-normal, as the mean squares of activations are: few columns matter much.
 * Usage: npm run bench -- quantizers --peer DIR [--models FILE]    (node-llama-cpp is installed in DIR; FILE a model)
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import koffi from 'koffi';
import { nodeFiles } from '../src/cli/node-files.ts';
import { openLanguageModel } from '../src/export/language-model.ts';
import { dequantize, type ReadableType } from '../src/formats/gguf/dequantize.ts';
import { quantize, WRITABLE_TYPES } from '../src/formats/gguf/quantize.ts';
import { GGML_TYPES, ggmlBytes } from '../src/formats/gguf/types.ts';
import { Random } from '../src/util/random.ts';

const COLUMNS = 256;
const ROWS = 64;

type Chunk = (
  type: number,
  from: Float32Array,
  to: Uint8Array,
  start: number,
  rows: number,
  columns: number,
  importance: Float32Array | null,
) => number;

/** ggml_quantize_chunk of the library in a folder where node-llama-cpp is installed. */
function ggmlQuantizer(folder: string): Chunk {
  const entry = createRequire(join(resolve(folder), 'package.json')).resolve('node-llama-cpp');
  const bins = join(entry.slice(0, entry.indexOf('node_modules')), `node_modules/@node-llama-cpp`);
  const file = readdirSync(bins, { recursive: true, encoding: 'utf8' }).find(f =>
    /ggml-base\.(so|dylib|dll)$/.test(f),
  );
  if (!file) throw new Error(`${bins}: no ggml-base library`);
  const library = koffi.load(join(bins, file));
  library.func('void ggml_quantize_init(int type)'); // its tables are made on demand
  return library.func(
    'size_t ggml_quantize_chunk(int type, const float *src, _Out_ uint8_t *dst, int64_t start, int64_t nrows, int64_t n_per_row, const float *imatrix)',
  ) as unknown as Chunk; // koffi cannot know the signature's type
}

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
  chunk: Chunk,
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
  const theirs = (weights: Float32Array | null): Float32Array => {
    const bytes = new Uint8Array(ggmlBytes(type, x.length));
    chunk(GGML_TYPES[type].code, x, bytes, 0, x.length / COLUMNS, COLUMNS, weights);
    return back(bytes);
  };
  const [ours, plain] = [errorOf(x, back(quantize(type, x, COLUMNS))), errorOf(x, theirs(null))];
  const weightedOurs = errorOf(x, back(quantize(type, x, COLUMNS, importance)), importance);
  const weightedTheirs = errorOf(x, theirs(Float32Array.from(importance)), importance);
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

export async function benchQuantizers(peer: string, model?: string): Promise<QuantizerErrors[]> {
  const chunk = ggmlQuantizer(peer);
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
  return sets.flatMap(([name, x]) => types.map(type => compare(chunk, type, name, x)));
}
