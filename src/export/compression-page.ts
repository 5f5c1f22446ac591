/**
 * The page of a compressed language model: what there was to choose from, its matrices before and after, and how much each bears.
 *
 * 1. Quality is the likelihood that is left: the geometric mean of each token's probability over the original's, perplexity before
 *    divided by perplexity after. It needs a text; without one there is no page.
 * 2. Sensitivity is the noise in a product's own output, in hundredths of its power, when its matrix has 4 bits in blocks of 32, over
 *    what the matrix reads of the text.
 */

import { outputError } from '../compress/prune/sparsity.ts';
import { dequantize } from '../compress/quantize/blocks.ts';
import { METHODS } from '../compress/quantize/methods/index.ts';
import { matrixOf, placeOf } from '../compress/quantize/places.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import { openGguf } from '../formats/gguf/reader.ts';
import { byteLength } from '../graph/dtype.ts';
import { type Graph, sizeOf, type Tensor } from '../graph/ir.ts';
import { architectureOf } from '../models/gguf/metadata.ts';
import { storedName } from '../models/gguf/names.ts';
import type { CausalModel } from '../models/model.ts';
import { Attributes } from '../ops/rule.ts';
import type { CandidateFigures, CompressionData } from '../report/compression/data.ts';
import { renderCompression } from '../report/compression/index.ts';
import type { Layer, LayerPair } from '../report/compression/layers.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { type FileStore, nameOf } from '../util/files.ts';
import { calibrate } from './calibration.ts';
import type { CompressedLanguage, LanguageBudget, LanguageCandidate } from './compress-language-model.ts';
import { exportGraph } from './graph.ts';
import { openLanguageModel } from './language-model.ts';
import { loadOnnxModel } from './load.ts';
import { readCalibrationText } from './text.ts';

export interface LanguagePageOptions {
  readonly files: FileStore;
  /** The model as it came, and the text. */
  readonly path: string;
  readonly data: string;
  readonly tokenizer?: string;
  readonly device: DeviceProfile;
  readonly budget: LanguageBudget;
  readonly rule: string;
  readonly runtime: Runtime;
  readonly command: string;
  readonly version: string;
}

const SENSITIVITY_FORMAT = { bits: 4, blockSize: 32, symmetric: false, scales: 'float16' } as const;

export async function languagePage(result: CompressedLanguage, o: LanguagePageOptions): Promise<string> {
  const { model, store, tokenizer } = await openLanguageModel(o.files, o.path, {
    dtype: 'f32',
    tokenizer: o.tokenizer,
  });
  if (!store) throw new TypeError('weights that were opened as f32 are floats');
  const text = await readCalibrationText(o.files, o.data, tokenizer, model);
  const { graph } = exportGraph(model, store);
  const inputs = await calibrate(o.runtime, model, store, text.sequences);
  const products = productsOf(graph);
  const { ramBytes, flashBytes } = o.device.memory;
  const data: CompressionData = {
    model: nameOf(o.path),
    device: {
      id: o.device.id,
      name: o.device.name,
      ...(ramBytes && { ramBytes: ramBytes.value }),
      ...(flashBytes && { flashBytes: flashBytes.value }),
    },
    budget: o.budget,
    rule: o.rule,
    met: result.met,
    misses: result.missed,
    data: `The first nine tenths of ${nameOf(o.data)} calibrate, ${text.heldOut.length} tokens of the last are scored.`,
    candidates: figuresOf(result, model, text.heldOut.length),
    failed: result.failed.map(({ name, error }) => ({ name, title: name, error })),
    front: result.front.map(c => c.name),
    chosen: result.result.name,
    layers: await layersOf(o.files, products, result.result),
    sensitivity: {
      what: 'noise in the product’s own output, in hundredths of its power, when its matrix has 4 bits',
      layers: products.map(({ name, tensor, transposed }) => {
        const matrix = matrixOf(tensor, transposed);
        const rounded = dequantize(METHODS.rtn.quantize(matrix, SENSITIVITY_FORMAT));
        return { name, value: 100 * outputError(matrix, rounded, inputs.get(name)) ** 2 };
      }),
    },
    files: result.files,
    command: o.command,
    version: o.version,
  };
  return renderCompression(data);
}

