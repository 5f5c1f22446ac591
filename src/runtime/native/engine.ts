/**
 * The process-wide part of the native runtime: library, environment, and the small calls everything else shares.
 *
 * 1. One `OrtEnv` per process, at log level "fatal": errors come back as statuses and are thrown, not printed.
 * 2. ONNX Runtime frees all of a session, but glibc keeps the freed pages: its threshold for giving blocks back adapts
 *    upwards, and a process that compiles often appears to leak. `trim` hands the pages back after a session is released.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Graph } from '../../graph/ir.ts';
import { type Address, type Koffi, type OrtFunctions, type OrtLibrary, openLibrary } from './library.ts';
import { check } from './status.ts';

const LOG_FATAL = 4;
const ALLOCATOR_DEVICE = 0;
const ALLOCATOR_ARENA = 1;
const MEMORY_DEFAULT = 0;

export class Engine {
  readonly koffi: Koffi;
  readonly api: OrtFunctions;
  readonly path: string;
  readonly version: string;
  readonly env: Address;
  readonly cpuMemory: Address;
  readonly arenaMemory: Address;
  readonly allocator: Address;
  /** Where C functions put the one pointer or number that they return through a parameter. */
  readonly out = new BigUint64Array(1);

  /** Whether the arena that sessions share is registered. */
  sharesMemory = false;

  /** Gives the process's freed memory back to the system, where the C library does not do so by itself. */
  readonly trim: () => void;

  /** Frees arrays that nothing refers to any more: V8 lets hundreds of megabytes of them wait. */
  readonly collect: () => void;

  constructor(library: OrtLibrary) {
    this.collect = collector();
    this.trim = trimOf(library.koffi);
    this.koffi = library.koffi;
    this.api = library.api;
    this.path = library.path;
    this.version = library.version;
    this.env = this.take(this.api.CreateEnv(LOG_FATAL, 'gaslaw', this.out), 'starting ONNX Runtime');
    this.check(this.api.DisableTelemetryEvents(this.env), 'starting ONNX Runtime');
    this.cpuMemory = this.#memory(ALLOCATOR_DEVICE);
    this.arenaMemory = this.#memory(ALLOCATOR_ARENA);
    this.allocator = this.take(this.api.GetAllocatorWithDefaultOptions(this.out), 'finding the allocator');
  }

  #memory(allocator: number): Address {
    return this.take(
      this.api.CreateCpuMemoryInfo(allocator, MEMORY_DEFAULT, this.out),
      'describing CPU memory',
    );
  }

  /** Throws unless `status` is null; `where` begins the message, `graph` names a node if the message does not. */
  check(status: Address | null, where: string, graph?: Graph): void {
    check(this.api, status, where, graph);
  }

  /** What the call just made left in `out`. Throws unless `status` is null. */
  take(status: Address | null, where: string): Address {
    check(this.api, status, where);
    return this.out[0] as Address;
  }

  /** `out` set to zero, for functions that fill less than 8 bytes of it. */
  clear(): BigUint64Array {
    this.out[0] = 0n;
    return this.out;
  }
}

/** glibc's `malloc_trim`; nothing elsewhere. */
function trimOf(koffi: Koffi): () => void {
  if (process.platform !== 'linux') return () => {};
  try {
    const libc = koffi.load('libc.so.6');
    const mallocTrim = libc.func('int malloc_trim(size_t pad)');
    return () => void (libc && mallocTrim(0));
  } catch {
    return () => {}; // another C library
  }
}

/** V8's collector on request; nothing where it cannot be had. */
function collector(): () => void {
  try {
    setFlagsFromString('--expose-gc');
    return runInNewContext('gc') as () => void;
  } catch {
    return () => {};
  }
}

const engines = new Map<string, Engine>();

/** The engine over the library at `path`; a second call with the same path gets the same engine. */
export function engineAt(koffi: Koffi, path: string): Engine {
  const engine = engines.get(path) ?? new Engine(openLibrary(koffi, path));
  engines.set(path, engine);
  return engine;
}
