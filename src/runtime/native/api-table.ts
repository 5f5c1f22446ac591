/**
 * The part of ONNX Runtime's C API that the native runtime calls: index in `OrtApi` and C signature.
 *
 * 1. `OrtApi` is a struct of function pointers that only ever grows at its end, so an index stays valid for every
 *    later library. Indices and signatures follow `onnxruntime_c_api.h`; all of these exist since API version 17.
 * 2. A function's pointers are declared as the header has them, for the reader; the call passes them as addresses.
 */

/** The oldest API version that has every function below with the behaviour relied on. */
export const API_VERSION = 22;

const fn = <const R extends string, const P extends readonly string[]>(
  index: number,
  result: R,
  ...parameters: P
) => ({
  index,
  result,
  parameters,
});
const status = <const P extends readonly string[]>(index: number, ...parameters: P) =>
  fn(index, 'OrtStatus*', ...parameters);

export const API_TABLE = {
  GetErrorCode: fn(1, 'int', 'const OrtStatus*'),
  GetErrorMessage: fn(2, 'const char*', 'const OrtStatus*'),
  CreateEnv: status(3, 'int', 'const char*', 'OrtEnv**'),
  DisableTelemetryEvents: status(6, 'const OrtEnv*'),
  CreateSessionFromArray: status(
    8,
    'const OrtEnv*',
    'const void*',
    'size_t',
    'const OrtSessionOptions*',
    'OrtSession**',
  ),
  Run: status(
    9,
    'OrtSession*',
    'const OrtRunOptions*',
    'const char* const*',
    'const OrtValue* const*',
    'size_t',
    'const char* const*',
    'size_t',
    'OrtValue**',
  ),
  CreateSessionOptions: status(10, 'OrtSessionOptions**'),
  EnableProfiling: status(14, 'OrtSessionOptions*', 'const ORTCHAR_T*'),
  DisableCpuMemArena: status(19, 'OrtSessionOptions*'),
  SetSessionGraphOptimizationLevel: status(23, 'OrtSessionOptions*', 'int'),
  SetIntraOpNumThreads: status(24, 'OrtSessionOptions*', 'int'),
  SetInterOpNumThreads: status(25, 'OrtSessionOptions*', 'int'),
  CreateTensorAsOrtValue: status(48, 'OrtAllocator*', 'const int64_t*', 'size_t', 'int', 'OrtValue**'),
  CreateTensorWithDataAsOrtValue: status(
    49,
    'const OrtMemoryInfo*',
    'void*',
    'size_t',
    'const int64_t*',
    'size_t',
    'int',
    'OrtValue**',
  ),
  GetTensorMutableData: status(51, 'OrtValue*', 'void**'),
  FillStringTensor: status(52, 'OrtValue*', 'const char* const*', 'size_t'),
  GetStringTensorDataLength: status(53, 'const OrtValue*', 'size_t*'),
  GetStringTensorContent: status(54, 'const OrtValue*', 'void*', 'size_t', 'size_t*', 'size_t'),
  GetTensorElementType: status(60, 'const OrtTensorTypeAndShapeInfo*', 'int*'),
  GetDimensionsCount: status(61, 'const OrtTensorTypeAndShapeInfo*', 'size_t*'),
  GetDimensions: status(62, 'const OrtTensorTypeAndShapeInfo*', 'int64_t*', 'size_t'),
  GetTensorTypeAndShape: status(65, 'const OrtValue*', 'OrtTensorTypeAndShapeInfo**'),
  CreateCpuMemoryInfo: status(69, 'int', 'int', 'OrtMemoryInfo**'),
  AllocatorFree: status(76, 'OrtAllocator*', 'void*'),
  GetAllocatorWithDefaultOptions: status(78, 'OrtAllocator**'),
  ReleaseStatus: fn(93, 'void', 'OrtStatus*'),
  ReleaseSession: fn(95, 'void', 'OrtSession*'),
  ReleaseValue: fn(96, 'void', 'OrtValue*'),
  ReleaseTensorTypeAndShapeInfo: fn(99, 'void', 'OrtTensorTypeAndShapeInfo*'),
  ReleaseSessionOptions: fn(100, 'void', 'OrtSessionOptions*'),
  SessionEndProfiling: status(110, 'OrtSession*', 'OrtAllocator*', 'char**'),
  AddSessionConfigEntry: status(130, 'OrtSessionOptions*', 'const char*', 'const char*'),
  AddInitializer: status(150, 'OrtSessionOptions*', 'const char*', 'const OrtValue*'),
  ReleaseArenaCfg: fn(157, 'void', 'OrtArenaCfg*'),
  CreateArenaCfgV2: status(164, 'const char* const*', 'const size_t*', 'size_t', 'OrtArenaCfg**'),
  CreateAndRegisterAllocator: status(144, 'OrtEnv*', 'const OrtMemoryInfo*', 'const OrtArenaCfg*'),
  UnregisterAllocator: status(177, 'OrtEnv*', 'const OrtMemoryInfo*'),
  SessionOptionsAppendExecutionProvider_CUDA_V2: status(
    204,
    'OrtSessionOptions*',
    'const OrtCUDAProviderOptionsV2*',
  ),
  CreateCUDAProviderOptions: status(205, 'OrtCUDAProviderOptionsV2**'),
  ReleaseCUDAProviderOptions: fn(208, 'void', 'OrtCUDAProviderOptionsV2*'),
  AddExternalInitializers: status(
    210,
    'OrtSessionOptions*',
    'const char* const*',
    'const OrtValue* const*',
    'size_t',
  ),
  SessionOptionsAppendExecutionProvider: status(
    216,
    'OrtSessionOptions*',
    'const char*',
    'const char* const*',
    'const char* const*',
    'size_t',
  ),
} as const;

export type ApiName = keyof typeof API_TABLE;
