/**
 * Ambarella CVflow. Public facts are thin: the compiler is proprietary, and no table of operators, rates or bandwidths
 * is published. The profiles say what is known, claim no latency, and are of low confidence throughout.
 */
import { type DeviceProfile, type Figure, figure } from '../profile.ts';

const common = {
  family: 'ambarella',
  kind: 'cvflow',
  engine: 'CVflow',
  formats: figure(['onnx'], 'ultralytics-ambarella', 'vendor-doc'),
  precisions: figure(['int16', 'int8', 'int4'], 'ambarella-faq', 'low'),
  opset: figure({ min: 11, max: 13 }, 'cooper-garden', 'low'),
  staticShapes: figure(true, 'ultralytics-ambarella', 'low'),
  sparsity: figure('unstructured', 'cooper-garden', 'published'),
  peakMacsPerSecond: {},
  memory: {},
  confidence: 'low',
} as const satisfies Partial<DeviceProfile>;

const notes: Figure<string>[] = [
  figure(
    'Public facts are thin: no operator table, rate or bandwidth is published, so no latency is estimated and the findings are advice.',
    'ambarella-faq',
    'low',
  ),
  figure(
    'ONNX is compiled offline to AmbaPB by a toolchain that customers get; its own quantization runs there, so a float ONNX file goes in.',
    'ultralytics-ambarella',
    'vendor-doc',
  ),
  figure(
    'Zeros in weights save time and memory without structure: their own ResNet-50 is retrained at 60 % zeros, YOLOX-s at 50 %, and exported as ONNX of opset 11 with the zeros inside.',
    'cooper-garden',
    'published',
  ),
];

const chip = (id: string, name: string, more: readonly Figure<string>[] = []): DeviceProfile => ({
  ...common,
  id,
  name,
  notes: [...notes, ...more],
});

export const AMBARELLA: readonly DeviceProfile[] = [
  chip('ambarella-cv72', 'CV72', [figure('4K cameras below 3 W (CV72S).', 'ambarella-press', 'low')]),
  chip('ambarella-cv75', 'CV75'),
  chip('ambarella-cv5', 'CV5', [
    figure(
      '12 "eTOPS" (CV5S) below 5 W: the maker\'s own unit, GPU-equivalent, not multiply-adds.',
      'ambarella-cv5s-press',
      'low',
    ),
  ]),
  chip('ambarella-cv52', 'CV52', [
    figure('6 "eTOPS" (CV52S) below 3 W: the maker\'s own unit.', 'ambarella-cv5s-press', 'low'),
  ]),
  chip('ambarella-cv3-ad', 'CV3-AD', [
    figure('500 "eTOPS": the maker\'s own unit.', 'ambarella-press', 'low'),
  ]),
  chip('ambarella-n1', 'N1', [
    figure(
      'Runs language models (Llama, Qwen2, DeepSeek-R1 distillations up to 32B) by a separate path.',
      'cooper-garden',
      'low',
    ),
  ]),
];
