/** @huggingface/transformers of a peer's folder, with a model of a directory on disk. */
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What is used of @huggingface/transformers. */
interface TransformersModule {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  readonly AutoModelForCausalLM: {
    from_pretrained(name: string, options: object): Promise<{ generate(options: object): Promise<unknown> }>;
  };
  readonly Tensor: new (type: string, data: BigInt64Array, dims: readonly number[]) => object;
}

/** Opens `DIR:DTYPE`. */
export async function openTransformers(place: string, folder: string, threads: number) {
  const entry = createRequire(join(resolve(folder), 'package.json')).resolve('@huggingface/transformers');
  const { env, AutoModelForCausalLM, Tensor } = (await import(
    pathToFileURL(entry).href
  )) as TransformersModule;
  const [directory = '', dtype] = place.split(':');
  env.allowRemoteModels = false;
  env.localModelPath = dirname(resolve(directory));
  const model = await AutoModelForCausalLM.from_pretrained(basename(directory), {
    dtype,
    device: 'cpu',
    session_options: { intraOpNumThreads: threads },
  });
  return { model, Tensor };
}
