/**
 * Checkpoints of a stage: arrays in one safetensors file, everything else in one JSON object in its metadata.
 *
 * 1. One file, written whole and renamed into place, so a kill at any byte leaves the old checkpoint or the new one.
 * 2. Parameters keep their names; other arrays are `optimizer.m`, `reference`, … as flat vectors.
 * 3. The JSON state holds what the next step depends on besides arrays: step, optimizer steps, curriculum.
 */
import { decodeSafetensors, encodeSafetensors } from '../formats/safetensors.ts';
import { float32, type Tensor } from '../graph/ir.ts';
import type { ParameterStore } from '../nn/parameters.ts';
import { assert, GaslawError } from '../util/errors.ts';
import type { FileStore } from '../util/files.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface Checkpoint {
  /** Steps done: the next step's index. */
  readonly step: number;
  readonly state: Json;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

const STATE = 'gaslaw.state';

export const checkpointPath = (folder: string, stage: string): string =>
  `${folder}/checkpoints/${stage}.safetensors`;

export async function saveCheckpoint(
  files: FileStore,
  path: string,
  step: number,
  state: Json,
  parameters: ParameterStore,
  arrays: Readonly<Record<string, Float32Array>>,
): Promise<void> {
  const tensors = new Map(parameters.tensors());
  for (const [name, array] of Object.entries(arrays)) tensors.set(name, float32([array.length], array));
  await files.write(path, encodeSafetensors(tensors, new Map([[STATE, JSON.stringify({ step, state })]])));
}

/** The checkpoint at `path`, or undefined when there is none. Throws one sentence when it is damaged. */
export async function loadCheckpoint(files: FileStore, path: string): Promise<Checkpoint | undefined> {
  if (!(await files.exists(path))) return undefined;
  const { tensors, metadata } = decodeSafetensors(await files.read(path), path);
  const text = metadata.get(STATE);
  if (text === undefined)
    throw new GaslawError(`${path}: not a checkpoint of gaslaw (no ${STATE} in its metadata)`);
  return { ...parseState(text, path), tensors };
}

function parseState(text: string, path: string): { step: number; state: Json } {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new GaslawError(`${path}: its ${STATE} is damaged (${(error as Error).message})`);
  }
}

/** Copies a checkpoint's values into the live arrays. */
export function restoreCheckpoint(
  checkpoint: Checkpoint,
  origin: string,
  parameters: ParameterStore,
  arrays: Readonly<Record<string, Float32Array>>,
): void {
  parameters.load(checkpoint.tensors, origin);
  for (const [name, array] of Object.entries(arrays)) {
    const tensor = checkpoint.tensors.get(name);
    assert(
      tensor && tensor.data.length === array.length,
      `${origin}: array "${name}" is missing or has another size; it belongs to another configuration, start a new run`,
    );
    array.set(tensor.data as Float32Array);
  }
}
