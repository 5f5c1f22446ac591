/**
 * Writes the TFLite cases of `src/formats/tflite` with their inputs, or one QDQ model, for `peers/run_tflite.py`:
 * `node dist/bench/tflite.js FOLDER [MODEL.onnx]`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { TFLITE_CASES } from '../src/formats/tflite/fixtures/cases.ts';
import { toTflite } from '../src/formats/tflite/from-graph.ts';
import { decodeModel } from '../src/graph/protobuf.ts';

const [folder = 'tflite', ...models] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
for (const path of models)
  writeFileSync(
    join(folder, basename(path).replace('.onnx', '.tflite')),
    toTflite(decodeModel(readFileSync(path))),
  );
if (models.length === 0) {
  for (const { name, model, x } of TFLITE_CASES) {
    writeFileSync(join(folder, `${name}.tflite`), toTflite(model));
    writeFileSync(
      join(folder, `${name}.json`),
      JSON.stringify({ dims: x.dims, data: [...(x.data as Float32Array)] }),
    );
  }
}
