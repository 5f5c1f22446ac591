/**
 * Cortex-M, int8. MLPerf Tiny closed, v1.1 to v1.3 (median of the runs): boards with the software of ST, Bosch, Plumerai, Nuvoton and Renesas.
 * STM32 model zoo: STM32H747I-DISCO by ST Edge AI Core.
 */
import type { SourceKey } from '../../sources.ts';
import type { Measurement } from './index.ts';

const PER_CYCLE = { dsp: 2, mve: 8 } as const;

interface Board {
  readonly megahertz: number;
  /** Which instructions: two 16-bit multiply-adds a cycle, or eight of 8 bits (as in `families/arm.ts`). */
  readonly has?: keyof typeof PER_CYCLE;
  readonly device?: string;
}

const of = (
  rig: string,
  { megahertz, has, device }: Board,
  source: SourceKey,
  ms: Measurement['ms'],
): Measurement => ({
  kind: 'cortex-m',
  rig,
  precision: 'int8',
  source,
  ms,
  ...(device && { device }),
  ...(has && { pace: PER_CYCLE[has] * megahertz * 1e6 }),
});

const tiny = (ad: number | undefined, ic: number, kws: number, vww: number): Measurement['ms'] => ({
  ...(ad !== undefined && { 'mlperf-tiny-ad': ad }),
  'mlperf-tiny-ic': ic,
  'mlperf-tiny-kws': kws,
  'mlperf-tiny-vww': vww,
});

// biome-ignore format: a table
export const CORTEX_M: readonly Measurement[] = [
  of('STM32L4R5 (M4), ST Edge AI Core', { megahertz: 120, has: 'dsp', device: 'stm32l4r5' }, 'mlperf-tiny-12', tiny(5.2608, 165.1255, 43.1872, 88.9284)),
  of('STM32U575 (M33), ST Edge AI Core', { megahertz: 160, has: 'dsp', device: 'stm32u575' }, 'mlperf-tiny-12', tiny(3.4295, 111.0741, 29.0563, 59.2768)),
  of('STM32H7A3 (M7), ST Edge AI Core', { megahertz: 280, has: 'dsp', device: 'stm32h7a3' }, 'mlperf-tiny-12', tiny(1.2255, 40.8447, 11.3179, 23.8044)),
  of('STM32L4R5 (M4), X-CUBE-AI of 2023', { megahertz: 120, has: 'dsp' }, 'mlperf-tiny-11', tiny(6.8573, 213.9953, 62.8733, 118.6944)),
  of('STM32U575 (M33), X-CUBE-AI of 2023', { megahertz: 160, has: 'dsp' }, 'mlperf-tiny-11', tiny(4.8499, 128.2051, 38.5802, 71.5615)),
  of('STM32H7A3 (M7), X-CUBE-AI of 2023', { megahertz: 280, has: 'dsp' }, 'mlperf-tiny-11', tiny(1.8183, 51.9481, 15.3532, 29.6288)),
  of('STM32F746 (M7), Bosch', { megahertz: 216, has: 'dsp', device: 'stm32f746' }, 'mlperf-tiny-12', tiny(1.7112, 62.5547, 18.9588, 57.2475)),
  of('STM32L4R5 (M4), Bosch', { megahertz: 120, has: 'dsp' }, 'mlperf-tiny-12', tiny(5.8352, 180.538, 60.1576, 180.5054)),
  of('STM32U575 (M33), Bosch', { megahertz: 160, has: 'dsp' }, 'mlperf-tiny-12', tiny(3.8043, 120.54, 38.5832, 119.8322)),
  of('STM32H7A3 (M7), Bosch', { megahertz: 280, has: 'dsp' }, 'mlperf-tiny-12', tiny(1.3594, 45.8484, 14.688, 43.7637)),
  of('PSoC 6 (M4), Bosch', { megahertz: 150, has: 'dsp' }, 'mlperf-tiny-12', tiny(5.9686, 162.206, 54.1536, 154.679)),
  of('STM32G0B1 (M0+), Bosch', { megahertz: 64, device: 'stm32g0b1' }, 'mlperf-tiny-12', tiny(40.8931, 1522.07, 474.6084, 1414.4272)),
  of('STM32L4R5 (M4), Plumerai', { megahertz: 120, has: 'dsp', device: 'arm-cortex-m4' }, 'mlperf-tiny-11', tiny(4.0516, 167.7571, 47.7806, 98.7557)),
  of('STM32U575 (M33), Plumerai', { megahertz: 160, has: 'dsp', device: 'arm-cortex-m33' }, 'mlperf-tiny-11', tiny(3.6719, 104.2862, 30.0427, 59.4919)),
  of('STM32F746 (M7), Plumerai', { megahertz: 216, has: 'dsp', device: 'arm-cortex-m7' }, 'mlperf-tiny-11', tiny(1.7088, 62.8773, 17.7491, 34.0797)),
  of('STM32H7A3 (M7), Plumerai', { megahertz: 280, has: 'dsp' }, 'mlperf-tiny-11', tiny(1.3477, 50.9269, 13.8617, 26.8168)),
  of('PSoC 6 (M4), Plumerai', { megahertz: 150, has: 'dsp' }, 'mlperf-tiny-11', tiny(4.4552, 188.9645, 54.0628, 108.2954)),
  of('NuMaker M467 (M4), Zephyr', { megahertz: 200, has: 'dsp' }, 'mlperf-tiny-11', tiny(4.8867, 171.4384, 46.1851, 98.7264)),
  of('RA8D1 (M85), Renesas', { megahertz: 480, has: 'mve', device: 'arm-cortex-m85' }, 'mlperf-tiny-12', tiny(0.5307, 8.4783, 3.4649, 13.3932)),
  of('STM32H747 (M7), ST Edge AI Core', { megahertz: 400, has: 'dsp', device: 'stm32h747' }, 'st-zoo', {
    'mobilenet_v2_0.35_128': 116.13, 'mobilenet_v2_0.35_224': 313.92, mobilenet_v2: 1106.64, 'mobilenet_v2_1.4_224': 2010.66, 'mobilenet_v2_0.35_128_5': 94.34,
    'mobilenet_v2_0.35_224_5': 290.75, 'mobilenet_v1_0.25_224': 166.75, 'mobilenet_v1_0.5_224': 504.37, 'mobilenet_v1_1.0_224': 1641.84,
    'mobilenet_v1_0.25_224_5': 163.78, 'mobilenet_v1_0.5_224_5': 485.79, 'mobilenet_v1_0.25_96_5': 29.94, 'mobilenet_v1_0.25_96_1_5': 28.34,
    'mlperf-tiny-ic': 28.67, cifar_resnet32: 177.7, squeezenet1_1_128_5: 216.67, squeezenet1_1_224_5: 693.3, 'fdmobilenet_0.25_224_5': 53.52,
    'fdmobilenet_0.25_128_5': 17.73,
  }),
];
