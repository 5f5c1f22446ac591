/**
 * The process-wide part of the native runtime: library, environment, and the small calls everything else shares.
 *
 * 1. One `OrtEnv` per process, at log level "fatal": errors come back as statuses and are thrown, not printed.
 */
import { type Address, type Koffi, type OrtFunctions, type OrtLibrary, openLibrary } from './library.ts';
import { check } from './status.ts';

const LOG_FATAL = 4;
const ALLOCATOR_DEVICE = 0;
const MEMORY_DEFAULT = 0;

export class Engine {
  readonly koffi: Koffi;
  readonly api: OrtFunctions;
  readonly path: string;
  readonly version: string;
  readonly env: Address;
  readonly cpuMemory: Address;
  readonly allocator: Address;
  /** Where C functions put the one pointer or number that they return through a parameter. */
  readonly out = new BigUint64Array(1);

  constructor(library: OrtLibrary) {
    this.koffi = library.koffi;
    this.api = library.api;
    this.path = library.path;
    this.version = library.version;
    this.env = this.take(this.api.CreateEnv(LOG_FATAL, 'gaslaw', this.out), 'starting ONNX Runtime');
    this.check(this.api.DisableTelemetryEvents(this.env), 'starting ONNX Runtime');
    this.cpuMemory = this.take(
      this.api.CreateCpuMemoryInfo(ALLOCATOR_DEVICE, MEMORY_DEFAULT, this.out),
      'describing CPU memory',
    );
    this.allocator = this.take(this.api.GetAllocatorWithDefaultOptions(this.out), 'finding the allocator');
  }

  /** Throws unless `status` is null; `where` begins the message. */
  check(status: Address | null, where: string): void {
    check(this.api, status, where);
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

const engines = new Map<string, Engine>();

/** The engine over the library at `path`; a second call with the same path gets the same engine. */
export function engineAt(koffi: Koffi, path: string): Engine {
  const engine = engines.get(path) ?? new Engine(openLibrary(koffi, path));
  engines.set(path, engine);
  return engine;
}
