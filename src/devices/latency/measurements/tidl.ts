/** Texas Instruments by TIDL: the tables of modelmaker, "lite" models (ReLU instead of SiLU and the like). AM69A: one of its four cores. */
import type { Measurement } from './index.ts';

const MODELS = [
  'mobilenet_v2',
  'regnet_x_400mf',
  'regnet_x_800mf',
  'yolox_nano_416',
  'yolox_tiny_416',
  'yolox_s_640',
];

const of = (device: string, ...ms: number[]): Measurement => ({
  kind: 'tidl',
  rig: device,
  device,
  precision: 'int8',
  source: 'ti-models',
  ms: Object.fromEntries(ms.map((time, i) => [MODELS[i] as string, time])),
});

export const TIDL: readonly Measurement[] = [
  of('ti-am62a', 4.03, 5.25, 5.95, 8.87, 15.35, 43.94),
  of('ti-am68a', 2.16, 2.74, 2.92, 3.73, 4.82, 10.22),
  of('ti-tda4vm', 2.27, 2.61, 2.95, 3.74, 4.84, 10.14),
  of('ti-am69a', 2.02, 2.64, 2.85, 3.64, 4.73, 9.82),
];
