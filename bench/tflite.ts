/**
 * Writes the TFLite cases of `src/formats/tflite` with their inputs, or one QDQ model, for `peers/run_tflite.py` and `peers/read_tflite.py`:
 * `node dist/bench/tflite.js FOLDER [MODEL.onnx]`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { encodeTflite } from '../src/formats/tflite/encode.ts';
import { TFLITE_CASES } from '../src/formats/tflite/fixtures/cases.ts';
import { READING_CASES } from '../src/formats/tflite/fixtures/reading.ts';
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
  mkdirSync(join(folder, 'read'), { recursive: true });
  for (const { name, model, x } of READING_CASES) {
    writeFileSync(join(folder, 'read', `${name}.tflite`), encodeTflite(model));
    writeFileSync(join(folder, 'read', `${name}.json`), JSON.stringify([...x]));
  }
}
