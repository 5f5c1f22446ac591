/** Intel by OpenVINO: CPU, integrated GPU, NPU. */
import { type DeviceProfile, type Figure, figure } from '../profile.ts';

const common = {
  family: 'intel',
  formats: figure(['onnx', 'onnx-qdq', 'tflite', 'tflite-int8'], 'openvino-formats', 'vendor-doc'),
  opset: figure({ min: 7, max: 23 }, 'openvino-onnx-ops', 'vendor-doc'),
  peakMacsPerSecond: {},
  memory: {},
} as const satisfies Partial<DeviceProfile>;

const quantization = {
  activations: ['uint8', 'int8'],
  weights: ['int8', 'uint8', 'int4'],
  granularity: { conv: 'per-channel', matmul: 'per-channel' },
  activationZeroPoint: 'any',
  weightZeroPoint: 'any',
  scale: 'any',
  unifiedScaleOps: [],
  confidence: 'vendor-doc',
} as const;

const npuNotes: Figure<string>[] = [
  figure('Shapes must be static.', 'openvino-npu', 'vendor-doc'),
  figure('Inputs of Add, Mul, Max, Min and comparisons must have one scale.', 'nncf-npu', 'vendor-doc'),
  figure('Computes in float16 and 8 bits; float32 models are converted.', 'openvino-npu', 'vendor-doc'),
];

const npu = (id: string, name: string, engine: string, tops: number, dram?: number): DeviceProfile => ({
  ...common,
  id,
  name,
  engine,
  kind: 'openvino-npu',
  precisions: figure(['float16', 'int8', 'int4'], 'openvino-npu', 'vendor-doc'),
  staticShapes: figure(true, 'openvino-npu', 'vendor-doc'),
  quantization: {
    ...quantization,
    unifiedScaleOps: ['Add', 'Mul', 'Max', 'Min', 'Equal', 'Greater', 'Less', 'Concat'],
    source: 'nncf-npu',
  },
  peakMacsPerSecond: { int8: figure(tops * 0.5e12, 'intel-press', 'low') },
  memory: { ...(dram && { dramBytesPerSecond: figure(dram, 'intel-press', 'low') }) },
  notes: npuNotes,
  confidence: 'vendor-doc',
});

const cpu = (id: string, name: string): DeviceProfile => ({
  ...common,
  id,
  name,
  engine: 'OpenVINO CPU',
  kind: 'openvino-cpu',
  precisions: figure(['float32', 'float16', 'int8', 'int4'], 'nncf-cpu', 'vendor-doc'),
  staticShapes: figure(false, 'openvino-npu', 'vendor-doc'),
  quantization: { ...quantization, source: 'nncf-cpu' },
  notes: [
    figure('Depthwise convolutions may have one activation scale a channel.', 'nncf-cpu', 'vendor-doc'),
  ],
  confidence: 'vendor-doc',
});

const gpu = (id: string, name: string): DeviceProfile => ({
  ...common,
  id,
  name,
  engine: 'OpenVINO GPU',
  kind: 'openvino-gpu',
  precisions: figure(['float32', 'float16', 'int8', 'int4'], 'nncf-gpu', 'vendor-doc'),
  staticShapes: figure(false, 'openvino-npu', 'low'),
  quantization: { ...quantization, source: 'nncf-gpu' },
  notes: [figure('Float models run in float16 unless told otherwise.', 'openvino-npu', 'low')],
  confidence: 'vendor-doc',
});

export const INTEL: readonly DeviceProfile[] = [
  cpu('intel-cpu', 'Intel Core and Xeon with VNNI or AMX'),
  cpu('intel-core-i7-1185g7', 'Core i7-1185G7 (Tiger Lake)'),
  cpu('intel-core-i9-13900k', 'Core i9-13900K (Raptor Lake)'),
  cpu('intel-core-ultra-7-258v', 'Core Ultra 7 258V (Lunar Lake), its CPU'),
  gpu('intel-gpu', 'Intel Arc and Iris Xe graphics'),
  gpu('intel-iris-xe', 'Iris Xe graphics of Core i7-1185G7'),
  gpu('intel-arc-140v', 'Arc 140V graphics of Core Ultra 7 258V'),
  gpu('intel-arc-a770m', 'Arc A770M'),
  npu('intel-npu-meteor-lake', 'Core Ultra, series 1 (Meteor Lake)', 'NPU 3720', 11),
  npu('intel-npu-lunar-lake', 'Core Ultra 200V (Lunar Lake)', 'NPU 4000', 48, 136e9),
];
