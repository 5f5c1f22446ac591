/** Arm: Cortex-M by CMSIS-NN, Ethos-U by Vela. Cortex-A runs as in `cpu.ts`. */
import { type DeviceProfile, type Figure, figure } from '../profile.ts';

const symmetricWeights = {
  weights: ['int8'],
  granularity: { conv: 'per-channel', matmul: 'per-tensor' },
  activationZeroPoint: 'zero-in-int16',
  weightZeroPoint: 'zero',
  scale: 'any',
  unifiedScaleOps: ['MaxPool', 'AveragePool', 'GlobalAveragePool', 'Reshape', 'Transpose', 'Pad'],
} as const;

const sixteenBits: Figure<string> = figure(
  'Kernels of 16-bit activations ignore zero points: they must be 0.',
  'tflm-int16',
  'vendor-doc',
);

const micro = {
  family: 'arm',
  kind: 'cortex-m',
  formats: figure(['tflite-int8', 'tflite', 'c-array'], 'executorch-cortex-m', 'vendor-doc'),
  precisions: figure(['int8', 'int16', 'int4', 'float32'], 'cmsis-nn', 'vendor-doc'),
  staticShapes: figure(true, 'cmsis-nn', 'vendor-doc'),
  maxRank: figure(4, 'cmsis-nn', 'low'),
  quantization: {
    ...symmetricWeights,
    activations: ['int8', 'int16'],
    source: 'executorch-cortex-m',
    confidence: 'vendor-doc',
  },
} as const satisfies Partial<DeviceProfile>;

interface Micro {
  readonly id: string;
  readonly name: string;
  readonly core: 'M0+' | 'M4' | 'M7' | 'M33' | 'M55' | 'M85';
  readonly clock: number;
  readonly ram?: number;
  readonly flash?: number;
}

const vector = (core: Micro['core']): boolean => core === 'M55' || core === 'M85';

const board = ({ id, name, core, clock, ram, flash }: Micro): DeviceProfile => ({
  ...micro,
  id,
  name,
  engine: `Cortex-${core}, CMSIS-NN`,
  channelAlignment: figure(vector(core) ? 16 : 4, 'cmsis-nn', 'low'),
  clockHz: figure(clock, 'mlperf-tiny-12', 'published'),
  peakMacsPerSecond:
    core === 'M0+' ? {} : { int8: figure(clock * (vector(core) ? 8 : 2), 'cmsis-nn', 'derived') },
  memory: {
    ...(ram && { ramBytes: figure(ram * 1024, 'st-datasheets', 'low') }),
    ...(flash && { flashBytes: figure(flash * 1024, 'st-datasheets', 'low') }),
  },
  notes: [
    figure(
      vector(core)
        ? 'Vector instructions (MVE): 16 lanes of 8 bits.'
        : core === 'M0+'
          ? 'No DSP instructions: plain C kernels.'
          : 'DSP instructions: two 16-bit multiply-adds a cycle.',
      'cmsis-nn',
      'vendor-doc',
    ),
    sixteenBits,
  ],
  confidence: 'published',
});

const ethos = {
  family: 'arm',
  formats: figure(['tflite-int8'], 'vela-docs', 'vendor-doc'),
  precisions: figure(['int8', 'int16'], 'vela-report', 'vendor-doc'),
  staticShapes: figure(true, 'vela-report', 'vendor-doc'),
  maxRank: figure(4, 'vela-ops', 'vendor-doc'),
  channelAlignment: figure(16, 'vela-features', 'vendor-doc'),
  quantization: {
    ...symmetricWeights,
    activations: ['int8', 'uint8', 'int16'],
    source: 'vela-ops',
    confidence: 'vendor-doc',
  },
  sparsity: figure('compressed-weights', 'vela-docs', 'vendor-doc'),
} as const satisfies Partial<DeviceProfile>;

