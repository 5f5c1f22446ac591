/**
 * A Hugging Face directory of random bfloat16 weights in the shape of a published model: what speed is measured on where no
 * model can be downloaded. Weights are uniform with the spread of trained ones; their values do not matter to the time.
 * Usage: node dist/bench/random-model.js SHAPE DIR
 */
import { argv } from 'node:process';
import { nodeFiles } from '../src/cli/node-files.ts';
import { encodePending } from '../src/formats/safetensors.ts';
import { sizeOf } from '../src/graph/ir.ts';
import { configText } from '../src/models/config-text.ts';
import { type DenseConfig, denseConfig, denseModel } from '../src/models/dense/index.ts';
import type { ParameterSpec } from '../src/nn/parameters.ts';
import { byteTokenizer } from '../src/tokenizer/byte.ts';
import { encodeFloats } from '../src/util/float16.ts';

const QWEN = { vocabSize: 151936, ropeTheta: 1e6, rmsNormEps: 1e-6, tieWordEmbeddings: true } as const;

/** Shapes by name, with as many positions as a measurement needs. */
export const SHAPES = {
  'qwen2.5-0.5b': {
    ...QWEN,
    modelType: 'qwen2',
    hiddenSize: 896,
    numHiddenLayers: 24,
    numAttentionHeads: 14,
    numKeyValueHeads: 2,
    headDim: 64,
    intermediateSize: 4864,
    maxPositionEmbeddings: 4096,
  },
  'qwen3-0.6b': {
    ...QWEN,
    modelType: 'qwen3',
    hiddenSize: 1024,
    numHiddenLayers: 28,
    numAttentionHeads: 16,
    numKeyValueHeads: 8,
    headDim: 128,
    intermediateSize: 3072,
    maxPositionEmbeddings: 4096,
  },
  'smollm2-135m': {
    ...QWEN,
    modelType: 'llama',
    vocabSize: 49152,
    ropeTheta: 1e5,
    rmsNormEps: 1e-5,
    hiddenSize: 576,
    numHiddenLayers: 30,
    numAttentionHeads: 9,
    numKeyValueHeads: 3,
    headDim: 64,
    intermediateSize: 1536,
    maxPositionEmbeddings: 4096,
  },
  tiny: {
    ...QWEN,
    vocabSize: 512,
    modelType: 'qwen2',
    hiddenSize: 64,
    numHiddenLayers: 2,
    numAttentionHeads: 4,
    numKeyValueHeads: 2,
    headDim: 16,
    intermediateSize: 128,
    maxPositionEmbeddings: 256,
  },
} as const satisfies Record<string, Parameters<typeof denseConfig>[0] & Partial<DenseConfig>>;
export type ShapeName = keyof typeof SHAPES;

export const shapeNamed = (name: string): ShapeName => {
  if (name in SHAPES) return name as ShapeName;
  throw new Error(`shape "${name}": one of ${Object.keys(SHAPES).join(', ')}`);
};

/** Writes the directory; the same bytes every time. */
export async function writeRandomModel(name: ShapeName, folder: string): Promise<void> {
  const files = nodeFiles();
  const tokenizer = byteTokenizer();
  const { eos, pad } = tokenizer;
  const model = denseModel(denseConfig({ ...SHAPES[name], eosTokenId: eos, padTokenId: pad }));
  const tensors = model.parameters.map(
    (spec, i) => [spec.name, { dtype: 'bfloat16', dims: spec.dims, make: () => valuesOf(spec, i) }] as const,
  );
  await files.write(`${folder}/model.safetensors`, encodePending(new Map(tensors)));
  for (const [file, value] of Object.entries(tokenizer.save()))
    await files.write(`${folder}/${file}`, `${JSON.stringify(value)}\n`);
  await files.write(
    `${folder}/config.json`,
    configText({ ...model.toHuggingFace(), torch_dtype: 'bfloat16' }),
  );
}

const BOUND = 0.02 * Math.sqrt(3);

/**
 * Ones for norms, zeros for biases, uniform noise of standard deviation 0.02 for matrices. Nothing may repeat: machines that
 * share equal pages of memory read repeated weights twice as fast as real ones.
 */
function valuesOf({ name, dims }: ParameterSpec, index: number) {
  const data = new Uint16Array(sizeOf(dims));
  if (name.endsWith('norm.weight')) data.fill(0x3f80);
  else if (dims.length > 1) fillNoise(data, index + 1);
  return { dtype: 'bfloat16' as const, dims, data };
}

/** bfloat16 values from a table of 64 Ki, drawn by a linear congruential generator (Numerical Recipes). */
function fillNoise(data: Uint16Array, seed: number): void {
  let state = Math.imul(seed, 0x9e3779b9);
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = TABLE[state >>> 16] as number;
  }
}

const TABLE = encodeFloats(
  Float32Array.from({ length: 2 ** 16 }, (_, i) => BOUND * (i / 2 ** 15 - 1)),
  'bfloat16',
);

if (argv[1]?.endsWith('random-model.js')) {
  const [, , name = '', folder = ''] = argv;
  await writeRandomModel(shapeNamed(name), folder);
}
