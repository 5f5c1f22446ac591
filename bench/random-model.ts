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
import { Random } from '../src/util/random.ts';

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
  const noise = bfloat16Noise(1 << 20);
  const tensors = model.parameters.map(
    (spec, i) =>
      [spec.name, { dtype: 'bfloat16', dims: spec.dims, make: () => valuesOf(spec, noise, i) }] as const,
  );
  await files.write(`${folder}/model.safetensors`, encodePending(new Map(tensors)));
  for (const [file, value] of Object.entries(tokenizer.save()))
    await files.write(`${folder}/${file}`, `${JSON.stringify(value)}\n`);
  await files.write(
    `${folder}/config.json`,
    configText({ ...model.toHuggingFace(), torch_dtype: 'bfloat16' }),
  );
}

const STANDARD_DEVIATION = 0.02;

const bfloat16Noise = (count: number): Uint16Array => {
  const random = new Random(1);
  const bound = STANDARD_DEVIATION * Math.sqrt(3);
  const values = Float32Array.from({ length: count }, () => bound * (2 * random.uniform() - 1));
  return encodeFloats(values, 'bfloat16');
};

/** Ones for norms, zeros for biases, and for matrices the noise from a place of their own on, over and over. */
function valuesOf({ name, dims }: ParameterSpec, noise: Uint16Array, index: number) {
  const data = new Uint16Array(sizeOf(dims));
  if (name.endsWith('norm.weight')) data.fill(0x3f80);
  else if (dims.length > 1) {
    const shift = (index * 7919) % noise.length;
    for (let at = -shift; at < data.length; at += noise.length) {
      const skipped = Math.max(0, -at);
      data.set(noise.subarray(skipped, Math.min(noise.length, data.length - at)), at + skipped);
    }
  }
  return { dtype: 'bfloat16' as const, dims, data };
}

if (argv[1]?.endsWith('random-model.js')) {
  const [, , name = '', folder = ''] = argv;
  await writeRandomModel(shapeNamed(name), folder);
}
