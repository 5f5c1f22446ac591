/** Texas Instruments: TIDL on the C7x DSP with its matrix unit (MMA), and a Cortex-A chip without one. */
import { type DeviceProfile, type Figure, figure } from '../profile.ts';

const common = {
  family: 'texas-instruments',
  formats: figure(['onnx', 'onnx-qdq', 'tflite', 'tflite-int8'], 'tidl-ops', 'vendor-doc'),
  precisions: figure(['int8', 'int16'], 'tidl-quantization', 'vendor-doc'),
  opset: figure({ min: 9, max: 19 }, 'tidl-ops', 'vendor-doc'),
  staticShapes: figure(true, 'tidl-ops', 'vendor-doc'),
  maxRank: figure(6, 'tidl-ops', 'low'),
  sparsity: figure('none', 'ti-optimization', 'low'),
} as const satisfies Partial<DeviceProfile>;

const affine = {
  activations: ['int8', 'uint8'],
  weights: ['int8'],
  granularity: { conv: 'per-channel', matmul: 'per-channel' },
  activationZeroPoint: 'any',
  weightZeroPoint: 'zero',
  scale: 'any',
  unifiedScaleOps: [],
  source: 'tidl-quantization',
  confidence: 'vendor-doc',
} as const;

const powerOfTwo = {
  ...affine,
  granularity: { conv: 'per-tensor', matmul: 'per-tensor' },
  activationZeroPoint: 'zero',
  scale: 'power-of-two',
} as const;

const notes: Figure<string>[] = [
  figure(
    'An operator that the accelerator does not take runs on the Cortex-A: each such break is one more subgraph and a trip through DDR.',
    'tidl-ops',
    'vendor-doc',
  ),
  figure(
    'Precision may change at convolutions, BatchNormalization, average pools and elementwise ops only.',
    'tidl-quantization',
    'vendor-doc',
  ),
];

interface Chip {
  readonly id: string;
  readonly name: string;
  readonly tops: number;
  readonly generation: string;
  readonly quantization?: DeviceProfile['quantization'];
  readonly more?: readonly Figure<string>[];
}

const chip = ({ id, name, tops, generation, quantization = affine, more = [] }: Chip): DeviceProfile => ({
  ...common,
  id,
  name,
  kind: 'tidl',
  engine: `C7x with MMA (${generation})`,
  quantization,
  peakMacsPerSecond: { int8: figure(tops * 0.5e12, 'ti-modelmaker', 'vendor-doc') },
  memory: {},
  notes: [...notes, ...more],
  confidence: 'vendor-doc',
});

const noTables = figure(
  'No table look-ups: Sigmoid, HardSigmoid, Gelu, Tanh, Softmax and Elu are slow here.',
  'tidl-ops',
  'vendor-doc',
);

export const TEXAS_INSTRUMENTS: readonly DeviceProfile[] = [
  chip({ id: 'ti-am62a', name: 'AM62A', tops: 2, generation: 'AM62A', more: [noTables] }),
  chip({ id: 'ti-am67a', name: 'AM67A', tops: 4, generation: 'AM67A' }),
  chip({
    id: 'ti-tda4vm',
    name: 'TDA4VM (AM68PA)',
    tops: 8,
    generation: 'first',
    quantization: powerOfTwo,
    more: [
      figure(
        'Symmetric power-of-two scales only: asymmetric models must be calibrated again.',
        'tidl-quantization',
        'vendor-doc',
      ),
    ],
  }),
  chip({ id: 'ti-am68a', name: 'AM68A', tops: 8, generation: 'second' }),
  chip({
    id: 'ti-am69a',
    name: 'AM69A',
    tops: 32,
    generation: 'second, four cores',
    more: [
      figure(
        'One network runs on one of the four cores: 8 TOPS of the 32 for one inference.',
        'ti-models',
        'published',
      ),
    ],
  }),
  {
    ...common,
    id: 'ti-am62',
    name: 'AM62 (Cortex-A53, no accelerator)',
    kind: 'cpu-arm64',
    engine: 'four Cortex-A53, TFLite',
    precisions: figure(['float32', 'int8'], 'ti-modelmaker', 'vendor-doc'),
    staticShapes: figure(false, 'ti-modelmaker', 'low'),
    quantization: affine,
    peakMacsPerSecond: {},
    memory: {},
    notes: [figure('MobileNetV2-lite at 224×224: 172.9 ms.', 'ti-models', 'published')],
    confidence: 'published',
  },
];
