/**
 * Finds ONNX Runtime's shared library, loads it through koffi and hands out its C functions.
 *
 * 1. The library is the one that the `onnxruntime-node` package carries, so both load the same code.
 * 2. koffi switches to stacks of its own for native calls. Its defaults (128 KiB off the main thread) are too small for
 *    ONNX Runtime's kernels and graph passes, so they are raised before the first library is loaded.
 * 3. One library and one `OrtEnv` per process; they are never unloaded: koffi closes a library whose handle is garbage
 *    collected, whatever function pointers into it remain, so the handles stay in `handles`.
 */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { KoffiFunc, LibraryHandle, TypeObject } from 'koffi';
import { GaslawError } from '../../util/errors.ts';
import { API_TABLE, API_VERSION, type ApiName } from './api-table.ts';

export type Koffi = typeof import('koffi');
/** An address in native memory; null is C's null pointer. */
export type Address = bigint;
export type Argument = Address | number | string | null | ArrayBufferView;
type ResultOf<K extends ApiName> = (typeof API_TABLE)[K]['result'] extends infer R
  ? R extends 'OrtStatus*'
    ? Address | null
    : R extends 'const char*'
      ? string
      : R extends 'int'
        ? number
        : undefined
  : never;

export type OrtFunctions = {
  readonly [K in ApiName]: KoffiFunc<(...parameters: Argument[]) => ResultOf<K>>;
};

/** A function that returns a status, with its form for other threads. */
export interface StatusFunction {
  (...parameters: Argument[]): Address | null;
  async: (...parameters: [...Argument[], (error: unknown, status: Address | null) => void]) => void;
}

export interface OrtLibrary {
  readonly koffi: Koffi;
  readonly path: string;
  readonly version: string;
  readonly api: OrtFunctions;
}

const LIBRARY_NAME: Partial<Record<NodeJS.Platform, RegExp>> = {
  linux: /^libonnxruntime\.so/,
  darwin: /^libonnxruntime\..*dylib$/,
  win32: /^onnxruntime\.dll$/,
};
const STACK_BYTES = 8 * 1024 * 1024;
const handles: LibraryHandle[] = [];

/** Path of the library inside the installed `onnxruntime-node`. Throws when the package or a build for this machine is missing. */
export function findLibrary(): string {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  const folder = join(dirname(dirname(entry)), 'bin', 'napi-v6', process.platform, process.arch);
  const pattern = LIBRARY_NAME[process.platform];
  const file =
    pattern && existsSync(folder) ? readdirSync(folder).find(name => pattern.test(name)) : undefined;
  if (!file)
    throw new GaslawError(`onnxruntime-node carries no library for ${process.platform}-${process.arch}`);
  return join(folder, file);
}

/** Loads koffi. Throws when the package or its binary for this machine is missing. */
export const loadKoffi = async (): Promise<Koffi> => (await import('koffi')).default as unknown as Koffi;

/** Loads the library at `path` and looks up every function of the API table. */
export function openLibrary(koffi: Koffi, path: string): OrtLibrary {
  raiseStacks(koffi);
  const handle = koffi.load(path);
  handles.push(handle);
  const base = handle.func('void *OrtGetApiBase()')() as Address;
  const [getApi, getVersion] = pointers(koffi, base, 2);
  const version = call(koffi, getVersion, 'str') as string;
  const api = call(koffi, getApi, 'void *', ['uint32_t'], API_VERSION) as Address | null;
  if (!api)
    throw new GaslawError(
      `ONNX Runtime ${version} at ${path} is too old: 1.${API_VERSION} or newer is needed`,
    );
  return { koffi, path, version, api: functionsAt(koffi, api) };
}

/** koffi refuses new settings once any library is loaded; then its settings stand. */
function raiseStacks(koffi: Koffi): void {
  try {
    koffi.config({ sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES });
  } catch {
    // someone else in this process loaded a library through koffi first
  }
}

function functionsAt(koffi: Koffi, api: Address): OrtFunctions {
  const table = pointers(koffi, api, Math.max(...Object.values(API_TABLE).map(entry => entry.index)) + 1);
  const functions = Object.entries(API_TABLE).map(([name, { index, result, parameters }]) => {
    const prototype = koffi.proto(typeFor(result), parameters.map(typeFor));
    return [name, koffi.decode(table[index], prototype)];
  });
  return Object.fromEntries(functions) as OrtFunctions;
}

/** koffi's type for a C type of the table: strings by value, every other pointer as an address. */
function typeFor(cType: string): string {
  if (cType === 'const char*') return 'const char *';
  if (cType === 'const ORTCHAR_T*') return process.platform === 'win32' ? 'const char16_t *' : 'const char *';
  return cType.endsWith('*') ? 'void *' : cType;
}

const pointers = (koffi: Koffi, address: Address, count: number): Address[] =>
  koffi.decode(address, koffi.array('void *', count, 'Array')) as Address[];

function call(
  koffi: Koffi,
  address: Address,
  result: string,
  types: string[] = [],
  ...values: number[]
): unknown {
  const prototype: TypeObject = koffi.proto(result, types);
  return koffi.call(address, prototype, ...values);
}
