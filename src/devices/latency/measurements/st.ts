/**
 * STMicroelectronics' accelerators, STM32 model zoo. STM32N6570-DK: ST Edge AI Core 2.0 (TFLite) and 3.0 (ONNX, PyTorch models).
 * STM32MP257F-DK2: OpenVX. Its rows are of models with one scale a channel, of which 3 to 15 % run on the NPU and the rest on the GPU.
 */
import type { Measurement } from './index.ts';

const N6 = { kind: 'neural-art', precision: 'int8', source: 'st-zoo' } as const;

// biome-ignore format: tables
export const STMICROELECTRONICS: readonly Measurement[] = [
  { ...N6, rig: 'STM32N6570-DK', device: 'stm32n6', ms: {
    'mobilenet_v2_0.35_128': 6.35, 'mobilenet_v2_0.35_224': 9.14, 'mobilenet_v2_1.4_224': 35.34, 'mobilenet_v1_0.25_224': 3.57,
    'mobilenet_v1_0.5_224': 7.38, 'mobilenet_v1_1.0_224': 19.41, 'mobilenet_v2_0.35_128_101': 3.33, 'mobilenet_v2_0.35_224_101': 6.12,
    'mobilenet_v2_1.0_224_101': 18.08, 'mobilenet_v1_0.25_224_101': 2.83, 'mobilenet_v1_0.5_224_101': 6.06, 'mobilenet_v1_1.0_224_101': 16.94,
    'fdmobilenet_0.25_224_101': 1.46, 'fdmobilenet_0.25_128_101': 0.93, squeezenet1_1_128_101: 3.74, squeezenet1_1_224_101: 7.75,
    efficientnet_v2_b0: 57.5, efficientnet_v2_b1: 77.25, efficientnet_v2_b2: 148.78, efficientnet_v2_s: 809.73,
    'mobilenet_v2_0.25_224': 6.5, 'mobilenet_v2_0.5_224': 10.08, 'mobilenet_v2_0.75_224': 15.17, mobilenet_v2: 20.35, 'mobilenet_v1_0.75_224': 11.73,
    timm_regnetx_002: 9.96, shufflenet_v2: 8.35, shufflenet_v2_x1_0: 32.43, squeezenet1_0: 121.2, timm_dla46_c: 184.23, timm_dla46x_c: 186.36,
    timm_dla60x_c: 187.54, timm_semnasnet_100: 37.63, timm_mobilenetv4_conv_small: 13.74, mnasnet05: 11.21,
  } },
  { kind: 'vip-npu-per-channel', precision: 'int8', source: 'st-zoo', rig: 'STM32MP257F-DK2, one scale a channel', device: 'stm32mp25', ms: {
    'mobilenet_v1_0.25_224_5': 14.29, 'mobilenet_v1_0.5_224_5': 32.74, 'mobilenet_v1_0.25_96_5': 3.74, 'mobilenet_v1_0.25_96_1_5': 3.68, mobilenet_v2: 76.29,
    'mobilenet_v2_0.35_224_5': 25.51, 'mobilenet_v2_0.35_128_5': 9.14, squeezenet1_1_128_5: 9.72, squeezenet1_1_224_5: 31.11, 'mlperf-tiny-ic': 2.02,
    cifar_resnet32: 9.16, 'fdmobilenet_0.25_224_5': 6.6, 'fdmobilenet_0.25_128_5': 2.17,
  } },
];
