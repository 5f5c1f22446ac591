/**
 * CPUs by ONNX Runtime or XNNPACK, all cores. ISP: ONNX Runtime's CPU provider, timm and torchvision models at 224. XNNPACK: its own table
 * (8 February 2022). STM32 model zoo: TensorFlow Lite on the Cortex-A7 of STM32MP1. TI modelmaker: TensorFlow Lite on AM62.
 */
import type { Precision } from '../../profile.ts';
import type { SourceKey } from '../../sources.ts';
import type { Measurement } from './index.ts';

const of = (
  kind: 'cpu-x86' | 'cpu-arm64',
  rig: string,
  precision: Precision,
  source: SourceKey,
  ms: Measurement['ms'],
  device?: string,
): Measurement => ({ kind, rig, precision, source, ms, ...(device && { device }) });

// biome-ignore format: a table
const ISP = [
  'efficientnet_b0', 'timm_ese_vovnet19b_dw', 'timm_mixnet_s', 'timm_mnasnet_a1', 'timm_mobilenetv2_050', 'mobilenet_v2', 'timm_mobilenetv2_110d',
  'timm_mobilenetv3_large_100', 'timm_mobilenetv3_small_050', 'timm_repvgg_b0', 'resnet18', 'shufflenet_v2_x1_0', 'vgg13',
];

const isp = (...ms: number[]): Measurement['ms'] =>
  Object.fromEntries(ms.map((time, i) => [ISP[i] as string, time]));

const mobilenets = (v1: number, v2: number, large: number, small: number) => ({
  'mobilenet_v1_1.0_224': v1,
  mobilenet_v2: v2,
  mobilenet_v3_large: large,
  mobilenet_v3_small: small,
});

// biome-ignore format: a table
export const CPU: readonly Measurement[] = [
  of('cpu-x86', 'Core i9-10900X, ONNX Runtime', 'float32', 'isp-benchmark', isp(7.372, 5.433, 12.004, 2.399, 0.997, 1.842, 2.625, 3.727, 1.588, 10.298, 5.935, 3.112, 39.957), 'cpu-x86-vnni'),
  of('cpu-x86', 'Core Ultra 7 265KF, ONNX Runtime', 'float32', 'isp-benchmark', isp(3.572, 2.883, 5.875, 1.602, 0.795, 1.053, 1.532, 3.327, 1.656, 5.242, 2.797, 3.13, 20.248)),
  of('cpu-x86', 'Core Ultra 7 155H, ONNX Runtime', 'float32', 'isp-benchmark', isp(9.074, 10.98, 14.85, 3.849, 1.428, 3.095, 4.567, 4.719, 1.888, 25.707, 12.317, 3.871, 66.228)),
  of('cpu-x86', 'Core i5-5200U, ONNX Runtime', 'float32', 'isp-benchmark', isp(34.642, 49.043, 45.049, 17.303, 6.919, 16.557, 18.203, 14.239, 3.226, 73.577, 41.907, 11.224, 368.626), 'cpu-x86-avx2'),
  of('cpu-arm64', 'Raspberry Pi 4, ONNX Runtime', 'float32', 'isp-benchmark', isp(200.081, 249.765, 194.713, 113.957, 46.726, 103.894, 146.234, 97.349, 20.494, 542.541, 274.989, 40.2, 1738.197)),
  of('cpu-arm64', 'Raspberry Pi 5, ONNX Runtime', 'float32', 'isp-benchmark', isp(63.013, 63.804, 66.758, 34.858, 13.97, 30.221, 44.584, 29.03, 7.58, 108.095, 50.285, 9.432, 421.593)),
  of('cpu-arm64', 'Jetson Orin Nano (six Cortex-A78AE), ONNX Runtime', 'float32', 'isp-benchmark', isp(47.993, 43.191, 51.086, 31.279, 12.926, 26.283, 35.295, 26.29, 7.092, 83.378, 40.043, 10.497, 262.275)),
  of('cpu-arm64', 'Raspberry Pi 4 (arm64), XNNPACK', 'float32', 'xnnpack', mobilenets(77, 46, 40, 15), 'cpu-raspberry-pi-4'),
  of('cpu-arm64', 'Raspberry Pi 4 (arm32), XNNPACK', 'float32', 'xnnpack', mobilenets(72, 41, 38, 13)),
  of('cpu-arm64', 'Raspberry Pi 3+, XNNPACK', 'float32', 'xnnpack', mobilenets(114, 79, 67, 22)),
  of('cpu-arm64', 'Raspberry Pi 2, XNNPACK', 'float32', 'xnnpack', mobilenets(302, 191, 161, 50)),
  of('cpu-arm64', 'Pixel 3a, XNNPACK', 'float32', 'xnnpack', mobilenets(46, 28, 24, 8)),
  of('cpu-arm64', 'Raspberry Pi 4 (arm64), XNNPACK', 'int8', 'xnnpack', { 'mobilenet_v1_1.0_224': 24, mobilenet_v2: 17 }, 'cpu-raspberry-pi-4'),
  of('cpu-arm64', 'Raspberry Pi 3+, XNNPACK', 'int8', 'xnnpack', { 'mobilenet_v1_1.0_224': 46, mobilenet_v2: 30 }),
  of('cpu-arm64', 'Raspberry Pi 2, XNNPACK', 'int8', 'xnnpack', { 'mobilenet_v1_1.0_224': 128, mobilenet_v2: 82 }),
  of('cpu-arm64', 'AM62 (four Cortex-A53), TensorFlow Lite', 'int8', 'ti-models', { mobilenet_v2: 172.92, regnet_x_400mf: 120, yolox_nano_416: 516.15, yolox_tiny_416: 1130.6 }, 'ti-am62'),
  of('cpu-arm64', 'STM32MP157F (two Cortex-A7 at 800 MHz), TensorFlow Lite', 'int8', 'st-zoo', {
    'mobilenet_v1_0.25_224_5': 33.97, 'mobilenet_v1_0.5_224_5': 91.42, 'mobilenet_v1_0.25_96_5': 6.4, 'mobilenet_v1_0.25_96_1_5': 5.83,
    'mobilenet_v2_0.35_224_5': 54.52, 'mobilenet_v2_0.35_128_5': 17.16, squeezenet1_1_128_5: 44.92, squeezenet1_1_224_5: 147.8, 'mlperf-tiny-ic': 6.5, cifar_resnet32: 34.78,
    'fdmobilenet_0.25_224_5': 22.76, 'fdmobilenet_0.25_128_5': 8.08,
  }),
  of('cpu-arm64', 'STM32MP135F (one Cortex-A7 at 1 GHz), TensorFlow Lite', 'int8', 'st-zoo', {
    'mobilenet_v1_0.25_224_5': 52.51, 'mobilenet_v1_0.5_224_5': 145.4, 'mobilenet_v1_0.25_96_5': 9.75, 'mobilenet_v1_0.25_96_1_5': 9.01, squeezenet1_1_128_5: 70.16,
    squeezenet1_1_224_5: 234.8, 'mlperf-tiny-ic': 10.77, cifar_resnet32: 55.32, 'fdmobilenet_0.25_224_5': 33.5, 'fdmobilenet_0.25_128_5': 10.86,
  }),
];
