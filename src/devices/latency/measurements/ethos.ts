/**
 * Ethos-U, int8: not measured but estimated by Arm's own compiler, Vela 5.2.0, with the systems of its `Arm/vela.ini`
 * (`bench/peers/vela_estimates.py`). Public TFLite files that the unit runs whole: mlcommons/tiny (1afd2c9), tensorflow/tflite-micro (90b983c2b), NXP/eiq-model-zoo (94f810a).
 */
import type { Measurement } from './index.ts';

const of = (unit: string, macs: number, clock: number, ms: Measurement['ms']): Measurement => ({
  kind: `ethos-${unit}`,
  precision: 'int8',
  rig: `Ethos-${unit.toUpperCase()}-${macs}, as Vela 5.2 estimates`,
  device: `arm-ethos-${unit}-${macs}`,
  pace: macs * clock,
  source: 'vela-estimates',
  ms,
});

// biome-ignore format: a table
export const ETHOS: readonly Measurement[] = [
  of('u55', 32, 200e6, { 'mlperf-tiny-ad': 0.207, 'mlperf-tiny-ic-large': 19.3, 'mlperf-tiny-ic': 3.52, 'mlperf-tiny-kws': 1.32, 'mlperf-tiny-sww': 0.305, 'mlperf-tiny-vww': 3.49, nxp_face: 13.1, tflm_micro_speech: 0.438, tflm_mobilenet_v2: 111, tflm_person_detect: 3.49 }),
  of('u55', 64, 500e6, { 'mlperf-tiny-ad': 0.402, 'mlperf-tiny-ic-large': 3.88, 'mlperf-tiny-ic': 0.716, 'mlperf-tiny-kws': 0.28, 'mlperf-tiny-sww': 0.124, 'mlperf-tiny-vww': 0.719, nxp_face: 2.79, tflm_micro_speech: 0.122, tflm_mobilenet_v2: 24.9, tflm_person_detect: 0.916 }),
  of('u55', 128, 500e6, { 'mlperf-tiny-ad': 0.402, 'mlperf-tiny-ic-large': 2.18, 'mlperf-tiny-ic': 0.403, 'mlperf-tiny-kws': 0.18, 'mlperf-tiny-sww': 0.119, 'mlperf-tiny-vww': 0.442, nxp_face: 1.52, tflm_micro_speech: 0.0819, tflm_mobilenet_v2: 15.5, tflm_person_detect: 0.708 }),
  of('u55', 256, 500e6, { 'mlperf-tiny-ad': 0.402, 'mlperf-tiny-ic-large': 1.47, 'mlperf-tiny-ic': 0.284, 'mlperf-tiny-kws': 0.117, 'mlperf-tiny-sww': 0.114, 'mlperf-tiny-vww': 0.323, nxp_face: 1.03, tflm_micro_speech: 0.0635, tflm_mobilenet_v2: 11.8, tflm_person_detect: 0.6 }),
  of('u65', 256, 1e9, { 'mlperf-tiny-ad': 0.0582, 'mlperf-tiny-ic-large': 0.542, 'mlperf-tiny-ic': 0.113, 'mlperf-tiny-kws': 0.0569, 'mlperf-tiny-sww': 0.0284, 'mlperf-tiny-vww': 0.246, nxp_face: 0.674, tflm_micro_speech: 0.0377, tflm_mobilenet_v2: 3.49, tflm_person_detect: 0.176 }),
  of('u65', 512, 1e9, { 'mlperf-tiny-ad': 0.0547, 'mlperf-tiny-ic-large': 0.337, 'mlperf-tiny-ic': 0.0713, 'mlperf-tiny-kws': 0.0351, 'mlperf-tiny-sww': 0.0218, 'mlperf-tiny-vww': 0.2, nxp_face: 0.524, tflm_micro_speech: 0.0378, tflm_mobilenet_v2: 2.43, tflm_person_detect: 0.144 }),
  of('u85', 256, 500e6, { 'mlperf-tiny-ad': 0.403, 'mlperf-tiny-ic-large': 1.34, 'mlperf-tiny-ic': 0.252, 'mlperf-tiny-kws': 0.0966, 'mlperf-tiny-sww': 0.115, 'mlperf-tiny-vww': 0.28, nxp_face: 0.882, tflm_micro_speech: 0.0512, tflm_mobilenet_v2: 12.1, tflm_person_detect: 0.59 }),
  of('u85', 2048, 1e9, { 'mlperf-tiny-ad': 0.0446, 'mlperf-tiny-ic-large': 0.0999, 'mlperf-tiny-ic': 0.0281, 'mlperf-tiny-kws': 0.0199, 'mlperf-tiny-sww': 0.024, 'mlperf-tiny-vww': 0.121, nxp_face: 0.229, tflm_micro_speech: 0.0206, tflm_mobilenet_v2: 1.94, tflm_person_detect: 0.0931 }),
];
