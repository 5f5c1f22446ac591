/** The validator sees the model as it is deployed, and names the nodes of the file. */
import { expect, it } from 'vitest';
import { TFLITE_CASES } from '../formats/tflite/fixtures/cases.ts';
import { toTflite } from '../formats/tflite/from-graph.ts';
import { fromTflite } from '../formats/tflite/to-graph.ts';
import { float32, modelOf } from '../graph/ir.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { modelFor } from '../ops/opset.ts';
import { check, fixed } from './check.ts';
import { deviceOf } from './index.ts';

const filled = (...dims: number[]) =>
  float32(dims, new Float32Array(dims.reduce((a, c) => a * c, 1)).fill(0.1));

/** Conv, BatchNormalization, Dropout, and a Reshape whose shape is computed; then one op that Ethos-U does not have. */
function exported() {
  const b = new Builder('exported');
  const x = b.input('x', 'float32', [1, 16, 8, 8]);
  const conv = b.op('Conv', [x, b.initializer('w', filled(16, 16, 1, 1))], {});
  const norm = b.op(
    'BatchNormalization',
    [conv, ...'abcd'.split('').map(n => b.initializer(n, filled(16)))],
    {},
  );
  const dropped = b.op('Dropout', [norm], {});
  const shape = b.op('Cast', [b.op('Shape', [x], {})], { to: 7 });
  b.output(b.op('Asinh', [b.op('Reshape', [dropped, shape], {})], {}), 'y');
  const named = b.graph.nodes.find(node => node.opType === 'Asinh');
  if (named) named.name = '/head/Asinh_7';
  return modelOf(b.graph);
}

it('norms, identities and computed shapes are gone before rules look', () => {
  const { findings } = check(exported(), deviceOf('arm-ethos-u55-128'));
  const onNodes = findings.filter(finding => finding.node !== '');
  expect(onNodes.map(({ node, op }) => [node, op])).toEqual([['/head/Asinh_7', 'Asinh']]);
});

it('the model that was given stays as it was', () => {
  const model = exported();
  const before = model.graph.nodes.map(node => node.opType);
  check(model, deviceOf('ti-am62a'));
  expect(model.graph.nodes.map(node => node.opType)).toEqual(before);
});

it('what fixes write is that model too', () => {
  const { model } = fixed(exported(), deviceOf('ti-am62a'));
  expect(model.graph.nodes.map(node => node.opType)).toEqual(['Conv', 'Asinh']);
});

it('a rank that is not taken is told of the op, not of the pairs around it', () => {
  const b = new Builder('ranks');
  const [s, z] = [
    b.constant(float32([], [0.1])),
    b.constant({ dtype: 'int8', dims: [], data: Int8Array.of(0) }),
  ];
  const pair = (x: Value) => b.op('DequantizeLinear', [b.op('QuantizeLinear', [x, s, z], {}), s, z], {});
  const x = pair(b.input('x', 'float32', [1, 4, 4, 4]));
  const five = pair(x.reshape([1, 2, 2, 4, 4]));
  b.output(pair(five.reshape([1, 4, 4, 4])), 'y');
  const { findings } = check(modelOf(b.graph), deviceOf('arm-cortex-m4'));
  expect(findings.filter(f => f.why.includes('rank')).map(f => f.op)).toEqual(['Reshape', 'Reshape']);
});

/** The file of max-pool has a PADV2 of its own, the ONNX files of others have turns that TFLite's do not; requantize takes no time. */
const DIFFERENT: readonly string[] = [
  'max-pool',
  'transpose-in',
  'transpose-out',
  'moved-input',
  'requantize',
];

it.each(TFLITE_CASES.filter(({ name }) => !DIFFERENT.includes(name)))(
  'the TFLite file of $name costs what its ONNX file costs, to 2 %',
  ({ model }) => {
    const read = modelFor(fromTflite(toTflite(model)), [['format', 'tflite']]);
    const [onnx, tflite] = [model, read].map(m => check(m, deviceOf('stm32l4r5')));
    const ratios = (['estimatedMs', 'activationBytes'] as const).map(
      cost => (tflite?.[cost] ?? 0) / (onnx?.[cost] ?? 0),
    );
    for (const ratio of ratios) expect(Math.abs(ratio - 1)).toBeLessThan(0.02);
  },
);