const ethosNotes: Figure<string>[] = [
  sixteenBits,
  figure(
    '8-bit activations everywhere, 16-bit ones for part of the operators.',
    'executorch-ethos',
    'vendor-doc',
  ),
  figure(
    'Only TFLite (or TOSA) goes in: an ONNX file has to be written as int8 TFLite first.',
    'vela-docs',
    'vendor-doc',
  ),
  figure(
    'Feature maps lie in bricks of 16 channels: channel counts round up to 16.',
    'vela-features',
    'vendor-doc',
  ),
  figure(
    'Weights are compressed without loss: zeros and repeated values shrink what is read from flash.',
    'vela-docs',
    'vendor-doc',
  ),
  figure('An operator outside the rules stays for the Cortex-M beside it.', 'vela-docs', 'vendor-doc'),
];

interface Npu {
  readonly kind: 'ethos-u55' | 'ethos-u65' | 'ethos-u85';
  readonly macs: number;
  readonly clock: number;
  readonly sram: number;
  readonly flash?: number;
  readonly dram?: number;
  readonly system: string;
}

const GB = 1e9;

const npu = ({ kind, macs, clock, sram, flash, dram, system }: Npu): DeviceProfile => ({
  ...ethos,
  id: `arm-${kind}-${macs}`,
  name: `Arm ${kind.replace('ethos-u', 'Ethos-U')}, ${macs} multiply-adds a cycle (${system})`,
  engine: `${kind.replace('ethos-u', 'Ethos-U')}-${macs}`,
  kind,
  clockHz: figure(clock, 'vela-ini', 'vendor-doc'),
  peakMacsPerSecond: { int8: figure(macs * clock, 'vela-features', 'derived') },
  memory: {
    ...(kind === 'ethos-u65' && { onChipBytes: figure(384 * 1024, 'vela-ini', 'vendor-doc') }),
    sramBytesPerSecond: figure(sram * GB, 'vela-ini', 'vendor-doc'),
    ...(flash && { flashBytesPerSecond: figure(flash * GB, 'vela-ini', 'vendor-doc') }),
    ...(dram && { dramBytesPerSecond: figure(dram * GB, 'vela-ini', 'vendor-doc') }),
  },
  notes: ethosNotes,
  confidence: 'vendor-doc',
});

export const ARM: readonly DeviceProfile[] = [
  board({
    id: 'arm-cortex-m4',
    name: 'Cortex-M4 at 120 MHz (as on STM32L4R5)',
    core: 'M4',
    clock: 120e6,
    ram: 640,
    flash: 2048,
  }),
  board({
    id: 'arm-cortex-m7',
    name: 'Cortex-M7 at 216 MHz (as on STM32F746)',
    core: 'M7',
    clock: 216e6,
    ram: 320,
    flash: 1024,
  }),
  board({
    id: 'arm-cortex-m33',
    name: 'Cortex-M33 at 160 MHz (as on STM32U575)',
    core: 'M33',
    clock: 160e6,
    ram: 786,
    flash: 2048,
  }),
  board({
    id: 'arm-cortex-m85',
    name: 'Cortex-M85 with Helium at 480 MHz (Renesas RA8D1)',
    core: 'M85',
    clock: 480e6,
  }),
  npu({ kind: 'ethos-u55', macs: 32, clock: 200e6, sram: 1.6, flash: 0.1, system: 'deep embedded' }),
  npu({ kind: 'ethos-u55', macs: 64, clock: 500e6, sram: 4, flash: 0.5, system: 'high-end embedded' }),
  npu({ kind: 'ethos-u55', macs: 128, clock: 500e6, sram: 4, flash: 0.5, system: 'high-end embedded' }),
  npu({ kind: 'ethos-u55', macs: 256, clock: 500e6, sram: 4, flash: 0.5, system: 'high-end embedded' }),
  npu({ kind: 'ethos-u65', macs: 256, clock: 1e9, sram: 16, dram: 3.75, system: 'high-end' }),
  npu({ kind: 'ethos-u65', macs: 512, clock: 1e9, sram: 16, dram: 3.75, system: 'high-end' }),
  npu({ kind: 'ethos-u85', macs: 256, clock: 500e6, sram: 16, flash: 0.5, system: 'flash, high' }),
  npu({ kind: 'ethos-u85', macs: 2048, clock: 1e9, sram: 64, dram: 24, system: 'DRAM, high' }),
];
