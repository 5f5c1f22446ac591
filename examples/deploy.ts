import * as g from '../src/index.ts';

const files = g.nodeFiles();

// Any ONNX or TFLite file in the integers that a device computes in. No label is needed to calibrate.
const report = await g.quantizeGraphFile(files, g.nativeRuntime, 'network.onnx', {
  dtype: 'int8',
  device: g.deviceOf('stm32l4r5'),
  data: 'train.json',
  eval: 'held-out.json',
  seed: 1,
  out: 'network.tflite',
});
console.log(report.qualityBefore, report.qualityAfter, report.bytesAfter);

// Any language model: a run, a Hugging Face directory, a .gguf, a .safetensors, a llama2.c .bin.
const language = await g.openLanguageModel(files, 'runs/r1-small-1', { dtype: 'q8' });
using decoder = await language.decoder(await g.nativeRuntime());
using engine = new g.Engine(decoder, { slots: 4, capacity: decoder.model.maxPositions });
const answer = await g.generateText(engine, language.tokenizer, '3 5 4>35:', {
  maxTokens: 100,
  temperature: 0,
  seed: 1,
});
console.log(answer.text);
