/**
 * Intel by OpenVINO. Intel's own table for OpenVINO 2024.1: int8, latency column. Ultralytics: YOLO26 at 640 (OpenVINO 2026.2). ISP: timm and
 * torchvision models at 224; what it calls FP16 on a CPU is computed in float32, what it calls FP32 on a GPU or NPU in float16.
 */
import type { Precision } from '../../profile.ts';
import type { SourceKey } from '../../sources.ts';
import type { Measurement } from './index.ts';

type Unit = 'cpu' | 'gpu' | 'npu';

const of = (
  unit: Unit,
  rig: string,
  precision: Precision,
  source: SourceKey,
  ms: Measurement['ms'],
  device?: string,
): Measurement => ({ kind: `openvino-${unit}`, rig, precision, source, ms, ...(device && { device }) });

const named = (names: readonly string[], ms: readonly (number | undefined)[]): Measurement['ms'] =>
  Object.fromEntries(
    names.flatMap((name, i) => (ms[i] === undefined ? [] : [[name, ms[i]] as [string, number]])), // filtered
  );

const INTEL = [
  'bert_base_128',
  'bert_large_384',
  'mobilenet_v2',
  'resnet50',
  'ssd_mobilenet_v1',
  'unet_camvid',
  'yolov8n',
];

const intel = (unit: Unit, rig: string, ms: readonly (number | undefined)[], device?: string): Measurement =>
  of(unit, rig, 'int8', 'openvino-benchmarks', named(INTEL, ms), device);

const YOLO = ['yolo26n', 'yolo26s', 'yolo26m', 'yolo26l', 'yolo26x'];

const yolo = (
  unit: Unit,
  rig: string,
  precision: Precision,
  ms: readonly number[],
  device?: string,
): Measurement => of(unit, rig, precision, 'ultralytics-openvino', named(YOLO, ms), device);

// biome-ignore format: a table
const ISP = [
  'efficientnet_b0', 'timm_ese_vovnet19b_dw', 'timm_mixnet_s', 'timm_mnasnet_a1', 'timm_mobilenetv2_050', 'mobilenet_v2', 'timm_mobilenetv2_110d',
  'timm_mobilenetv3_large_100', 'timm_mobilenetv3_small_050', 'timm_repvgg_b0', 'resnet18', 'shufflenet_v2_x1_0', 'vgg13',
];

const isp = (
  unit: Unit,
  rig: string,
  precision: Precision,
  ms: readonly (number | undefined)[],
): Measurement => of(unit, rig, precision, 'isp-benchmark', named(ISP, ms));

