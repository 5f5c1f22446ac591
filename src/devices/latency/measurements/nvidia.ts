/**
 * NVIDIA by TensorRT. Ultralytics: YOLO11 at 640 on Jetson Orin Nano Super and Orin NX 16 GB. torch2trt: torchvision models in float16 on
 * Jetson Nano and Xavier (latency column). ISP: ONNX Runtime's TensorRT provider on Orin Nano (JetPack 5.1), float32, copies included.
 */
import type { Precision } from '../../profile.ts';
import type { SourceKey } from '../../sources.ts';
import type { Measurement } from './index.ts';

const of = (
  rig: string,
  precision: Precision,
  source: SourceKey,
  ms: Measurement['ms'],
  device?: string,
): Measurement => ({ kind: 'tensorrt', rig, precision, source, ms, ...(device && { device }) });

const yolo = (n: number, s: number, m: number, l: number, x: number) => ({
  yolo11n: n,
  yolo11s: s,
  yolo11m: m,
  yolo11l: l,
  yolo11x: x,
});

const NANO = 'nvidia-jetson-orin-nano';
const NX = 'nvidia-jetson-orin-nx';

// biome-ignore format: a table
export const NVIDIA: readonly Measurement[] = [
  of('Jetson Orin Nano Super, TensorRT', 'float32', 'ultralytics-jetson', yolo(7.6, 13.29, 28.21, 35.59, 67.32), NANO),
  of('Jetson Orin Nano Super, TensorRT', 'float16', 'ultralytics-jetson', yolo(4.91, 7.3, 13.99, 17.57, 32.94), NANO),
  of('Jetson Orin Nano Super, TensorRT', 'int8', 'ultralytics-jetson', yolo(3.91, 5.25, 9.58, 12.37, 20.72), NANO),
  of('Jetson Orin NX 16 GB, TensorRT', 'float32', 'ultralytics-jetson', yolo(8.05, 14.13, 30.72, 38.68, 76.44), NX),
  of('Jetson Orin NX 16 GB, TensorRT', 'float16', 'ultralytics-jetson', yolo(4.85, 7.55, 14.45, 18.53, 35.99), NX),
  of('Jetson Orin NX 16 GB, TensorRT', 'int8', 'ultralytics-jetson', yolo(4.37, 5.63, 10.19, 13.36, 22.32), NX),
  of('Jetson Orin Nano, ONNX Runtime', 'float32', 'isp-benchmark', {
    efficientnet_b0: 6.346, timm_ese_vovnet19b_dw: 4.429, timm_mixnet_s: 7.463, timm_mnasnet_a1: 3.864, timm_mobilenetv2_050: 2.323, mobilenet_v2: 3.098,
    timm_mobilenetv2_110d: 4.14, timm_mobilenetv3_large_100: 3.888, timm_mobilenetv3_small_050: 2.481, timm_repvgg_b0: 7.968, resnet18: 3.58,
    shufflenet_v2_x1_0: 3.099, vgg13: 18.442,
  }),
  of('Jetson Nano, torch2trt', 'float16', 'torch2trt', {
    alexnet: 14.7, squeezenet1_0: 7.6, squeezenet1_1: 4.34, resnet18: 11.4, resnet34: 20.2, resnet50: 29.8, resnet101: 51.1, resnet152: 72.3,
    densenet121: 24.8, densenet169: 31.2, densenet201: 40.8, densenet161: 65.8, vgg11: 55.1, vgg13: 68.7, vgg16: 85.1,
  }),
  of('Jetson Xavier, torch2trt', 'float16', 'torch2trt', {
    alexnet: 2.02, squeezenet1_0: 1.49, squeezenet1_1: 1.02, resnet18: 1.64, resnet34: 2.79, resnet50: 3.37, resnet101: 6.04, resnet152: 8.57,
    densenet121: 13, densenet169: 23.7, densenet201: 33, densenet161: 23, vgg11: 5.24, vgg13: 6.34, vgg16: 7.46, vgg19: 8.61, mobilenet_v2: 1.67,
    shufflenet_v2: 2.17, shufflenet_v2_x1_0: 2.43, shufflenet_v2_x1_5: 2.37, shufflenet_v2_x2_0: 2.48, mnasnet05: 1.4, mnasnet0_75: 1.6, mnasnet1_0: 1.77,
    mnasnet1_3: 2.02,
  }),
];
