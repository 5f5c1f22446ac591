/** Every rule: a graph that breaks it, and one that does not. */
import { describe, expect, it } from 'vitest';
import { float32, type Model, modelOf, type Tensor } from '../../graph/ir.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { check } from '../check.ts';
import { deviceOf } from '../index.ts';

type Body = (b: Builder, x: Value) => Value;

/** A model of one input of `shape`. */
function model(shape: readonly (number | string)[], body: Body, opset = 17): Model {
  const b = new Builder('test');
  b.output(body(b, b.input('x', 'float32', shape)), 'y');
  const made = modelOf(b.graph);
  made.opsets.set('', opset);
  return made;
}

const weight = (dims: readonly number[], value = 0.1): Tensor =>
  float32(dims, new Array(dims.reduce((a, c) => a * c, 1)).fill(value));

const conv =
  (dims: readonly number[], attributes: Parameters<Builder['op']>[2] = {}): Body =>
  (b, x) =>
    b.op('Conv', [x, b.initializer('w', weight(dims))], attributes as object);

interface Quantized {
  readonly scale?: number;
  readonly zero?: number;
  readonly weightZero?: number;
  readonly channels?: boolean;
  readonly outScale?: number;
  readonly weightValue?: number;
  readonly activation?: 'uint8' | 'int8' | 'uint16';
}

const integer = (dtype: 'uint8' | 'int8' | 'uint16', x: number): Tensor => ({
  dtype,
  dims: [],
  data: dtype === 'int8' ? Int8Array.of(x) : dtype === 'uint8' ? Uint8Array.of(x) : Uint16Array.of(x),
});

/** x through Q/DQ. */
const through = (
  b: Builder,
  x: Value,
  scale: number,
  zero: number,
  dtype: 'uint8' | 'int8' | 'uint16',
): Value => {
  const [s, z] = [b.constant(float32([], [scale])), b.constant(integer(dtype, zero))];
  return b.op('DequantizeLinear', [b.op('QuantizeLinear', [x, s, z], {}), s, z], {});
};

/** A quantized 1×1 convolution of 32 channels to 32, or of `dims`. */
const quantizedConv =
  (q: Quantized = {}, dims: readonly number[] = [32, 32, 1, 1]): Body =>
  (b, x) => {
    const {
      scale = 0.5,
      zero = 0,
      weightZero = 0,
      channels = false,
      outScale = 0.5,
      activation = 'int8',
    } = q;
    const count = dims.reduce((a, c) => a * c, 1);
    const n = dims[0] as number;
    const w = b.initializer('w', {
      dtype: 'int8',
      dims,
      data: new Int8Array(count).fill(q.weightValue ?? 3),
    });
    const ws = b.constant(channels ? float32([n], new Array(n).fill(0.25)) : float32([], [0.25]));
    const wz = b.constant(
      channels ? { dtype: 'int8', dims: [n], data: new Int8Array(n) } : integer('int8', weightZero),
    );
    const stored = b.op('DequantizeLinear', [w, ws, wz], channels ? { axis: 0 } : {});
    return through(
      b,
      b.op('Conv', [through(b, x, scale, zero, activation), stored], {}),
      outScale,
      zero,
      activation,
    );
  };

const PLANE = [1, 32, 8, 8] as const;

