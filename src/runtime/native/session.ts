/**
 * Compile options to an `OrtSession`.
 *
 * 1. Without `spinning` set, workers spin for a moment after each op and stop at the end of a run: ops follow each other
 *    without wake-ups, and an idle session burns nothing. ONNX Runtime's own default spins on for milliseconds.
 * 2. `memoryLimitBytes` registers an arena with that limit for the moment in which the session is created; the session
 *    keeps it.
 * 3. Sessions that share memory use one arena of the environment.
 * 4. Weights stay in the caller's arrays (see external.ts); several sessions over the same arrays share them, but for
 *    what ONNX Runtime repacks for its matmul kernels.
 */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import type { Model, Tensor } from '../../graph/ir.ts';
import { GaslawError, UsageError } from '../../util/errors.ts';
import type { CompileOptions } from '../runtime.ts';
import { inBackground } from './background.ts';
import type { Engine } from './engine.ts';
import { splitModel } from './external.ts';
import type { Address, OrtFunctions } from './library.ts';
import { Resources } from './resources.ts';
import { stableAddress, wrapTensor } from './values.ts';

export interface Session {
  readonly address: Address;
  readonly resources: Resources;
}

const OPTIMIZATION = { disabled: 0, basic: 1, extended: 2, all: 99 } as const;
/** Long enough to bridge the gap between two ops, short enough not to starve other processes on a busy machine. */
const SPIN_MICROSECONDS = 100;
const CUDA_LIBRARY: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'libonnxruntime_providers_cuda.so',
  win32: 'onnxruntime_providers_cuda.dll',
};

/** Creates a session for `model`. Throws one sentence that names the first node which cannot run. */
export async function createSession(engine: Engine, model: Model, options: CompileOptions): Promise<Session> {
  const resources = new Resources();
  const scratch = new Resources();
  try {
    const { bytes, external } = splitModel(model);
    const settings = newSettings(engine, scratch);
    configure(engine, settings, options);
    shareInitializers(engine, settings, external, options.consumed, { resources, scratch });
    if (options.sharedMemory) shareMemory(engine, settings);
    else limitMemory(engine, settings, options.memoryLimitBytes, scratch);
    const inBackground = options.background || options.compileInBackground;
    const address = await open(engine, model, bytes, settings, inBackground);
    resources.add(() => releaseSession(engine, address));
    if (options.profile !== undefined) resources.add(() => endProfile(engine, address));
    return { address, resources };
  } catch (error) {
    resources.dispose();
    throw error;
  } finally {
    scratch.dispose();
  }
}

function newSettings(engine: Engine, scratch: Resources): Address {
  const settings = engine.take(engine.api.CreateSessionOptions(engine.out), 'creating session options');
  scratch.add(() => engine.api.ReleaseSessionOptions(settings));
  return settings;
}

function releaseSession(engine: Engine, session: Address): void {
  engine.api.ReleaseSession(session);
  engine.trim();
}

async function open(
  engine: Engine,
  model: Model,
  bytes: Uint8Array,
  settings: Address,
  background = false,
): Promise<Address> {
  const out = new BigUint64Array(1);
  const parameters = [
    engine.env,
    stableAddress(engine.koffi, bytes),
    bytes.length,
    settings,
    stableAddress(engine.koffi, out),
  ] as const;
  const create = engine.api.CreateSessionFromArray;
  const status = background ? await inBackground(create, parameters, [bytes, out]) : create(...parameters);
  engine.check(status, 'the model cannot be compiled', model.graph);
  return out[0] as Address;
}

function configure(engine: Engine, settings: Address, options: CompileOptions): void {
  const { api } = engine;
  const set = (status: Address | null) => engine.check(status, 'setting session options');
  set(api.SetIntraOpNumThreads(settings, options.threads || availableParallelism()));
  set(api.SetInterOpNumThreads(settings, 1));
  set(api.SetSessionGraphOptimizationLevel(settings, OPTIMIZATION[options.optimization ?? 'all']));
  for (const [key, value] of configEntries(options)) set(api.AddSessionConfigEntry(settings, key, value));
  if (options.profile !== undefined) set(api.EnableProfiling(settings, options.profile));
  if (options.lowMemory) set(api.DisableCpuMemArena(settings));
  addProvider(engine, settings, options.provider ?? 'cpu');
}

function configEntries({ spinning }: CompileOptions): [string, string][] {
  const entries: [string, string][] = [
    ['session.intra_op.allow_spinning', spinning === false ? '0' : '1'],
    ['session.use_device_allocator_for_initializers', '1'],
  ];
  if (spinning !== undefined) return entries;
  return [
    ...entries,
    ['session.intra_op.spin_duration_us', String(SPIN_MICROSECONDS)],
    ['session.force_spinning_stop', '1'],
  ];
}

