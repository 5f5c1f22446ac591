/**
 * llama.cpp's importance matrices: how large the inputs of each matrix's columns were over a text, as `llama-imatrix` writes
 * them. For each tensor the sums of squares `NAME.in_sum2` [matrices, columns] and how many rows they are of,
 * `NAME.counts` [matrices, 1]; matrices are the experts where they are stacked.
 *
 * 1. Experts that no token went to have no importance: they are written as without a file.
 * 2. The older form (.dat) has no mark to be known by and is not read; llama-imatrix turns it into this one.
 * Source: llama.cpp, tools/imatrix.
 */
import { type GgufFile, openGguf } from '../../formats/gguf/reader.ts';
import { sizeOf } from '../../graph/ir.ts';
import type { ParameterSpec } from '../../nn/parameters.ts';
import { assert } from '../../util/errors.ts';
import type { FileStore } from '../../util/files.ts';
import type { CausalModel } from '../model.ts';
import { ggufArchitecture } from './metadata.ts';
import { storedName } from './names.ts';

/**
 * Mean squares E[a²] of the inputs of each parameter's columns that the file tells of. Throws one sentence for a file that is
 * no importance matrix, or another model's.
 */
export async function readImportance(
  files: FileStore,
  path: string,
  model: CausalModel,
): Promise<Map<string, Float64Array>> {
  const file = await openGguf(files, path);
  const architecture = ggufArchitecture(model.toHuggingFace());
  const found = new Map<string, Float64Array>();
  for (const spec of model.parameters) {
    const stored = storedName(architecture, spec.name);
    if (!stored || stored.storage === 'latent' || !file.tensors.has(`${stored.name}.in_sum2`)) continue;
    const means = await meansOf(file, stored.name, stored.expert ?? 0, spec);
    if (means) found.set(spec.name, means);
  }
  assert(
    found.size > 0,
    `${path}: holds no sums for tensors of this ${architecture} model; give a file that llama-imatrix wrote for it`,
  );
  return found;
}

/** Sums over counts of one matrix; undefined where nothing was counted. */
async function meansOf(
  file: GgufFile,
  name: string,
  matrix: number,
  { dims }: ParameterSpec,
): Promise<Float64Array | undefined> {
  const columns = dims.at(-1) as number;
  const counted = file.tensors.get(`${name}.counts`);
  const matrices = counted ? sizeOf(counted.dims) : 0;
  const summed = sizeOf(file.tensors.get(`${name}.in_sum2`)?.dims ?? []);
  assert(
    matrix < matrices && summed === matrices * columns,
    `${file.path}: tensor "${name}.in_sum2" has ${summed} sums for ${matrices} matrices of ${columns} columns; it is another model's`,
  );
  const [count, sums] = [new Float32Array(1), new Float32Array(columns)];
  await file.readFloats(`${name}.counts`, count, matrix);
  await file.readFloats(`${name}.in_sum2`, sums, matrix * columns);
  if (!((count[0] as number) > 0)) return undefined;
  const means = Float64Array.from(sums, sum => sum / (count[0] as number));
  assert(
    means.every(mean => mean >= 0 && Number.isFinite(mean)),
    `${file.path}: tensor "${name}.in_sum2" has sums that are no sums of squares`,
  );
  return means.some(mean => mean > 0) ? means : undefined;
}
