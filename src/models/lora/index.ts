/** Low-rank adapters over any model of the other folders. */
export { type LoraConfig, loraConfig } from './config.ts';
export { adapterStore, type LoadedAdapter, loadAdapter, saveAdapter } from './files.ts';
export { mergeAdapters } from './merge.ts';
export { type BaseWeights, type LoraModel, linearLayers, loraModel } from './model.ts';
