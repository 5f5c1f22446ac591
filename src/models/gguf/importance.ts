/**
 * llama.cpp's importance matrices: how large the inputs of each matrix's columns were over a text, as `llama-imatrix` writes
 * them. For each tensor the sums of squares `NAME.in_sum2` [matrices, columns] and how many rows they are of,
 * `NAME.counts` [matrices, 1]; matrices are the experts where they are stacked.
 *
 * 1. Experts that no token went to have no importance: they are written as without a file.
 * 2. Files that do not begin as GGUF are read as the older form (see formats/imatrix.ts), which holds 1 for such experts.
 * Source: llama.cpp, tools/imatrix.
 */
import { type GgufFile, openGguf } from '../../formats/gguf/reader.ts';
import { readLegacyImatrix } from '../../formats/imatrix.ts';
import { sizeOf } from '../../graph/ir.ts';
import { assert } from '../../util/errors.ts';
import { type FileStore, rangeReader } from '../../util/files.ts';
import type { CausalModel } from '../model.ts';
import { expertCount } from './keys.ts';
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
  const source = (await isGguf(files, path))
    ? ofGguf(await openGguf(files, path))
    : ofLegacy(readLegacyImatrix(await files.read(path), path), path);
  const architecture = ggufArchitecture(model.toHuggingFace());
  const found = new Map<string, Float64Array>();
  for (const spec of model.parameters) {
    const stored = storedName(architecture, spec.name);
    if (!stored || stored.storage === 'latent') continue;
    const matrices = stored.expert === undefined ? 1 : expertCount(model.toHuggingFace());
    const means = await source(stored.name, stored.expert ?? 0, matrices, spec.dims.at(-1) as number);
    if (!means) continue;
    assert(
      means.every(mean => mean >= 0 && Number.isFinite(mean)),
      `${path}: tensor "${stored.name}" has sums that are no sums of squares`,
    );
    if (means.some(mean => mean > 0)) found.set(spec.name, means);
  }
  assert(
    found.size > 0,
    `${path}: holds no sums for tensors of this ${architecture} model; give a file that llama-imatrix wrote for it`,
  );
  return found;
}

/** Means of one of a tensor's matrices; undefined where it is not there or nothing was counted. */
type Means = (
  name: string,
  matrix: number,
  matrices: number,
  columns: number,
) => Promise<Float64Array | undefined>;

async function isGguf(files: FileStore, path: string): Promise<boolean> {
  const range = await rangeReader(files, path);
  return new TextDecoder().decode(await range(0, 4)) === 'GGUF';
}

const ofLegacy =
  (entries: ReadonlyMap<string, Float64Array>, path: string): Means =>
  async (name, matrix, matrices, columns) => {
    const means = entries.get(name);
    if (!means) return undefined;
    assert(
      means.length === matrices * columns,
      `${path}: entry "${name}" has ${means.length} sums for ${matrices} matrices of ${columns} columns; it is another model's`,
    );
    return means.slice(matrix * columns, (matrix + 1) * columns);
  };

/** Sums over counts. */
const ofGguf =
  (file: GgufFile): Means =>
  async (name, matrix, _, columns) => {
    if (!file.tensors.has(`${name}.in_sum2`)) return undefined;
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
    return (count[0] as number) > 0 ? Float64Array.from(sums, sum => sum / (count[0] as number)) : undefined;
  };
