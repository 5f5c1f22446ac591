/** Qualcomm Snapdragon: the Hexagon Tensor Processor by QNN. Latencies: 8,139 published rows of AI Hub. */
import { type DeviceProfile, type Figure, figure } from '../profile.ts';

const common = {
  family: 'qualcomm',
  kind: 'hexagon-htp',
  formats: figure(['onnx-qdq', 'onnx', 'tflite-int8', 'tflite'], 'ort-qnn', 'vendor-doc'),
  precisions: figure(['float16', 'int16', 'int8', 'int4'], 'executorch-qnn', 'vendor-doc'),
  opset: figure({ min: 7, max: 24 }, 'qnn-onnx-ops', 'vendor-doc'),
  staticShapes: figure(true, 'ort-qnn', 'vendor-doc'),
  maxRank: figure(5, 'ort-qnn', 'low'),
  channelAlignment: figure(32, 'htp-depth', 'vendor-doc'),
  quantization: {
    activations: ['uint8', 'uint16'],
    weights: ['int8', 'uint8', 'int4'],
    granularity: { conv: 'per-channel', matmul: 'per-tensor' },
    activationZeroPoint: 'any',
    weightZeroPoint: 'any',
    scale: 'any',
    unifiedScaleOps: ['Concat', 'MaxPool', 'Reshape', 'Transpose', 'TopK'],
    source: 'executorch-htp-rules',
    confidence: 'vendor-doc',
  },
  sparsity: figure('compressed-weights', 'htp-backend', 'vendor-doc'),
} as const satisfies Partial<DeviceProfile>;

const notes: Figure<string>[] = [
  figure(
    'Channels are stored rounded up to 32: activations of 4, 8 or 16 channels waste most of a vector.',
    'htp-depth',
    'vendor-doc',
  ),
  figure(
    '4-bit weights pay off only for 1×1 convolutions of stride 1, fully connected layers and products with more than 32 outputs.',
    'htp-int4',
    'vendor-doc',
  ),
  figure(
    '8-bit activations are the fastest, then 16-bit, then float16; but not on every chip: MobileNetV2 on SA8775P took 1.25 ms in float16, 4.31 with 16-bit and 0.62 with 8-bit activations.',
    'ai-hub',
    'published',
  ),
  figure(
    'Sigmoid and Tanh with 16-bit activations want the fixed scales 1/65536 (zero point 0) and 1/32768 (zero point 32768).',
    'ort-qnn-config',
    'vendor-doc',
  ),
];

interface Chip {
  readonly id: string;
  readonly name: string;
  readonly hexagon: string;
  readonly vtcmMiB?: number;
  readonly dram?: Figure<number>;
  readonly int8?: Figure<number>;
}

/** Half of a published number of 8-bit TOPS. */
const tops = (value: number): Figure<number> => figure(value * 0.5e12, 'qualcomm-press', 'low');

const chip = ({ id, name, hexagon, vtcmMiB, dram, int8 }: Chip): DeviceProfile => ({
  ...common,
  id,
  name,
  engine: `Hexagon HTP ${hexagon}`,
  peakMacsPerSecond: { ...(int8 && { int8 }) },
  memory: {
    ...(vtcmMiB && { onChipBytes: figure(vtcmMiB * 2 ** 20, 'executorch-socs', 'vendor-doc') }),
    ...(dram && { dramBytesPerSecond: dram }),
  },
  notes,
  confidence: 'published',
});

export const QUALCOMM: readonly DeviceProfile[] = [
  chip({
    id: 'snapdragon-8-elite-gen-5',
    name: 'Snapdragon 8 Elite Gen 5 (SM8850)',
    hexagon: 'v81',
    vtcmMiB: 8,
  }),
  chip({ id: 'snapdragon-8-elite', name: 'Snapdragon 8 Elite (SM8750)', hexagon: 'v79', vtcmMiB: 8 }),
  chip({
    id: 'snapdragon-8-gen-3',
    name: 'Snapdragon 8 Gen 3 (SM8650)',
    hexagon: 'v75',
    vtcmMiB: 8,
    dram: figure(76.8e9, 'soc-memory', 'published'),
    int8: tops(34),
  }),
  chip({
    id: 'snapdragon-8-gen-2',
    name: 'Snapdragon 8 Gen 2 (SM8550)',
    hexagon: 'v73',
    vtcmMiB: 8,
    dram: figure(67.2e9, 'soc-memory', 'published'),
  }),
  chip({ id: 'snapdragon-8-gen-1', name: 'Snapdragon 8 Gen 1 (SM8450)', hexagon: 'v69', vtcmMiB: 8 }),
  chip({ id: 'snapdragon-888', name: 'Snapdragon 888 (SM8350)', hexagon: 'v68', vtcmMiB: 4 }),
  chip({
    id: 'snapdragon-x-elite',
    name: 'Snapdragon X Elite',
    hexagon: 'v73',
    dram: figure(135e9, 'qualcomm-press', 'low'),
    int8: tops(45),
  }),
  chip({ id: 'qcs6490', name: 'Dragonwing QCS6490 (RB3 Gen 2)', hexagon: 'v68', vtcmMiB: 2, int8: tops(12) }),
  chip({ id: 'qcs8550', name: 'Dragonwing QCS8550', hexagon: 'v73', vtcmMiB: 8 }),
  chip({ id: 'qcs9075', name: 'Dragonwing IQ-9075', hexagon: 'v73', vtcmMiB: 8 }),
  chip({ id: 'sa8775p', name: 'Snapdragon Ride SA8775P', hexagon: 'v73' }),
  chip({ id: 'sa8295p', name: 'Snapdragon Cockpit SA8295P', hexagon: 'v68', vtcmMiB: 8 }),
];