function addProvider(
  engine: Engine,
  settings: Address,
  provider: NonNullable<CompileOptions['provider']>,
): void {
  const { api } = engine;
  if (provider === 'wasm') throw new UsageError('provider "wasm" belongs to the web runtime; use "cpu" here');
  if (provider === 'webgpu')
    engine.check(
      api.SessionOptionsAppendExecutionProvider(settings, 'WebGPU', null, null, 0),
      'provider "webgpu" is not available',
    );
  if (provider === 'cuda') addCuda(engine, api, settings);
}

function addCuda(engine: Engine, api: OrtFunctions, settings: Address): void {
  const file = join(dirname(engine.path), CUDA_LIBRARY[process.platform] ?? 'none');
  if (!existsSync(file))
    throw new GaslawError(`provider "cuda" needs ${file}, which is not there; use "cpu" or "webgpu"`);
  const where = 'provider "cuda" is not available';
  const cuda = engine.take(api.CreateCUDAProviderOptions(engine.out), where);
  try {
    engine.check(api.SessionOptionsAppendExecutionProvider_CUDA_V2(settings, cuda), where);
  } finally {
    api.ReleaseCUDAProviderOptions(cuda);
  }
}

/** Points the session's external initializers at the caller's arrays, which are kept referenced as long as they are read. */
function shareInitializers(
  engine: Engine,
  settings: Address,
  external: ReadonlyMap<string, Tensor>,
  consumed: ReadonlySet<string> = new Set(),
  { resources, scratch }: { resources: Resources; scratch: Resources },
): void {
  if (external.size === 0) return;
  const names = [...external.keys()].map(name => Buffer.from(`${name}\0`));
  const values = [...external].map(([name, tensor]) => {
    (consumed.has(name) ? scratch : resources).keep(tensor.data);
    return wrappedValue(engine, tensor, resources);
  });
  const table = BigUint64Array.from(names, name => stableAddress(engine.koffi, name));
  engine.check(
    engine.api.AddExternalInitializers(settings, table, BigUint64Array.from(values), values.length),
    'sharing initializers',
  );
  [...external.keys()].forEach((name, i) => {
    engine.check(engine.api.AddInitializer(settings, name, values[i]), 'sharing initializers');
  });
}

function wrappedValue(engine: Engine, tensor: Tensor, resources: Resources): Address {
  const value = wrapTensor(engine, tensor);
  resources.add(() => engine.api.ReleaseValue(value));
  return value;
}

/** One arena for all sessions that share; it grows by what is asked for. */
function shareMemory(engine: Engine, settings: Address): void {
  if (!engine.sharesMemory) registerArena(engine, ['arena_extend_strategy'], [1n]);
  engine.sharesMemory = true;
  useRegisteredArena(engine, settings);
}

function limitMemory(engine: Engine, settings: Address, bytes: number | undefined, scratch: Resources): void {
  if (bytes === undefined) return;
  if (engine.sharesMemory) unregisterArena(engine); // sessions that have it keep it
  engine.sharesMemory = false;
  registerArena(engine, ['max_mem', 'arena_extend_strategy'], [BigInt(bytes), 1n]);
  scratch.add(() => unregisterArena(engine));
  useRegisteredArena(engine, settings);
}

function registerArena(engine: Engine, names: readonly string[], values: readonly bigint[]): void {
  const { api, env, arenaMemory } = engine;
  const where = 'setting up memory';
  const keys = names.map(key => Buffer.from(`${key}\0`));
  const table = BigUint64Array.from(keys, key => stableAddress(engine.koffi, key));
  const config = engine.take(
    api.CreateArenaCfgV2(table, BigUint64Array.from(values), values.length, engine.out),
    where,
  );
  try {
    engine.check(api.CreateAndRegisterAllocator(env, arenaMemory, config), where);
  } finally {
    api.ReleaseArenaCfg(config);
  }
}

const unregisterArena = (engine: Engine): void =>
  engine.check(engine.api.UnregisterAllocator(engine.env, engine.arenaMemory), 'releasing memory');

const useRegisteredArena = (engine: Engine, settings: Address): void =>
  engine.check(
    engine.api.AddSessionConfigEntry(settings, 'session.use_env_allocators', '1'),
    'setting up memory',
  );

/** Writes the profile; the file's name is ONNX Runtime's to choose and to free. */
function endProfile(engine: Engine, session: Address): void {
  const name = engine.take(
    engine.api.SessionEndProfiling(session, engine.allocator, engine.out),
    'writing the profile',
  );
  engine.check(engine.api.AllocatorFree(engine.allocator, name), 'writing the profile');
}
