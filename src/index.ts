/** The public surface of the package. */
export { gradients } from './autodiff/gradients.ts';
export { lower } from './autodiff/lower.ts';
export { nodeFiles } from './cli/node-files.ts';
export { recovery } from './compress/distil/recovery.ts';
export { accuracyOf, compareModels } from './compress/evaluate.ts';
export { type Compressed, type CompressOptions, compress } from './compress/plan/compress.ts';
export { pruneLayers, pruneWidth } from './compress/prune/decoder.ts';
export { prune } from './compress/prune/run.ts';
export type { Feeds } from './compress/quantize/calibrate.ts';
export { packBase } from './compress/quantize/frozen.ts';
export { quantizeStatic, type StaticOptions } from './compress/quantize/static/index.ts';
export { paretoFront } from './compress/search/pareto.ts';
export { type SearchOptions, searchModel } from './compress/search/run.ts';
export * from './data/augment.ts';
export { batchesByLength } from './data/by-length.ts';
export type { Examples } from './data/examples/examples.ts';
export { openExamples } from './data/examples/open.ts';
export { trainingBatches } from './data/examples/training.ts';
export { check } from './devices/check.ts';
export { DEVICES, deviceOf } from './devices/index.ts';
export { calibrateParameters } from './export/calibration.ts';
export { exportModel } from './export/directory.ts';
export { EXPORT_DTYPES, type ExportDType } from './export/dtypes.ts';
export { type LanguageModel, openLanguageModel } from './export/language-model.ts';
export { pruneGraphFile } from './export/prune-graph.ts';
export { pruneLanguageModel } from './export/prune-language-model.ts';
export { quantizeGraphFile } from './export/quantize-graph.ts';
export { quantizeLanguageModel } from './export/quantize-language-model.ts';
export { searchGraphFile } from './export/search-graph.ts';
export { Decoder } from './generate/decoder.ts';
export { type Completion, Engine, type GenerateRequest } from './generate/engine.ts';
export { fillInTheMiddle } from './generate/fill-in-the-middle.ts';
export { generateText } from './generate/text.ts';
export * from './graph/ir.ts';
export { printGraph } from './graph/print.ts';
export { decodeModel, encodeModel } from './graph/protobuf.ts';
export { verify } from './graph/verify.ts';
export { freeBatch } from './import/batch.ts';
export { importModel } from './import/index.ts';
export { denseConfig, denseModel } from './models/dense/index.ts';
export { loadModel, saveModel } from './models/files.ts';
export { gemma3Config, gemma3Model } from './models/gemma3/index.ts';
export { modelFromConfig } from './models/index.ts';
export {
  adapterStore,
  loadAdapter,
  loraConfig,
  loraModel,
  mergeAdapters,
  saveAdapter,
} from './models/lora/index.ts';
export type { CausalModel } from './models/model.ts';
export { openImported } from './models/open-graph.ts';
export * from './nn/attention.ts';
export * from './nn/distillation.ts';
export * from './nn/layers.ts';
export * from './nn/losses.ts';
export { adamw } from './nn/optim/adamw.ts';
export { muon } from './nn/optim/muon.ts';
export type { Optimizer } from './nn/optim/optimizer.ts';
export { rateAt, type Schedule } from './nn/optim/schedule.ts';
export { ParameterStore, ParameterTrace, Scope } from './nn/parameters.ts';
export { Builder, Value } from './ops/builder.ts';
export { nativeRuntime } from './runtime/native/native.ts';
export { referenceRuntime } from './runtime/reference/index.ts';
export type { Binding, CompileOptions, Program, Runtime } from './runtime/runtime.ts';
export { TASKS, taskNamed } from './tasks/index.ts';
export { CharacterTokenizer } from './tokenizer/character.ts';
export { readTokenizer } from './tokenizer/directory.ts';
export { loadTokenizer } from './tokenizer/load.ts';
export { trainBpe } from './tokenizer/train-bpe.ts';
export { distillTraining } from './train/distill.ts';
export { evaluate } from './train/evaluate.ts';
export { fineTune, fineTuning } from './train/fine-tune.ts';
export { classification } from './train/graph-losses.ts';
export { grpoTraining } from './train/grpo.ts';
export { languageModelTraining } from './train/language-model.ts';
export { Learner } from './train/learner.ts';
export { type RunContext, trainLoop } from './train/loop.ts';
export { taskEnvironment } from './train/task-environment.ts';
export { type FileStore, memoryFiles } from './util/files.ts';
export { Random } from './util/random.ts';