// biome-ignore format: tables
export const OPENVINO: readonly Measurement[] = [
  intel('cpu', 'Atom x7425E', [96.96, 983.06, 4.12, 23.86, 10.81, 889.26, 47.42]),
  intel('cpu', 'Atom X6425E', [undefined, undefined, 7.9, 52, 22.81, 2079.98, 100.34]),
  intel('cpu', 'Celeron 6305E', [88.3, 858.37, 3.68, 19.92, 9.16, 675.09, 40.42]),
  intel('cpu', 'Core i3-8100', [49.44, 497.61, 2.06, 10.79, 5.02, 421.22, 19.03]),
  intel('cpu', 'Core i5-10500TE', [36.5, 350.37, 1.62, 8.26, 3.65, 322.24, 13.51]),
  intel('cpu', 'Core i5-13600K', [13.9, 124.83, 0.7, 3.13, 1.43, 96.97, 5.24]),
  intel('cpu', 'Core i5-8500', [31.74, 302.98, 1.4, 7.12, 3.16, 261.63, 11.79]),
  intel('cpu', 'Core i7-1185G7', [22.87, 200.37, 0.97, 5.01, 2.22, 155.79, 10.32], 'intel-core-i7-1185g7'),
  intel('cpu', 'Core i7-1185GRE', [28.37, 267.81, 1.22, 6.47, 2.84, 202.15, 13.29]),
  intel('cpu', 'Core i7-12700H', [17.28, 164.16, 0.93, 3.89, 1.89, 127.88, 6.6]),
  intel('cpu', 'Core Ultra 7 165H', [40.91, 270.22, 1.66, 7.98, 3.69, 193.84, 15.57]),
  intel('cpu', 'Core i7-1360P', [24.95, 234.22, 1.11, 5.22, 2.5, 190.68, 9.38]),
  intel('cpu', 'Core i7-8700T', [43.02, 412.97, 1.89, 10.05, 4.38, 387.77, 16.4]),
  intel('cpu', 'Core i9-10900TE', [37.61, 331.61, 1.57, 7.68, 3.42, 282.55, 12.67]),
  intel('cpu', 'Core i9-13900K', [10.79, 91.44, 0.58, 2.22, 1.15, 73.46, 4.02], 'intel-core-i9-13900k'),
  intel('cpu', 'Xeon W1290P', [28.37, 225.84, 1.31, 5.44, 2.38, 180.68, 9.01]),
  intel('cpu', 'Xeon E-2124G', [50.19, 486.39, 2.1, 11.17, 5.17, 442.99, 19.28]),
  intel('cpu', 'two Xeon Gold 5218T', [14.57, 105.49, 1.54, 3.03, 1.65, 71.09, 5.91]),
  intel('cpu', 'two Xeon Platinum 8490H', [3.89, undefined, 0.69, 1.07, 0.76, 9.3, 3.37]),
  intel('gpu', 'Data Center GPU Flex 170', [18.66, 102.15, 2.17, 4.22, 3.62, 52.47, 10.02]),
  intel('gpu', 'Arc A770M', [21.75, 107.07, 3.02, 5.32, 4.4, 57.84, 12.04], 'intel-arc-a770m'),
  intel('gpu', 'Data Center GPU Flex 140', [82.65, 494.67, 8.4, 19.45, 16.27, 287.24, 52.35]),
  intel('gpu', 'graphics of Atom x7425E', [148.25, 1443.08, 8.73, 35.58, 17.46, 1164.75, 63.27]),
  intel('gpu', 'graphics of Atom X6425E', [300.2, 2832.73, 20.1, 80.84, 40.94, 2003.4, 120.7]),
  intel('gpu', 'graphics of Celeron 6305E', [87.8, 778.27, 5.64, 18.93, 9.63, 478.94, 32.05]),
  intel('gpu', 'graphics of Core i7-1185G7', [58.09, 451.82, 4.9, 13.65, 7.68, 270.28, 23.26], 'intel-iris-xe'),
  intel('gpu', 'graphics of Core i7-1185GRE', [80.98, 738.48, 6.11, 18.84, 10.12, 383.4, 33.07]),
  intel('gpu', 'graphics of Core i7-12700H', [45.09, 358.84, 2.94, 9.98, 5.02, 217.67, 17.93]),
  intel('gpu', 'graphics of Core Ultra 7 165H', [7.03, undefined, undefined, 2.34, 1.39, 32.52, 3.27]),
  intel('npu', 'NPU of Core Ultra 7 165H', [14.83, 160.65, 0.78, 1.61], 'intel-npu-meteor-lake'),

  yolo('cpu', 'Core Ultra 7 258V', 'float32', [17.04, 54.25, 166.36, 216.26, 541.35], 'intel-core-ultra-7-258v'),
  yolo('cpu', 'Core Ultra 7 258V', 'int8', [8.84, 20.47, 52.89, 66.98, 138.26], 'intel-core-ultra-7-258v'),
  yolo('cpu', 'Core Ultra 7 155H', 'float32', [13.47, 36.4, 102.35, 129.12, 287.93]),
  yolo('cpu', 'Core Ultra 7 155H', 'int8', [11.79, 15.75, 35.97, 45.55, 85.32]),
  yolo('gpu', 'graphics of Core Ultra 7 258V', 'float16', [3.53, 5.01, 9.6, 12, 20.25], 'intel-arc-140v'),
  yolo('gpu', 'graphics of Core Ultra 7 258V', 'int8', [3.65, 4.31, 6.03, 8.47, 14.77], 'intel-arc-140v'),
  yolo('gpu', 'graphics of Core Ultra 7 155H', 'float16', [9.84, 17.06, 34.75, 44.65, 79.83]),
  yolo('gpu', 'graphics of Core Ultra 7 155H', 'int8', [5.86, 10.33, 15.99, 20.31, 35.16]),
  yolo('npu', 'NPU of Core Ultra 7 258V', 'float16', [7.98, 9.74, 16.8, 19.21, 32.87], 'intel-npu-lunar-lake'),
  yolo('npu', 'NPU of Core Ultra 7 258V', 'int8', [8.17, 11.88, 15.68, 17.25, 25.88], 'intel-npu-lunar-lake'),

  isp('cpu', 'Core Ultra 7 155H, Linux', 'float32', [6.127, 9.227, 5.314, 2.992, 1.326, 2.525, 3.932, 15.773, 4.231, 18.928, 10.146, 2.409, 62.004]),
  isp('cpu', 'Core Ultra 7 265KF', 'float32', [2.338, 4.177, 1.977, 1.196, 0.508, 1.145, 1.713, 1.8, 0.41, 7.223, 4.796, 1.115, 29.189]),
  isp('gpu', 'graphics of Core Ultra 7 155H, Linux', 'float16', [4.161, 2.994, 6.591, 2.686, 2.06, 2.236, 3.127, 16.194, 3.398, 6.546, 2.293, 2.033, 8.607]),
  of('npu', 'NPU of Core Ultra 7 155H, Linux', 'float16', 'isp-benchmark', named(ISP, [5.286, 3.807, 4.715, 2.485, 1.503, 1.963, 2.359, 16.186, 4.236, 5.214, 2.931, 2.405, 17.068]), 'intel-npu-meteor-lake'),
  isp('npu', 'NPU of Core Ultra 7 265KF', 'float16', [3.882, 2.172, 2.27, 1.239, 0.855, 1.082, 1.469, 1.88, 1.1, 3.107, 1.509, 1.309, 11.961]),
  isp('npu', 'NPU of Core Ultra 7 265KF', 'int8', [4.456, 1.675, undefined, 1.666, 1.104, 1.041, 1.552, 2.377, 1.858, 2.984, 1.77, 1.984, 6.769]),
];
