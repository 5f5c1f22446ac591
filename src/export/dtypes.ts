/**
 * What each dtype of an exported model means, and its file name.
 *
 * 1. f32 is the model; f16 stores its weights in half the bytes; int8 and int4 store them in blocks with one scale each
 *    (int4 keeps tables and the vocabulary projection at 8 bits).
 * 2. Suffixes are transformers.js's: its `dtype` options fp32, fp16, q8 (the default in browsers) and q4 find the files.
 */
import { dynamicInt8 } from '../compress/quantize/dynamic-int8.ts';
import { toFloat16 } from '../compress/quantize/float16.ts';
import {
  quantizeWeights,
  type WeightOnlyOptions,
  type WeightOnlyReport,
} from '../compress/quantize/weight-only.ts';
import type { Graph, Model } from '../graph/ir.ts';
import { encodeModel } from '../graph/protobuf.ts';
import type { CausalModel } from '../models/model.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import { type ExportMetadata, exportGraph } from './graph.ts';
import { foldRotaryTables } from './rotary.ts';

export const EXPORT_DTYPES = ['f32', 'f16', 'int8', 'int4'] as const;
export type ExportDType = (typeof EXPORT_DTYPES)[number];

export const FILE_SUFFIX: Readonly<Record<ExportDType, string>> = {
  f32: '',
  f16: '_fp16',
  int8: '_quantized',
  int4: '_q4',
};

export interface ExportOptions extends ExportMetadata {
  /** Other choices for int8 and int4: method, block size, bits of single roles. */
  readonly quantize?: Partial<WeightOnlyOptions>;
  /** int8: products of layers in integers, activations quantized as they come (W8A8). Default: float. */
  readonly activations?: 'float' | 'int8';
}

export interface ExportedGraph {
  readonly model: Model;
  /** What quantizing did, for int8 and int4. */
  readonly report?: WeightOnlyReport;
}

/** The model's inference graph with weights of that dtype. */
export function exportAs(
  model: CausalModel,
  weights: ParameterStore,
  dtype: ExportDType,
  options: ExportOptions = {},
): ExportedGraph {
  const exported = exportGraph(model, weights, options);
  const { graph, metadata } = exported;
  metadata.set('dtype', dtype);
  foldRotaryTables(graph);
  const report = convert(graph, dtype, options);
  graph.types.clear(); // readers infer them; in a small model they would be a tenth of the file
  return { model: exported, report };
}

function convert(
  graph: Graph,
  dtype: ExportDType,
  { quantize, activations }: ExportOptions,
): WeightOnlyReport | undefined {
  if (activations === 'int8') dynamicInt8(graph);
  if (dtype === 'f16') toFloat16(graph);
  return dtype === 'int8' || dtype === 'int4'
    ? quantizeWeights(graph, { bits: dtype === 'int8' ? 8 : 4, ...quantize })
    : undefined;
}

/** The bytes of the file. */
export const exportBytes = (
  model: CausalModel,
  weights: ParameterStore,
  dtype: ExportDType,
  options: ExportOptions = {},
): Uint8Array => encodeModel(exportAs(model, weights, dtype, options).model);
