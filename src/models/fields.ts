/**
 * Typed reading of a config.json. A field of the wrong kind is one sentence that names file, field and what it must be;
 * null counts as absent, as Hugging Face writes it.
 */
import { GaslawError } from '../util/errors.ts';

type Check<T> = (value: unknown) => value is T;

const isNumber = (v: unknown): v is number => typeof v === 'number' && Number.isFinite(v);
const isPositive = (v: unknown): v is number => isNumber(v) && v > 0;
const isCount = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) > 0;
const isIndex = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) >= 0;
const isBoolean = (v: unknown): v is boolean => typeof v === 'boolean';
const isText = (v: unknown): v is string => typeof v === 'string';
const isTexts = (v: unknown): v is string[] => Array.isArray(v) && v.every(isText);
const isIds = (v: unknown): v is number | number[] =>
  isIndex(v) || v === -1 || (Array.isArray(v) && v.length > 0 && v.every(isIndex));
const isIndices = (v: unknown): v is number[] => Array.isArray(v) && v.every(isIndex);
const isRecord = (v: unknown): v is Record<string, unknown> =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

export class Fields {
  readonly origin: string;
  readonly #json: Readonly<Record<string, unknown>>;

  /** @param origin what errors begin with: the file, and the place in it */
  constructor(json: unknown, origin: string) {
    if (!isRecord(json)) throw new GaslawError(`${origin}: is not a JSON object`);
    this.#json = json;
    this.origin = origin;
  }

  /** Whether the field is there and not null. */
  has(name: string): boolean {
    return this.#json[name] !== undefined && this.#json[name] !== null;
  }

  /** Whether the field is there and null. */
  isNull(name: string): boolean {
    return this.#json[name] === null;
  }

  /** The field as it is; undefined when absent or null. */
  raw(name: string): unknown {
    return this.#json[name] ?? undefined;
  }

  number = (name: string): number | undefined => this.#take(name, isNumber, 'a number');
  positive = (name: string): number | undefined => this.#take(name, isPositive, 'a positive number');
  count = (name: string): number | undefined => this.#take(name, isCount, 'a positive integer');
  /** An integer from 0. */
  index = (name: string): number | undefined => this.#take(name, isIndex, 'an integer from 0');
  boolean = (name: string): boolean | undefined => this.#take(name, isBoolean, 'true or false');
  text = (name: string): string | undefined => this.#take(name, isText, 'a text');
  texts = (name: string): string[] | undefined => this.#take(name, isTexts, 'a list of texts');
  /** A token id, or a list of them. */
  ids = (name: string): number | number[] | undefined =>
    this.#take(name, isIds, 'a token id or a list of them');

  indices = (name: string): number[] | undefined => this.#take(name, isIndices, 'a list of integers from 0');

  /** The object in a field. */
  object(name: string): Fields | undefined {
    if (!this.has(name)) return undefined;
    return new Fields(this.#json[name], `${this.origin}: ${name}`);
  }

  /** `value`, or an error that `name` is missing. */
  required<T>(name: string, value: T | undefined): T {
    if (value !== undefined) return value;
    throw new GaslawError(`${this.origin}: ${name} is missing`);
  }

  #take<T>(name: string, check: Check<T>, kind: string): T | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#json[name];
    if (check(value)) return value;
    throw new GaslawError(`${this.origin}: ${name} is ${JSON.stringify(value)}; it must be ${kind}`);
  }
}

/** The entries that are given: what is undefined would override a default. */
export function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
