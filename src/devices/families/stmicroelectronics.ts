/** STMicroelectronics: STM32 microcontrollers by ST Edge AI Core (X-CUBE-AI), STM32N6 and H7P with Neural-ART, STM32MP2. */
import { type DeviceProfile, type Figure, figure } from '../profile.ts';

const common = {
  family: 'stmicroelectronics',
  opset: figure({ min: 7, max: 20 }, 'st-onnx-ops', 'vendor-doc'),
  staticShapes: figure(true, 'st-series', 'vendor-doc'),
} as const satisfies Partial<DeviceProfile>;

const symmetricWeights = {
  activations: ['int8', 'uint8'],
  weights: ['int8'],
  granularity: { conv: 'per-channel', matmul: 'per-channel' },
  activationZeroPoint: 'any',
  weightZeroPoint: 'zero',
  scale: 'any',
  unifiedScaleOps: [],
  confidence: 'vendor-doc',
} as const;

interface Micro {
  readonly id: string;
  readonly name: string;
  readonly core: string;
  readonly clock: number;
  readonly ram: number;
  readonly flash: number;
}

const KiB = 1024;

const micro = ({ id, name, core, clock, ram, flash }: Micro): DeviceProfile => ({
  ...common,
  id,
  name,
  engine: `Cortex-${core}, ST Edge AI Core`,
  kind: 'cortex-m',
  formats: figure(['tflite-int8', 'tflite', 'onnx-qdq', 'onnx', 'c-array'], 'st-series', 'vendor-doc'),
  precisions: figure(['int8', 'float32'], 'st-series', 'vendor-doc'),
  maxRank: figure(4, 'st-series', 'low'),
  channelAlignment: figure(4, 'cmsis-nn', 'low'),
  quantization: { ...symmetricWeights, source: 'st-series' },
  clockHz: figure(clock, core === 'M7' && clock === 400e6 ? 'st-zoo' : 'mlperf-tiny-12', 'published'),
  peakMacsPerSecond: {},
  memory: {
    ramBytes: figure(ram * KiB, 'st-datasheets', 'low'),
    flashBytes: figure(flash * KiB, 'st-datasheets', 'low'),
  },
  notes: [
    figure(
      'Takes the network as TFLite or ONNX and writes C: weights lie in flash, activations in RAM.',
      'st-series',
      'vendor-doc',
    ),
  ],
  confidence: 'published',
});

const neuralArtNotes: Figure<string>[] = [
  figure('Float layers run on the Cortex-M beside it.', 'st-neuralart', 'vendor-doc'),
  figure(
    'Weights of 8 bits, symmetric, one scale a channel; activations of 8 bits.',
    'st-neuralart',
    'vendor-doc',
  ),
];

export const STMICROELECTRONICS: readonly DeviceProfile[] = [
  micro({ id: 'stm32l4r5', name: 'STM32L4R5', core: 'M4', clock: 120e6, ram: 640, flash: 2048 }),
  micro({ id: 'stm32u575', name: 'STM32U575', core: 'M33', clock: 160e6, ram: 786, flash: 2048 }),
  micro({ id: 'stm32f746', name: 'STM32F746', core: 'M7', clock: 216e6, ram: 320, flash: 1024 }),
  micro({ id: 'stm32h7a3', name: 'STM32H7A3', core: 'M7', clock: 280e6, ram: 1024, flash: 2048 }),
  micro({ id: 'stm32h747', name: 'STM32H747', core: 'M7', clock: 400e6, ram: 1024, flash: 2048 }),
  micro({ id: 'stm32g0b1', name: 'STM32G0B1', core: 'M0+', clock: 64e6, ram: 144, flash: 512 }),
  {
    ...common,
    id: 'stm32n6',
    name: 'STM32N6 (N657)',
    engine: 'Neural-ART 14, Cortex-M55 at 800 MHz',
    kind: 'neural-art',
    formats: figure(['tflite-int8', 'onnx-qdq'], 'st-neuralart', 'vendor-doc'),
    precisions: figure(['int8'], 'st-neuralart', 'vendor-doc'),
    maxRank: figure(4, 'st-neuralart', 'low'),
    quantization: { ...symmetricWeights, source: 'st-neuralart' },
    clockHz: figure(1e9, 'st-datasheets', 'low'),
    peakMacsPerSecond: { int8: figure(0.3e12, 'st-datasheets', 'low') },
    memory: { ramBytes: figure(4.2e6, 'st-datasheets', 'low') },
    notes: [
      ...neuralArtNotes,
      figure('Four convolution accelerators.', 'st-neuralart-concepts', 'vendor-doc'),
    ],
    confidence: 'published',
  },
  {
    ...common,
    id: 'stm32h7p',
    name: 'STM32H7P',
    engine: 'Neural-ART at 550 MHz, Cortex-M7',
    kind: 'neural-art',
    formats: figure(['tflite-int8', 'onnx-qdq'], 'st-h7p', 'vendor-doc'),
    precisions: figure(['int8'], 'st-h7p', 'vendor-doc'),
    maxRank: figure(4, 'st-neuralart', 'low'),
    quantization: { ...symmetricWeights, source: 'st-neuralart' },
    clockHz: figure(550e6, 'st-h7p', 'vendor-doc'),
    peakMacsPerSecond: { int8: figure(45e9, 'st-h7p', 'vendor-doc') },
    memory: {},
    notes: [
      ...neuralArtNotes,
      figure(
        'No cache before external memory: keep activations and weights on chip.',
        'st-h7p',
        'vendor-doc',
      ),
    ],
    confidence: 'vendor-doc',
  },
  {
    ...common,
    id: 'stm32mp25',
    name: 'STM32MP25',
    engine: 'GCNanoUltra31-VIP at 800 MHz',
    kind: 'vip-npu',
    formats: figure(['tflite-int8', 'onnx-qdq'], 'st-mp2-npu', 'vendor-doc'),
    precisions: figure(['int8'], 'st-mp2-npu', 'vendor-doc'),
    quantization: {
      ...symmetricWeights,
      weights: ['uint8', 'int8'],
      granularity: { conv: 'per-tensor', matmul: 'per-tensor' },
      weightZeroPoint: 'any',
      source: 'st-mp2-npu',
    },
    clockHz: figure(800e6, 'st-mp2-npu', 'vendor-doc'),
    peakMacsPerSecond: { int8: figure(0.6e12, 'st-mp2-npu', 'vendor-doc') },
    memory: {},
    notes: [
      figure(
        'Only one scale a tensor runs on the NPU: a model with one scale a channel runs on the GPU.',
        'st-mp2-npu',
        'vendor-doc',
      ),
      figure(
        'MobileNetV2 1.0 at 224: 11.9 ms with one scale a tensor, 76.3 ms with one a channel.',
        'st-zoo',
        'published',
      ),
    ],
    confidence: 'published',
  },
];
