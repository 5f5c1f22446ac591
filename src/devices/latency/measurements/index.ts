/** Published latencies in milliseconds of one inference, batch 1. Nothing here was measured by this project. */
import type { Precision } from '../../profile.ts';
import type { SourceKey } from '../../sources.ts';
import { CORTEX_M } from './cortex-m.ts';
import { CPU } from './cpu.ts';
import { ETHOS } from './ethos.ts';
import { HEXAGON } from './hexagon.ts';
import { NVIDIA } from './nvidia.ts';
import { OPENVINO } from './openvino.ts';
import { STMICROELECTRONICS } from './st.ts';
import { TIDL } from './tidl.ts';

export interface Measurement {
  /** Kind of engine (`kind` of profiles): rows of one kind and precision are fitted together. */
  readonly kind: string;
  /** What was measured: a board with its software. Boards with different software are different rigs. */
  readonly rig: string;
  /** The profile that this rig is, where there is one. */
  readonly device?: string;
  /** Multiply-adds a second that its instructions allow: relates rigs that were measured to devices that were not. */
  readonly pace?: number;
  readonly precision: Precision;
  readonly source: SourceKey;
  /** Milliseconds by name of the model in `models.ts`. */
  readonly ms: Readonly<Record<string, number>>;
}

export const MEASUREMENTS: readonly Measurement[] = [
  ...CPU,
  ...NVIDIA,
  ...HEXAGON,
  ...TIDL,
  ...CORTEX_M,
  ...ETHOS,
  ...OPENVINO,
  ...STMICROELECTRONICS,
];
