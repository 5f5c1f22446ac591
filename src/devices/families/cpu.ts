/** General processors by ONNX Runtime's CPU provider or XNNPACK. `this-machine` is measured, not looked up. */
import { type DeviceProfile, type Format, figure, type Precision } from '../profile.ts';

const opset = figure({ min: 7, max: 23 }, 'ort-opsets', 'vendor-doc');

const common = {
  family: 'cpu',
  opset,
  staticShapes: figure(false, 'ort-opsets', 'vendor-doc'),
  precisions: figure<readonly Precision[]>(['float32', 'int8', 'int4'], 'ort-quantize', 'vendor-doc'),
} as const;

const quantization = {
  activations: ['uint8', 'int8', 'uint16', 'int16'],
  weights: ['int8', 'uint8', 'int4'],
  granularity: { conv: 'per-channel', matmul: 'per-channel' },
  activationZeroPoint: 'any',
  weightZeroPoint: 'any',
  scale: 'any',
  unifiedScaleOps: [],
  source: 'ort-quantize',
  confidence: 'vendor-doc',
} as const;

const ortFormats = figure<readonly Format[]>(
  ['onnx', 'onnx-qdq', 'onnx-qoperator', 'tflite', 'tflite-int8', 'gguf'],
  'ort-quantize',
  'vendor-doc',
);

export const CPU: readonly DeviceProfile[] = [
  {
    ...common,
    id: 'this-machine',
    name: 'The machine that gaslaw runs on',
    engine: 'ONNX Runtime CPU provider',
    kind: 'cpu-x86',
    formats: ortFormats,
    quantization,
    peakMacsPerSecond: {},
    memory: {},
    notes: [
      figure(
        'Measured when asked for, class of op by class of op, and the model itself.',
        'ort-opsets',
        'derived',
      ),
    ],
    confidence: 'derived',
  },
  {
    ...common,
    id: 'cpu-x86-vnni',
    name: 'x86-64 with AVX-512 VNNI or AVX-VNNI',
    engine: 'ONNX Runtime CPU provider',
    kind: 'cpu-x86',
    formats: ortFormats,
    quantization,
    peakMacsPerSecond: {},
    memory: {},
    notes: [
      figure(
        'Asymmetric activations with symmetric weights are what its integer kernels are made for.',
        'ort-quantize',
        'vendor-doc',
      ),
      figure(
        'int8 activations with uint8 weights are refused; int8 with int8 must be QDQ.',
        'ort-quantize',
        'vendor-doc',
      ),
      figure('16-bit activations exist in QDQ form only and run as float.', 'ort-quantize', 'vendor-doc'),
    ],
    confidence: 'vendor-doc',
  },
  {
    ...common,
    id: 'cpu-x86-avx2',
    name: 'x86-64 with AVX2, no VNNI',
    engine: 'ONNX Runtime CPU provider',
    kind: 'cpu-x86',
    formats: ortFormats,
    quantization,
    peakMacsPerSecond: {},
    memory: {},
    notes: [
      figure(
        'Pairs of products saturate at 16 bits: per-channel weights need reduce_range, seven bits.',
        'ort-quantize',
        'vendor-doc',
      ),
    ],
    confidence: 'vendor-doc',
  },
  {
    ...common,
    id: 'cpu-raspberry-pi-4',
    name: 'Raspberry Pi 4 (Cortex-A72 at 1.5 GHz)',
    engine: 'XNNPACK',
    kind: 'cpu-arm64',
    formats: figure<readonly Format[]>(
      ['onnx', 'onnx-qdq', 'tflite', 'tflite-int8', 'gguf'],
      'executorch-xnnpack',
      'vendor-doc',
    ),
    quantization: {
      ...quantization,
      activations: ['int8'],
      weights: ['int8', 'int4'],
      weightZeroPoint: 'zero',
      source: 'executorch-xnnpack',
    },
    clockHz: figure(1.5e9, 'xnnpack', 'low'),
    peakMacsPerSecond: { float32: figure(48e9, 'xnnpack', 'derived') },
    memory: {},
    notes: [figure('MobileNetV2 on four cores: float32 46 ms, int8 17 ms.', 'xnnpack', 'published')],
    confidence: 'published',
  },
];
