/**
 * What a person names as a model: a run folder, a Hugging Face directory, a safetensors, a GGUF, a llama2.c, an ONNX or a TFLite file.
 *
 * 1. A run folder stands for the model at the end of its longest chain of finished stages (of r1, the distilled student).
 *    `RUN/models/NAME` names any other.
 * 2. Only stages with weights of their own count; exports (int8, int4) are named by their path. A directory with exported
 *    files alone stands for the smallest of them, a folder of
 *    graphs for its model.onnx or the only one in it.
 */

import { fromTflite } from '../formats/tflite/to-graph.ts';
import { modelFor } from '../ops/opset.ts';
import { GaslawError, UsageError } from '../util/errors.ts';
import { type FileStore, folderOf, joinPath, nameOf, readJson } from '../util/files.ts';
import { hasWeights } from './files.ts';
import { type OnnxContent, onnxBytes, readOnnx } from './onnx-files.ts';
import { isDirectoryWeights } from './weight-files.ts';

export type ModelPlace =
  | {
      readonly kind: 'directory';
      readonly folder: string;
      readonly stage?: string;
      /** The file with the weights, where it has not the name that it has in a directory. */
      readonly weights?: string;
    }
  | { readonly kind: 'onnx'; readonly path: string }
  | { readonly kind: 'gguf'; readonly path: string }
  | { readonly kind: 'llama2c'; readonly path: string };

const KINDS =
  'a run folder, a Hugging Face directory, a .safetensors, a .gguf, a .bin (llama2.c), an .onnx or a .tflite file';

/** Finds out what `path` is. Throws one sentence when it is no model, or a run without a finished one. */
export async function locateModel(files: FileStore, path: string): Promise<ModelPlace> {
  if (!(await files.exists(path))) throw new GaslawError(`${path}: no such file or folder; give ${KINDS}`);
  if (isGraph(path)) return { kind: 'onnx', path };
  if (path.endsWith('.gguf')) return { kind: 'gguf', path };
  if (path.endsWith('.bin')) return { kind: 'llama2c', path };
  if (path.endsWith('.safetensors')) return placeOfWeights(files, path);
  if (await isFile(files, path))
    throw new UsageError(`${path}: not a model that gaslaw reads; give ${KINDS}`);
  const folder = path.length > 1 ? path.replace(/\/+$/, '') : path;
  const config = `${folder}/config.json`;
  if (!(await files.exists(config))) return placeOfGraph(files, folder);
  const content = (await readJson(files, config)) as Record<string, unknown> | null;
  if (content?.recipe === undefined)
    return isLanguage(content)
      ? placeOf(files, folder)
      : placeOfGraph(files, folder, 'config.json is no model’s');
  const stage = await lastStage(files, folder, content);
  const place = joinPath(folder, stage.model);
  return isGraph(place)
    ? { kind: 'onnx', path: place }
    : { kind: 'directory', folder: place, stage: stage.name };
}

const isGraph = (path: string): boolean => /\.(onnx|tflite)$/.test(path);

const isLanguage = (config: Record<string, unknown> | null): boolean =>
  config?.model_type !== undefined || config?.architectures !== undefined;

/** A folder that is no language model's stands for its `model.onnx`, or for the only graph in it. */
async function placeOfGraph(files: FileStore, folder: string, why = 'no config.json'): Promise<ModelPlace> {
  const graphs = (await files.list(folder)).filter(isGraph);
  const graph = graphs.length === 1 ? graphs[0] : graphs.find(name => name === 'model.onnx');
  if (graph) return { kind: 'onnx', path: `${folder}/${graph}` };
  const remedy = graphs.length > 1 ? `name one of ${graphs.join(', ')}` : `give ${KINDS}`;
  throw new GaslawError(`${folder}: ${why}; ${remedy}`);
}

/** A file of weights stands for its directory; one that has a name of its own is read in the place of the directory's. */
async function placeOfWeights(files: FileStore, path: string): Promise<ModelPlace> {
  const folder = folderOf(path);
  if (!(await files.exists(`${folder}/config.json`)))
    throw new GaslawError(`${path}: no config.json beside it, which says what model the tensors make up`);
  return isDirectoryWeights(nameOf(path))
    ? { kind: 'directory', folder }
    : { kind: 'directory', folder, weights: path };
}

/** A directory with weights, or with exported files alone, of which the smallest is taken. */
async function placeOf(files: FileStore, folder: string): Promise<ModelPlace> {
  const names = (await files.list(`${folder}/onnx`)).filter(name => name.endsWith('.onnx'));
  if (names.length === 0 || (await hasWeights(files, folder))) return { kind: 'directory', folder };
  const exported = await Promise.all(
    names.map(async name => ({
      path: `${folder}/onnx/${name}`,
      bytes: await onnxBytes(files, `${folder}/onnx/${name}`),
    })),
  );
  return {
    kind: 'onnx',
    path: exported.reduce((best, file) => (file.bytes < best.bytes ? file : best)).path,
  };
}

/** Reads an ONNX file with its external data, or a TFLite file as the same kind of graph. */
export async function loadOnnx(files: FileStore, path: string): Promise<OnnxContent> {
  if (!path.endsWith('.tflite')) return readOnnx(files, path);
  const content = await files.read(path);
  return { model: modelFor(fromTflite(content, path), [['format', 'tflite']]), bytes: content.byteLength };
}

async function isFile(files: FileStore, path: string): Promise<boolean> {
  return files.list(path).then(
    () => false,
    () => true,
  );
}

// ---- run folders ----

interface Stage {
  readonly name: string;
  readonly from: readonly string[];
  readonly model: string;
}

async function lastStage(files: FileStore, folder: string, config: Record<string, unknown>): Promise<Stage> {
  const stages = await finishedStages(files, folder);
  const plain: Stage[] = [];
  for (const stage of stages)
    if (isGraph(stage.model) || (await hasWeights(files, joinPath(folder, stage.model)))) plain.push(stage);
  if (plain.length === 0) {
    throw new GaslawError(
      `${folder}: no stage of this run is finished yet; resume recipe ${config.recipe} of size ${config.size} there, or give another model`,
    );
  }
  return plain.reduce((best, stage) => (depthOf(stage, stages) > depthOf(best, stages) ? stage : best));
}

async function finishedStages(files: FileStore, folder: string): Promise<Stage[]> {
  const names = (await files.list(`${folder}/stages`)).filter(name => name.endsWith('.json'));
  return Promise.all(names.map(async name => (await readJson(files, `${folder}/stages/${name}`)) as Stage));
}

/** Stages before this one on its longest chain. */
function depthOf(stage: Stage, all: readonly Stage[]): number {
  const before = all.filter(other => stage.from.includes(other.name));
  return before.reduce((depth, other) => Math.max(depth, 1 + depthOf(other, all)), 0);
}