/** The model as it came, then every candidate. */
function figuresOf(
  { baseline, candidates }: CompressedLanguage,
  model: CausalModel,
  tokens: number,
): CandidateFigures[] {
  const macs = model.forwardFlops(1) / 2;
  const figures = (
    name: string,
    title: string,
    bytes: number,
    perplexity = Number.NaN,
  ): CandidateFigures => ({
    name,
    title,
    quality: {
      kind: 'likelihood',
      value: (baseline.perplexity ?? Number.NaN) / perplexity,
      examples: tokens,
    },
    bytes,
    macs,
    peakMemoryBytes: bytes,
    deploys: true,
    memory: [],
    findings: [],
    fixes: [],
    notes: [`perplexity ${perplexity.toFixed(3)}`],
  });
  return [
    figures('original', 'the model as it came', baseline.bytes, baseline.perplexity),
    ...candidates.map(c => figures(c.name, `weights as ${c.name}`, c.bytes, c.perplexity)),
  ];
}

interface Product {
  /** Of the parameter; several that are read as one are joined by `+`. */
  readonly name: string;
  readonly tensor: Tensor;
  readonly transposed: boolean;
  /** Name of the node that multiplies. */
  readonly node: string;
}

/** Matrices that are multiplied by, in the order of the graph's constants. */
const productsOf = (graph: Graph): Product[] =>
  [...graph.initializers].flatMap(([name, tensor]) => {
    if (tensor.dtype !== 'float32' || tensor.dims.length !== 2) return [];
    const use = placeOf(graph, name)?.uses.find(({ kind }) => kind === 'product');
    return use ? [{ name, tensor, transposed: use.transposed, node: use.node.name }] : [];
  });

async function layersOf(
  files: FileStore,
  products: readonly Product[],
  chosen: LanguageCandidate,
): Promise<LayerPair[]> {
  const inGguf = chosen.output.endsWith('.gguf');
  const stored = await (inGguf ? storedInGguf : storedInGraph)(files, chosen.output);
  return products.flatMap((product): LayerPair[] => {
    const { name, tensor } = product;
    const elements = tensor.data.length;
    const layer = { name, op: 'MatMul', dims: tensor.dims, macs: elements };
    const before: Layer = { ...layer, weightDtype: 'float32', weightBytes: 4 * elements };
    const after = stored(product);
    return after ? [{ name, op: 'MatMul', before, after: { ...layer, ...after } }] : [];
  });
}

/** What a file holds of a product's matrix; undefined where it is not found. */
type Stored = (product: Product) => Pick<Layer, 'weightDtype' | 'weightBytes'> | undefined;

async function storedInGraph(files: FileStore, path: string): Promise<Stored> {
  const { graph } = (await loadOnnxModel(files, path)).onnx;
  const nodes = new Map(graph.nodes.map(node => [node.name, node]));
  const casts = new Map(graph.nodes.filter(n => n.opType === 'Cast').map(n => [n.outputs[0], n.inputs[0]]));
  return ({ node }) => {
    const reader = nodes.get(node);
    const tensors = (reader?.inputs ?? []).flatMap(
      name => graph.initializers.get(casts.get(name) ?? name) ?? [],
    );
    const [values] = tensors;
    if (!reader || !values) return undefined;
    const bits = new Attributes(reader.attributes).int('bits', 0);
    return {
      weightDtype: bits > 0 ? `int${bits}` : values.dtype,
      weightBytes: tensors.reduce(
        (sum, t) => sum + (t.dtype === 'string' ? 0 : byteLength(t.dtype, sizeOf(t.dims))),
        0,
      ),
    };
  };
}

/** Of a parameter, or of several that are read as one. */
async function storedInGguf(files: FileStore, path: string): Promise<Stored> {
  const file = await openGguf(files, path);
  const architecture = architectureOf(file.metadata, path);
  return ({ name }) => {
    const tensors = name.split('+').map(part => file.tensors.get(storedName(architecture, part)?.name ?? ''));
    if (!tensors.every(tensor => tensor !== undefined)) return undefined;
    return {
      weightDtype: [...new Set(tensors.map(tensor => tensor.type))].join(', '),
      weightBytes: tensors.reduce((sum, tensor) => sum + tensor.end - tensor.begin, 0),
    };
  };
}
