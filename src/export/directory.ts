/**
 * An exported model as a directory that transformers.js loads: config.json, generation_config.json, tokenizer.json,
 * tokenizer_config.json and onnx/model{suffix}.onnx. Several dtypes may lie side by side.
 */
import type { WeightOnlyReport } from '../compress/quantize/weight-only.ts';
import { encodeModelChunks } from '../graph/protobuf.ts';
import { configText } from '../models/config-text.ts';
import { tokenRoles } from '../models/files.ts';
import type { CausalModel } from '../models/model.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { FileStore } from '../util/files.ts';
import { type ExportDType, type ExportOptions, exportAs, FILE_SUFFIX } from './dtypes.ts';

export interface WrittenModel {
  /** Path of the .onnx file. */
  readonly path: string;
  /** Its bytes. */
  readonly bytes: number;
  readonly report?: WeightOnlyReport;
}

/** Writes the directory, the .onnx file last. */
export async function exportModel(
  files: FileStore,
  folder: string,
  model: CausalModel,
  store: ParameterStore,
  tokenizer: Tokenizer,
  dtype: ExportDType,
  options: ExportOptions = {},
): Promise<WrittenModel> {
  const { model: graph, report } = exportAs(model, store, dtype, { tokenizer: tokenizer.kind, ...options });
  for (const [name, value] of Object.entries(sidecars(model, tokenizer))) {
    await files.write(`${folder}/${name}`, value);
  }
  const path = `${folder}/onnx/model${FILE_SUFFIX[dtype]}.onnx`;
  await files.write(path, encodeModelChunks(graph));
  return { path, bytes: await files.size(path), report };
}

/** Texts of the files beside the graph, by name. */
function sidecars(model: CausalModel, tokenizer: Tokenizer): Record<string, string> {
  const config = model.toHuggingFace();
  const roles = tokenRoles(config, tokenizer);
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const saved = Object.entries(tokenizer.save()).map(([name, value]) => [name, json(value)] as const);
  return {
    'config.json': configText({ ...config, ...roles }),
    'generation_config.json': json({ ...roles, max_length: model.maxPositions }),
    ...Object.fromEntries(saved),
  };
}
