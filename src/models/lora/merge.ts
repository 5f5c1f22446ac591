/** Adapters added into the base model's weights: W + s B A. The result is the base model's own store, without adapters. */
import { ParameterStore } from '../../nn/parameters.ts';
import { loraScale } from './config.ts';
import { adapterNames, type LoraModel } from './model.ts';

/**
 * @param base the base model's weights in floats, also when the adapters were trained over packed ones
 * @param adapters the adapters' values
 * @returns a new store
 */
export function mergeAdapters(
  model: LoraModel,
  base: ParameterStore,
  adapters: ParameterStore,
): ParameterStore {
  const merged = new ParameterStore(base.specs);
  merged.flat.set(base.flat);
  for (const module of model.targets) addProduct(merged, module, adapters, loraScale(model.config));
  return merged;
}

/** W [out, in] += s · B [out, r] A [r, in], row by row. */
function addProduct(store: ParameterStore, module: string, adapters: ParameterStore, scale: number): void {
  const names = adapterNames(module);
  const values = (name: string) => adapters.tensor(name).data as Float32Array;
  const [a, b] = [values(names.a), values(names.b)];
  const { dims, data } = store.tensor(`${module}.weight`);
  const [rows, columns] = dims as [number, number];
  const rank = a.length / columns;
  const weight = data as Float32Array;
  const sum = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    sum.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = scale * (b[row * rank + k] as number);
      for (let i = 0; i < columns; i++) sum[i] += factor * (a[k * columns + i] as number);
    }
    for (let i = 0; i < columns; i++) weight[row * columns + i] += sum[i] as number;
  }
}
