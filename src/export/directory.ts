/**
 * An exported model as a directory that transformers.js loads: config.json, generation_config.json, tokenizer.json,
 * tokenizer_config.json and onnx/model{suffix}.onnx. Several dtypes may lie side by side. Above 2 GiB the tensors lie in
 * onnx/model{suffix}.onnx_data, and config.json says of which files they do, as transformers.js wants it.
 */
import type { WeightOnlyReport } from '../compress/quantize/weight-only.ts';
import { configText } from '../models/config-text.ts';
import { tokenRoles } from '../models/files.ts';
import type { CausalModel } from '../models/model.ts';
import { hasExternalData, type WriteOnnxOptions, writeOnnx } from '../models/onnx-files.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { type FileStore, nameOf } from '../util/files.ts';
import { type ExportDType, type ExportOptions, exportAs, FILE_SUFFIX } from './dtypes.ts';

export interface WrittenModel {
  /** Path of the .onnx file. */
  readonly path: string;
  /** Its bytes and those of its external data. */
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
  { externalFrom, ...options }: ExportOptions & WriteOnnxOptions = {},
): Promise<WrittenModel> {
  const { model: graph, report } = exportAs(model, store, dtype, { tokenizer: tokenizer.kind, ...options });
  const path = `${folder}/onnx/model${FILE_SUFFIX[dtype]}.onnx`;
  const inTwo = await filesInTwo(files, folder);
  if (hasExternalData(graph, { externalFrom })) inTwo.add(nameOf(path));
  else inTwo.delete(nameOf(path));
  for (const [name, value] of Object.entries(sidecars(model, tokenizer, inTwo))) {
    await files.write(`${folder}/${name}`, value);
  }
  return { path, bytes: await writeOnnx(files, path, graph, { externalFrom }), report };
}

/** Names of the .onnx files there that have external data. */
async function filesInTwo(files: FileStore, folder: string): Promise<Set<string>> {
  const names = await files.list(`${folder}/onnx`);
  return new Set(names.filter(name => names.includes(`${name}_data`)));
}

/** Texts of the files beside the graph, by name. */
function sidecars(
  model: CausalModel,
  tokenizer: Tokenizer,
  inTwo: ReadonlySet<string>,
): Record<string, string> {
  const config = model.toHuggingFace();
  const roles = tokenRoles(config, tokenizer);
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const saved = Object.entries(tokenizer.save()).map(([name, value]) => [name, json(value)] as const);
  return {
    'config.json': configText({ ...config, ...roles, ...externalConfig(inTwo) }),
    'generation_config.json': json({ ...roles, max_length: model.maxPositions }),
    ...Object.fromEntries(saved),
  };
}

const externalConfig = (inTwo: ReadonlySet<string>): Record<string, unknown> =>
  inTwo.size === 0
    ? {}
    : {
        'transformers.js_config': {
          use_external_data_format: Object.fromEntries([...inTwo].map(name => [name, 1])),
        },
      };