/** device, what breaks, a part of the reason, the graph that breaks it, the graph that does not. */
const CASES: readonly (readonly [string, RegExp, Model, Model])[] = [
  [
    'ti-am68a',
    /strides \[1,2\] differ/,
    model(PLANE, conv([8, 32, 3, 3], { strides: [1, 2] })),
    model(PLANE, conv([8, 32, 3, 3], { strides: [2, 2] })),
  ],
  [
    'ti-am62a',
    /3×3 of stride 3/,
    model(PLANE, conv([8, 32, 3, 3], { strides: [3, 3] })),
    model(PLANE, conv([8, 32, 3, 3])),
  ],
  [
    'ti-am68a',
    /stride 2 with kernel \[8,8\]/,
    model(PLANE, conv([8, 32, 8, 8], { strides: [2, 2] })),
    model(PLANE, conv([8, 32, 7, 7], { strides: [2, 2] })),
  ],
  [
    'ti-am68a',
    /depthwise kernel \[2,2\]/,
    model(PLANE, conv([32, 1, 2, 2], { group: 32 })),
    model(PLANE, conv([32, 1, 3, 3], { group: 32 })),
  ],
  [
    'ti-am68a',
    /stride 4 with kernel/,
    model(PLANE, conv([8, 32, 5, 5], { strides: [4, 4] })),
    model([1, 3, 24, 24], conv([8, 3, 11, 11], { strides: [4, 4] })),
  ],
  [
    'ti-am68a',
    /whole plane/,
    model(PLANE, (b, x) => b.op('AveragePool', [x], { kernel_shape: [8, 8] })),
    model(PLANE, (b, x) => b.op('GlobalAveragePool', [x], {})),
  ],
  [
    'ti-am68a',
    /kernel \[4,4\]/,
    model(PLANE, (b, x) => b.op('MaxPool', [x], { kernel_shape: [4, 4] })),
    model(PLANE, (b, x) => b.op('MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] })),
  ],
  [
    'ti-am68a',
    /plane of 1600/,
    model([1, 8, 40, 40], (b, x) => b.op('GlobalAveragePool', [x], {})),
    model([1, 8, 32, 32], (b, x) => b.op('GlobalAveragePool', [x], {})),
  ],
  ['ti-am68a', /axis 1/, model(PLANE, (_, x) => x.softmax(1)), model(PLANE, (_, x) => x.softmax(-1))],
  [
    'ti-am68a',
    /both sides are computed/,
    model(PLANE, (_, x) => x.sub(x.sigmoid())),
    model(PLANE, (_, x) => x.sub(1)),
  ],
  [
    'ti-am68a',
    /bounds 1/,
    model(PLANE, (b, x) => b.op('Clip', [x, b.scalar(1), b.scalar(6)], {})),
    model(PLANE, (b, x) => b.op('Clip', [x, b.scalar(0), b.scalar(6)], {})),
  ],
  [
    'ti-am68a',
    /steps \[2\]/,
    model(PLANE, (_, x) => x.slice(2, 0, 8, 2)),
    model(PLANE, (_, x) => x.slice(2, 0, 4)),
  ],
  [
    'ti-am68a',
    /transA must be 0/,
    model([4, 8], (b, x) => b.op('Gemm', [x, b.initializer('w', weight([4, 3]))], { transA: 1 })),
    model([4, 8], (b, x) => b.op('Gemm', [x, b.initializer('w', weight([8, 3]))], {})),
  ],
  [
    'ti-am68a',
    /axis 0 of 4/,
    model(PLANE, (b, x) => b.concat([x, x], 0)),
    model(PLANE, (b, x) => b.concat([x, x], 1)),
  ],
  [
    'ti-am62a',
    /table look-ups/,
    model(PLANE, (_, x) => x.sigmoid()),
    model(PLANE, (b, x) => b.op('Relu', [x], {})),
  ],
  [
    'ti-am68a',
    /opset 21/,
    model(PLANE, (b, x) => b.op('Relu', [x], {}), 21),
    model(PLANE, (b, x) => b.op('Relu', [x], {}), 19),
  ],
  [
    'ti-tda4vm',
    /powers of two/,
    model(PLANE, quantizedConv({ scale: 0.3 })),
    model(PLANE, quantizedConv({ scale: 0.25 })),
  ],
  ['ti-tda4vm', /zero point 5/, model(PLANE, quantizedConv({ zero: 5 })), model(PLANE, quantizedConv())],
  ['ti-tda4vm', /32 scales/, model(PLANE, quantizedConv({ channels: true })), model(PLANE, quantizedConv())],
  [
    'snapdragon-8-gen-3',
    /shapes must be fixed/,
    model(['n', 32, 8, 8], conv([32, 32, 1, 1])),
    model(PLANE, conv([32, 32, 1, 1])),
  ],
  [
    'snapdragon-8-gen-3',
    /8 output channels take the place of 32/,
    model(PLANE, conv([8, 32, 1, 1])),
    model(PLANE, conv([64, 32, 1, 1])),
  ],
  [
    'snapdragon-8-gen-3',
    /3 input channels on a plane/,
    model([1, 3, 224, 224], conv([32, 3, 1, 1])),
    model([1, 3, 64, 64], conv([32, 3, 1, 1])),
  ],
  [
    'snapdragon-8-gen-3',
    /HTP has no Mish/,
    model(PLANE, (b, x) => b.op('Mish', [x], {})),
    model(PLANE, (b, x) => b.op('HardSwish', [x], {})),
  ],
  [
    'sa8775p',
    /16-bit activations were slower/,
    model(PLANE, quantizedConv({ activation: 'uint16' })),
    model(PLANE, quantizedConv({ activation: 'uint8' })),
  ],
  ['arm-ethos-u55-128', /not ONNX/, model(PLANE, quantizedConv()), model(PLANE, quantizedConv())],
  [
    'arm-ethos-u55-128',
    /the model is float/,
    model(PLANE, conv([32, 32, 1, 1])),
    model(PLANE, quantizedConv()),
  ],
  [
    'arm-ethos-u55-128',
    /add up to/,
    model([1, 70000, 1, 1], quantizedConv({ weightValue: 127 }, [1, 70000, 1, 1])),
    model([1, 60000, 1, 1], quantizedConv({ weightValue: 127 }, [1, 60000, 1, 1])),
  ],
  [
    'arm-ethos-u55-128',
    /a kernel 66 high/,
    model([1, 16, 80, 80], conv([16, 16, 66, 3])),
    model([1, 16, 80, 80], conv([16, 16, 64, 3])),
  ],
  [
    'arm-ethos-u55-128',
    /stride \[4,4\]/,
    model(PLANE, conv([32, 1, 3, 3], { group: 32, strides: [4, 4] })),
    model(PLANE, conv([32, 1, 3, 3], { group: 32, strides: [3, 3] })),
  ],
  [
    'arm-ethos-u55-128',
    /2 outputs a channel/,
    model(PLANE, conv([64, 1, 3, 3], { group: 32 })),
    model(PLANE, conv([32, 1, 3, 3], { group: 32 })),
  ],
  [
    'arm-ethos-u55-128',
    /4 groups/,
    model(PLANE, conv([32, 8, 3, 3], { group: 4 })),
    model(PLANE, conv([32, 32, 3, 3])),
  ],
  [
    'arm-ethos-u55-128',
    /9×9 with padding/,
    model([1, 16, 20, 20], (b, x) => b.op('AveragePool', [x], { kernel_shape: [9, 9], pads: [4, 4, 4, 4] })),
    model([1, 16, 20, 20], (b, x) => b.op('AveragePool', [x], { kernel_shape: [9, 9] })),
  ],
  [
    'arm-ethos-u55-128',
    /batch 2/,
    model([2, 32, 8, 8], conv([32, 32, 1, 1])),
    model(PLANE, conv([32, 32, 1, 1])),
  ],
  ['arm-ethos-u55-128', /no Div/, model(PLANE, (_, x) => x.div(3)), model(PLANE, (_, x) => x.mul(3))],
  [
    'arm-ethos-u85-256',
    /no LayerNormalization/,
    model([1, 8, 16], (b, x) => b.op('LayerNormalization', [x, b.initializer('s', weight([16]))], {})),
    model([1, 8, 16], (_, x) => x.div(3)),
  ],
  [
    'arm-ethos-u55-128',
    /rank 5/,
    model([1, 1, 2, 2, 2], (b, x) => b.op('Relu', [x], {})),
    model([1, 2, 2, 2], (b, x) => b.op('Relu', [x], {})),
  ],
  [
    'arm-ethos-u55-128',
    /2 different scales/,
    model(PLANE, (b, x) =>
      through(b, b.op('MaxPool', [through(b, x, 0.5, 0, 'int8')], { kernel_shape: [2, 2] }), 0.25, 0, 'int8'),
    ),
    model(PLANE, (b, x) =>
      through(b, b.op('MaxPool', [through(b, x, 0.5, 0, 'int8')], { kernel_shape: [2, 2] }), 0.5, 0, 'int8'),
    ),
  ],
  [
    'arm-cortex-m4',
    /no Mish/,
    model(PLANE, (b, x) => b.op('Mish', [x], {})),
    model(PLANE, (_, x) => x.sigmoid()),
  ],
  [
    'arm-cortex-m4',
    /one axis/,
    model([1, 16, 32], conv([16, 16, 3])),
    model([1, 16, 1, 32], conv([16, 16, 1, 3])),
  ],
  ['arm-cortex-m4', /float convolution/, model(PLANE, conv([32, 32, 1, 1])), model(PLANE, quantizedConv())],
  [
    'stm32g0b1',
    /activations need/,
    model([1, 16, 128, 128], conv([16, 16, 1, 1])),
    model(PLANE, conv([16, 32, 1, 1])),
  ],
  [
    'stm32g0b1',
    /weights need/,
    model([1, 1024, 1, 1], conv([1024, 1024, 1, 1])),
    model(PLANE, conv([16, 32, 1, 1])),
  ],
  [
    'stm32n6',
    /a float layer/,
    model(PLANE, (b, x) =>
      b.op('Conv', [quantizedConv()(b, x).sigmoid(), b.initializer('v', weight([32, 32, 1, 1]))], {}),
    ),
    model(PLANE, quantizedConv()),
  ],
  [
    'stm32n6',
    /runs in software/,
    model(PLANE, (_, x) => x.softmax(-1)),
    model(PLANE, (b, x) => b.op('Relu', [x], {})),
  ],
  ['stm32mp25', /32 scales/, model(PLANE, quantizedConv({ channels: true })), model(PLANE, quantizedConv())],
  [
    'nvidia-jetson-orin-nano',
    /zero point 5/,
    model(PLANE, quantizedConv({ zero: 5 })),
    model(PLANE, quantizedConv()),
  ],
  [
    'nvidia-jetson-orin-nano',
    /residual sum/,
    model(PLANE, (b, x) => through(b, x, 0.5, 0, 'int8').add(through(b, x.sigmoid(), 0.25, 0, 'int8'))),
    model(PLANE, (b, x) => through(b, x, 0.5, 0, 'int8').add(x.sigmoid())),
  ],
  ['webgpu', /back to float/, model(PLANE, quantizedConv()), model(PLANE, conv([32, 32, 1, 1]))],
  [
    'intel-npu-lunar-lake',
    /2 different scales/,
    model(PLANE, (b, x) =>
      through(b, through(b, x, 0.5, 0, 'int8').add(through(b, x.sigmoid(), 0.25, 0, 'int8')), 0.5, 0, 'int8'),
    ),
    model(PLANE, (b, x) =>
      through(b, through(b, x, 0.5, 0, 'int8').add(through(b, x.sigmoid(), 0.5, 0, 'int8')), 0.5, 0, 'int8'),
    ),
  ],
  [
    'intel-npu-lunar-lake',
    /shapes must be fixed/,
    model([1, 32, 'h', 'w'], conv([32, 32, 1, 1])),
    model(PLANE, conv([32, 32, 1, 1])),
  ],
  [
    'intel-cpu',
    /float activations/,
    model(PLANE, (b, x) =>
      b.op(
        'Conv',
        [
          x,
          b.op(
            'DequantizeLinear',
            [
              b.initializer('w', { dtype: 'int8', dims: [32, 32, 1, 1], data: new Int8Array(1024) }),
              b.scalar(0.5),
              b.constant(integer('int8', 0)),
            ],
            {},
          ),
        ],
        {},
      ),
    ),
    model(PLANE, quantizedConv()),
  ],
  [
    'cpu-x86-vnni',
    /16-bit activations/,
    model(PLANE, quantizedConv({ activation: 'uint16' })),
    model(PLANE, quantizedConv()),
  ],
  [
    'cpu-x86-avx2',
    /saturate/,
    model(PLANE, quantizedConv({ channels: true, weightValue: 100 })),
    model(PLANE, quantizedConv({ channels: true, weightValue: 60 })),
  ],
  [
    'ambarella-cv72',
    /0 % of its weights are zero/,
    model(PLANE, conv([128, 32, 1, 1])),
    model(PLANE, (b, x) => b.op('Conv', [x, b.initializer('w', weight([128, 32, 1, 1], 0))], {})),
  ],
  [
    'ambarella-cv72',
    /quantizes by itself/,
    model(PLANE, quantizedConv()),
    model(PLANE, conv([32, 32, 1, 1])),
  ],
];

const reasons = (m: Model, device: string): string[] => check(m, deviceOf(device)).findings.map(f => f.why);

describe('each rule finds what breaks it and leaves alone what does not', () => {
  it.each(CASES)('%s: %s', (device, reason, broken, sound) => {
    expect(reasons(broken, device).filter(why => reason.test(why))).not.toEqual([]);
    if (broken !== sound && !/not ONNX/.test(reason.source))
      expect(reasons(sound, device).filter(why => reason.test(why))).toEqual([]);
  });
});

it('all eight families are covered', () => {
  expect(new Set(CASES.map(([device]) => deviceOf(device).family)).size).toBe(8);
});

it('a custom op is an error everywhere, and named', () => {
  const m = model(PLANE, (b, x) => b.op('Relu', [x], {}));
  m.graph.nodes[0] = {
    ...(m.graph.nodes[0] as (typeof m.graph.nodes)[0]),
    domain: 'acme',
    opType: 'Frobnicate',
  };
  const report = check(m, deviceOf('cpu-x86-vnni'));
  expect(report.deploys).toBe(false);
  expect(report.findings[0]).toMatchObject({ op: 'acme.Frobnicate', severity: 'error' });
});

it('a finding has all that scripts rely on, its source an address', () => {
  const [finding] = check(
    model(PLANE, (b, x) => b.op('Mish', [x], {})),
    deviceOf('arm-cortex-m4'),
  ).findings;
  expect(Object.keys(finding as object).slice(0, 6)).toEqual([
    'node',
    'op',
    'severity',
    'why',
    'fix',
    'source',
  ]);
  expect(() => new URL(finding?.source ?? '')).not.toThrow();
});

it('activations of a quantized chain are a byte each, input and output of the widest layer', () => {
  // 32 to 32 channels on 8×8: 2048 in, 2048 out
  expect(check(model(PLANE, quantizedConv()), deviceOf('stm32n6')).activationBytes).toBe(4096);
});
