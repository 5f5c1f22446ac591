/** GPUs: NVIDIA through TensorRT, any through WebGPU. */
import { type DeviceProfile, figure } from '../profile.ts';

const tensorrt = {
  family: 'gpu',
  kind: 'tensorrt',
  formats: figure(['onnx', 'onnx-qdq'], 'modelopt', 'vendor-doc'),
  precisions: figure(['float32', 'float16', 'int8', 'int4'], 'modelopt', 'vendor-doc'),
  opset: figure({ min: 9, max: 21 }, 'onnx-tensorrt', 'derived'),
  staticShapes: figure(false, 'modelopt', 'vendor-doc'),
  maxRank: figure(8, 'modelopt', 'low'),
  channelAlignment: figure(16, 'tensor-core-guide', 'low'),
  quantization: {
    activations: ['int8'],
    weights: ['int8', 'int4'],
    granularity: { conv: 'per-channel', matmul: 'per-channel' },
    activationZeroPoint: 'zero',
    weightZeroPoint: 'zero',
    scale: 'any',
    unifiedScaleOps: [],
    source: 'ort-quantize',
    confidence: 'vendor-doc',
  },
  sparsity: figure('2:4', 'modelopt', 'vendor-doc'),
  notes: [
    figure(
      'TensorRT 10 reads opset 9 to 20; int4 weights and 8-bit floats are exported in opset 21.',
      'onnx-tensorrt',
      'vendor-doc',
    ),
    figure(
      'Tensor cores want channels in multiples of 8 (float16), 16 (int8), 32 (int4).',
      'tensor-core-guide',
      'low',
    ),
    figure(
      'Where Q/DQ pairs stand on a residual branch decides what fuses: one input of the Add is quantized.',
      'modelopt-placement',
      'vendor-doc',
    ),
    figure(
      'int4 weights win at batch 1 only: at batch 8 a W4 Llama 8B ran at 0.75 of bfloat16 speed.',
      'modelopt',
      'published',
    ),
  ],
} as const satisfies Partial<DeviceProfile>;

export const GPU: readonly DeviceProfile[] = [
  {
    ...tensorrt,
    id: 'nvidia-jetson-orin-nano',
    name: 'NVIDIA Jetson Orin Nano 8 GB',
    engine: 'Ampere GPU, 1024 cores, TensorRT',
    peakMacsPerSecond: { int8: figure(10e12, 'orin-nano-bench', 'derived') },
    memory: {
      ramBytes: figure(8e9, 'orin-nano-bench', 'published'),
      dramBytesPerSecond: figure(68e9, 'orin-nano-bench', 'published'),
    },
    notes: [
      ...tensorrt.notes,
      figure(
        '40 TOPS (67 in super mode) count 2:4 sparsity: a quarter of that are dense multiply-adds.',
        'orin-nano-bench',
        'derived',
      ),
    ],
    confidence: 'published',
  },
  {
    ...tensorrt,
    id: 'nvidia-jetson-orin-nx',
    name: 'NVIDIA Jetson Orin NX 16 GB',
    engine: 'Ampere GPU, TensorRT',
    peakMacsPerSecond: { int8: figure(25e12, 'orin-nx-datasheet', 'derived') },
    memory: {
      ramBytes: figure(16e9, 'orin-nx-datasheet', 'vendor-doc'),
      dramBytesPerSecond: figure(102.4e9, 'orin-nx-datasheet', 'vendor-doc'),
    },
    confidence: 'vendor-doc',
  },
  {
    id: 'webgpu',
    family: 'gpu',
    kind: 'webgpu',
    name: 'Any GPU in a browser',
    engine: 'ONNX Runtime Web, WebGPU provider',
    formats: figure(['onnx'], 'ort-web', 'vendor-doc'),
    precisions: figure(['float32', 'float16', 'int4'], 'ort-web', 'vendor-doc'),
    opset: figure({ min: 7, max: 21 }, 'ort-web-ops', 'vendor-doc'),
    staticShapes: figure(false, 'ort-web', 'vendor-doc'),
    peakMacsPerSecond: {},
    memory: {},
    notes: [
      figure(
        'Q/DQ graphs run dequantized in float: only weight-only forms (MatMulNBits) save time.',
        'ort-web',
        'low',
      ),
      figure(
        'What an operator does not support runs in WebAssembly and copies its tensors each way.',
        'ort-web',
        'vendor-doc',
      ),
    ],
    confidence: 'low',
  },
];
