/**
 * A model under low-rank adapters: y = x Wᵀ + s (x Aᵀ) Bᵀ in the chosen linear layers, with A [r, in] drawn and B [out, r]
 * zero at the start.
 *
 * 1. It is a CausalModel whose parameters are the adapters alone, so everything that trains, decodes, exports or checkpoints
 *    a model does so for adapters. The base model's code is traced as it is; only the product of its linear layers differs.
 * 2. The base is frozen: inputs without gradient in the training form, so that weights are neither copied nor repacked, and
 *    constants in the inference form, which runtimes prepack. Its matrices may be packed in 4 or 8 bits (QLoRA).
 * 3. Parameters have the names of PEFT's files.
 */
import { sizeOf, type Tensor } from '../../graph/ir.ts';
import { lastDim, project } from '../../nn/layers.ts';
import { type PackedMatrix, packedProduct, partsOf } from '../../nn/packed.ts';
import {
  type Init,
  type LinearProduct,
  type ParameterSpec,
  ParameterTrace,
  type Scope,
  zeroInit,
} from '../../nn/parameters.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { assert } from '../../util/errors.ts';
import type { CausalModel } from '../model.ts';
import { type LoraConfig, loraScale, targetsOf } from './config.ts';

/** The base model's values by parameter name: tensors, or packed matrices in the place of linear layers' weights. */
export type BaseWeights = ReadonlyMap<string, Tensor | PackedMatrix>;

export interface LoraModel extends CausalModel {
  readonly base: CausalModel;
  readonly config: LoraConfig;
  /** Names of the adapted layers. */
  readonly targets: readonly string[];
  readonly frozen: ReadonlyMap<string, Tensor>;
}

/** The names of an adapter's two matrices in PEFT's files. */
export const adapterNames = (module: string): { readonly a: string; readonly b: string } => ({
  a: `base_model.model.${module}.lora_A.weight`,
  b: `base_model.model.${module}.lora_B.weight`,
});

/** `base` with adapters over the weights given. Throws when a weight is missing or no layer is targeted. */
export function loraModel(base: CausalModel, weights: BaseWeights, config: LoraConfig): LoraModel {
  const layers = linearLayers(base);
  checkWeights(base, weights, layers);
  const targets = targetsOf(config, [...layers.keys()]);
  const parameters = targets.flatMap(module =>
    adapterSpecs(module, layers.get(module) as LinearLayer, config),
  );
  const adapted = { weights, targets: new Set(targets), config };
  const made = new WeakMap<ParameterTrace, BaseTrace>();
  const under = (scope: Scope, freeze: (outer: ParameterTrace) => Freeze): Scope => {
    const outer = scope.trace;
    const trace = made.get(outer) ?? new BaseTrace(outer, adapted, freeze(outer));
    made.set(outer, trace);
    return trace.scope(scope.prefix);
  };
  return {
    ...base,
    base,
    config,
    targets,
    parameters,
    weights: undefined,
    frozen: frozenTensors(weights),
    hidden: (scope, inputs) => base.hidden(under(scope, asParameters), inputs),
    logits: (scope, hidden) => base.logits(under(scope, asParameters), hidden),
    step: (scope, inputs) => base.step(under(scope, asConstants), inputs),
    forwardFlops: context => base.forwardFlops(context) + 2 * elements(parameters),
  };
}

const asParameters = (outer: ParameterTrace): Freeze => outer.frozen.bind(outer);
const asConstants = (outer: ParameterTrace): Freeze => outer.builder.initializer.bind(outer.builder);

const elements = (specs: readonly ParameterSpec[]): number =>
  specs.reduce((n, { dims }) => n + sizeOf(dims), 0);

