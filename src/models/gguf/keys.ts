/** Reading a GGUF file's metadata of one architecture, and the values that are written. */
import { type GgufMetadata, type GgufValue, type Scalar, scalar } from '../../formats/gguf/types.ts';
import { GaslawError } from '../../util/errors.ts';

export type Json = Record<string, unknown>;

/** Routed experts of a layer, as DeepSeek's and Qwen's config.json have it. */
export const expertCount = (config: Json): number => Number(config.n_routed_experts ?? config.num_experts);

export const u32 = (value: number): GgufValue => scalar('uint32', value);
export const f32 = (value: number): GgufValue => scalar('float32', value);

/** Values by key, with the file's name in errors. */
export class Keys {
  readonly #metadata: GgufMetadata;
  readonly #file: string;
  readonly #prefix: string;

  constructor(metadata: GgufMetadata, file: string, prefix: string) {
    this.#metadata = metadata;
    this.#file = file;
    this.#prefix = prefix;
  }

  #scalar(key: string): Scalar | undefined {
    const value = this.#metadata.get(`${this.#prefix}.${key}`);
    return value && 'value' in value ? value.value : undefined;
  }

  number(key: string): number | undefined {
    const value = this.#scalar(key);
    if (value === undefined) return undefined;
    const n = Number(value);
    if (typeof value === 'string' || !Number.isFinite(n))
      this.fail(key, `is ${JSON.stringify(String(value))}, not a number`);
    return n;
  }

  required(key: string): number {
    return this.number(key) ?? this.fail(key, 'is missing');
  }

  flag(key: string): boolean | undefined {
    const value = this.#scalar(key);
    return typeof value === 'boolean' ? value : undefined;
  }

  text(key: string): string | undefined {
    const value = this.#scalar(key);
    return typeof value === 'string' ? value : undefined;
  }

  fail(key: string, what: string): never {
    throw new GaslawError(`${this.#file}: ${this.#prefix}.${key} ${what}`);
  }
}
