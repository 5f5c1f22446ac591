/** Files of weights by themselves: what they stand for, and what is read. */
import { describe, expect, it } from 'vitest';
import { ParameterStore } from '../nn/parameters.ts';
import { byteTokenizer } from '../tokenizer/byte.ts';
import { type FileStore, memoryFiles } from '../util/files.ts';
import { Random } from '../util/random.ts';
import { denseConfig, denseModel } from './dense/index.ts';
import { openModelFiles, saveModel } from './files.ts';
import { locateModel } from './resolve.ts';

const model = denseModel(denseConfig({ vocabSize: 260, hiddenSize: 16, numHiddenLayers: 1 }));

async function saved(seed: number, maxShardBytes?: number): Promise<FileStore> {
  const files = memoryFiles();
  const store = new ParameterStore(model.parameters).initialize(new Random(seed));
  await saveModel(files, 'm', model, store, byteTokenizer(), { maxShardBytes });
  return files;
}

describe('a .safetensors file', () => {
  it('that has its directory’s name stands for the directory, a shard for all of them', async () => {
    const place = { kind: 'directory', folder: 'm' };
    expect(await locateModel(await saved(1), 'm/model.safetensors')).toEqual(place);
    const sharded = await saved(1, 20_000);
    const shard = (await sharded.list('m')).find(name => name.startsWith('model-00001-of-'));
    expect(await locateModel(sharded, `m/${shard}`)).toEqual(place);
  });

  it('of another name is read in the place of the directory’s', async () => {
    const [files, others] = [await saved(1), await saved(2)];
    await files.write('m/ema.safetensors', await others.read('m/model.safetensors'));
    const place = await locateModel(files, 'm/ema.safetensors');
    expect(place).toEqual({ kind: 'directory', folder: 'm', weights: 'm/ema.safetensors' });
    const { weights } = await openModelFiles(files, 'm', 'm/ema.safetensors');
    const store = new ParameterStore(model.parameters);
    await weights.readInto(store);
    expect(store.flat).toEqual(new ParameterStore(model.parameters).initialize(new Random(2)).flat);
  });

  it('without config.json is refused', async () => {
    const files = memoryFiles({ 'a/w.safetensors': new Uint8Array(8) });
    await expect(locateModel(files, 'a/w.safetensors')).rejects.toThrow(
      /^a\/w\.safetensors: no config\.json beside it/,
    );
  });
});