interface LinearLayer {
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** The linear layers of a model by dotted name, in order. */
export function linearLayers(model: CausalModel): Map<string, LinearLayer> {
  const layers = new Map<string, LinearLayer>();
  const record: LinearProduct = (scope, x, outFeatures, init) => {
    const inFeatures = lastDim(x);
    layers.set(scope.prefix, { inFeatures, outFeatures });
    return project(x, scope.parameter('weight', [outFeatures, inFeatures], init));
  };
  const b = new Builder('layers');
  const int = (name: string) => b.input(name, 'int32', ['B', 'T']);
  const scope = new ParameterTrace(b, 'inputs', record).scope();
  model.hidden(scope, { ids: int('ids'), positions: int('positions') });
  return layers;
}

/** A is drawn as PEFT draws it, uniformly within ±1/√in. */
const initOfA = (inFeatures: number): Init => ({ kind: 'uniform', bound: 1 / Math.sqrt(inFeatures) });

function adapterSpecs(
  module: string,
  { inFeatures, outFeatures }: LinearLayer,
  { r }: LoraConfig,
): ParameterSpec[] {
  const { a, b } = adapterNames(module);
  return [
    { name: a, dims: [r, inFeatures], init: initOfA(inFeatures) },
    { name: b, dims: [outFeatures, r], init: zeroInit },
  ];
}

const isPacked = (value: Tensor | PackedMatrix): value is PackedMatrix => 'codes' in value;

function checkWeights(
  { parameters }: CausalModel,
  weights: BaseWeights,
  layers: ReadonlyMap<string, LinearLayer>,
): void {
  for (const { name, dims } of parameters) {
    const value = weights.get(name);
    assert(value, `base model: weight "${name}" is missing`);
    const found = isPacked(value) ? [value.rows, value.columns] : value.dims;
    assert(
      found.join() === dims.join(),
      `base model: weight "${name}" has shape [${found}] but the model needs [${dims}]`,
    );
    assert(
      !isPacked(value) || layers.has(name.replace(/\.weight$/, '')),
      `base model: "${name}" is packed, but it is no linear layer's weight; leave it float`,
    );
  }
}

const partName = (name: string, part: string): string => `${name}.${part}`;

/** All tensors of the base by the names under which they are bound. */
function frozenTensors(weights: BaseWeights): Map<string, Tensor> {
  const entries = [...weights].flatMap(([name, value]) =>
    isPacked(value)
      ? partsOf(value).map(([part, tensor]) => [partName(name, part), tensor] as const)
      : [[name, value] as const],
  );
  return new Map(entries);
}

/** Makes a value of a frozen tensor. */
type Freeze = (name: string, tensor: Tensor) => Value;

/** What all traces of one model share. */
interface Adapted {
  readonly weights: BaseWeights;
  readonly targets: ReadonlySet<string>;
  readonly config: LoraConfig;
}

/** The trace in which the base model's code runs: its parameters are frozen, its linear layers add the adapters of `outer`. */
class BaseTrace extends ParameterTrace {
  override readonly product: LinearProduct = (scope, x, outFeatures) => {
    const y = this.#frozenProduct(scope, x);
    return this.#adapted.targets.has(scope.prefix) ? y.add(this.#adapter(scope.prefix, x, outFeatures)) : y;
  };
  readonly #outer: ParameterTrace;
  readonly #adapted: Adapted;
  readonly #freeze: Freeze;
  readonly #made = new Map<string, Value>();

  constructor(outer: ParameterTrace, adapted: Adapted, freeze: Freeze) {
    super(outer.builder);
    this.#outer = outer;
    this.#adapted = adapted;
    this.#freeze = freeze;
  }

  override get(name: string): Value {
    return this.#value(name, this.#adapted.weights.get(name) as Tensor); // checked when the model was made
  }

  #value(name: string, tensor: Tensor): Value {
    const value = this.#made.get(name) ?? this.#freeze(name, tensor);
    this.#made.set(name, value);
    return value;
  }

  #frozenProduct({ prefix }: Scope, x: Value): Value {
    const name = `${prefix}.weight`;
    const weight = this.#adapted.weights.get(name) as Tensor | PackedMatrix;
    if (!isPacked(weight)) return project(x, this.#value(name, weight));
    return packedProduct(x, weight, (part, tensor) => this.#value(partName(name, part), tensor));
  }

  /** s (x Aᵀ) Bᵀ. */
  #adapter(module: string, x: Value, outFeatures: number): Value {
    const { config } = this.#adapted;
    const inFeatures = lastDim(x);
    const { a, b } = adapterNames(module);
    const narrow = project(x, this.#outer.get(a, [config.r, inFeatures], initOfA(inFeatures)));
    const wide = this.#outer.get(b, [outFeatures, config.r], zeroInit);
    const attributes = { transB: 1, alpha: loraScale(config) };
    return x.builder.op('com.microsoft.FusedMatMul', [narrow, wide], attributes);
  }
}
