/**
 * Configuration of low-rank adapters (Hu et al. 2021, arXiv:2106.09685) as PEFT's adapter_config.json has it.
 *
 * 1. Read is what changes nothing but the product of linear layers: rank, alpha, target modules, rank-stabilized scaling
 *    (Kalajdzievski 2023, arXiv:2312.03732). What else PEFT's LoRA can be (DoRA, other ranks by pattern, whole modules) is
 *    refused by name.
 * 2. Dropout belongs to training there and is not done here: a config that has it is read, and 0 is written.
 */
import { assert, GaslawError } from '../../util/errors.ts';
import { defined, Fields } from '../fields.ts';

export interface LoraConfig {
  /** Rank of the adapters. */
  readonly r: number;
  /** Their product is scaled by loraAlpha / r. */
  readonly loraAlpha: number;
  /**
   * Linear layers that get one: ends of their names (`q_proj`, `self_attn.q_proj`), or one regular expression for whole
   * names, or `all-linear`, which is all but the vocabulary projection.
   */
  readonly targetModules: readonly string[] | string;
  /** Scale by loraAlpha / √r instead. */
  readonly useRslora: boolean;
  /** The base model, as the adapter's files name it. */
  readonly baseModelNameOrPath?: string;
}

/** A complete configuration: rank 8, alpha 16, all linear layers unless given. Throws on an impossible one. */
export function loraConfig(given: Partial<LoraConfig> = {}, origin = 'adapter config'): LoraConfig {
  const config = { r: 8, loraAlpha: 16, targetModules: 'all-linear', useRslora: false, ...given };
  assert(
    Number.isSafeInteger(config.r) && config.r > 0,
    `${origin}: r is ${config.r}; it must be a positive integer`,
  );
  assert(config.loraAlpha > 0, `${origin}: loraAlpha is ${config.loraAlpha}; it must be above 0`);
  assert(config.targetModules.length > 0, `${origin}: targetModules is empty; name the layers to adapt`);
  return config;
}

/** What the product of the two matrices is multiplied by. */
export const loraScale = ({ r, loraAlpha, useRslora }: LoraConfig): number =>
  loraAlpha / (useRslora ? Math.sqrt(r) : r);

/** Those of `modules` (dotted names) that get an adapter. Throws when none does. */
export function targetsOf({ targetModules }: LoraConfig, modules: readonly string[]): string[] {
  const matches = matcherOf(targetModules);
  const found = modules.filter(matches);
  const ends = [...new Set(modules.map(name => name.slice(name.lastIndexOf('.') + 1)))];
  assert(
    found.length > 0,
    `target_modules ${JSON.stringify(targetModules)} match no linear layer of this model; it has ${ends.join(', ')}`,
  );
  return found;
}

function matcherOf(target: LoraConfig['targetModules']): (name: string) => boolean {
  if (typeof target !== 'string') return name => target.some(end => name === end || name.endsWith(`.${end}`));
  if (target.toLowerCase() === 'all-linear') return () => true;
  const whole = expressionOf(target);
  return name => whole.test(name);
}

function expressionOf(text: string): RegExp {
  try {
    return new RegExp(`^(?:${text})$`);
  } catch {
    throw new GaslawError(
      `target_modules "${text}" is not a regular expression; give a list of layer names instead`,
    );
  }
}

// ---- adapter_config.json ----

/** The object of a PEFT adapter_config.json. */
export const toPeft = (c: LoraConfig): Record<string, unknown> => ({
  peft_type: 'LORA',
  task_type: 'CAUSAL_LM',
  base_model_name_or_path: c.baseModelNameOrPath ?? null,
  inference_mode: true,
  r: c.r,
  lora_alpha: c.loraAlpha,
  lora_dropout: 0,
  target_modules: c.targetModules,
  use_rslora: c.useRslora,
  bias: 'none',
  fan_in_fan_out: false,
  init_lora_weights: true,
  modules_to_save: null,
});

/** Fields that make of an adapter something else than two matrices beside a linear layer. */
const REFUSED = [
  'use_dora',
  'fan_in_fan_out',
  'lora_bias',
  'modules_to_save',
  'rank_pattern',
  'alpha_pattern',
  'exclude_modules',
  'layers_to_transform',
  'target_parameters',
  'trainable_token_indices',
  'layer_replication',
  'alora_invocation_tokens',
  'use_qalora',
  'use_bdlora',
  'arrow_config',
  'kasa_config',
  'monteclora_config',
  'velora_config',
] as const;

/** Reads an adapter_config.json object. Throws when it asks for something that is not supported here. */
export function fromPeft(json: unknown, origin: string): LoraConfig {
  const config = new Fields(json, origin);
  const type = config.text('peft_type');
  assert(type === 'LORA', `${origin}: peft_type "${String(type)}" is not supported; known is LORA`);
  const bias = config.text('bias') ?? 'none';
  assert(bias === 'none', `${origin}: bias "${bias}" is not supported; it must be "none"`);
  for (const name of REFUSED)
    assert(isOff(config.raw(name)), `${origin}: ${name} is not supported; train the adapter without it`);
  return loraConfig(
    defined({
      r: config.required('r', config.count('r')),
      loraAlpha: config.required('lora_alpha', config.positive('lora_alpha')),
      targetModules: config.required('target_modules', targetModulesOf(config)),
      useRslora: config.boolean('use_rslora') ?? false,
      baseModelNameOrPath: config.text('base_model_name_or_path'),
    }),
    origin,
  );
}

const targetModulesOf = (config: Fields): readonly string[] | string | undefined =>
  typeof config.raw('target_modules') === 'string'
    ? config.text('target_modules')
    : config.texts('target_modules');

/** Absent, false or empty. */
const isOff = (value: unknown): boolean =>
  value === undefined ||
  value === false ||
  (typeof value === 'object' && Object.keys(value as object).length === 0);
