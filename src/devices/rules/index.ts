/** Which rules a device has: those of its kind, and those that its own figures make. */
import type { DeviceProfile, Figure } from '../profile.ts';
import { CORTEX_M, ST_MICRO } from './cortex-m.ts';
import { CPU_ARM64, CPU_X86 } from './cpu.ts';
import { CVFLOW } from './cvflow.ts';
import { ETHOS_U55, ETHOS_U85 } from './ethos.ts';
import { rulesOf } from './from-profile.ts';
import { TENSORRT, WEBGPU } from './gpu.ts';
import { HEXAGON } from './hexagon.ts';
import {
  ETHOS_U55_OPS,
  ETHOS_U85_OPS,
  HTP_OPS,
  NEURAL_ART_OPS,
  OPENVINO_LACKS,
  type OpList,
  ST_MICRO_OPS,
  TENSORRT_LACKS,
  TFLM_OPS,
  TIDL_OPS,
  VIP_OPS,
  WEBGPU_OPS,
} from './op-lists.ts';
import { OPENVINO_CPU, OPENVINO_GPU, OPENVINO_NPU } from './openvino.ts';
import type { RuleSet } from './rule.ts';
import { NEURAL_ART, VIP_NPU } from './st.ts';
import { TIDL } from './tidl.ts';

/** By `kind` of the profile. */
export const RULES: Readonly<Record<string, RuleSet>> = {
  'cpu-x86': CPU_X86,
  'cpu-arm64': CPU_ARM64,
  tensorrt: TENSORRT,
  webgpu: WEBGPU,
  'hexagon-htp': HEXAGON,
  tidl: TIDL,
  cvflow: CVFLOW,
  'cortex-m': CORTEX_M,
  'ethos-u55': ETHOS_U55,
  'ethos-u65': ETHOS_U55,
  'ethos-u85': ETHOS_U85,
  'openvino-cpu': OPENVINO_CPU,
  'openvino-gpu': OPENVINO_GPU,
  'openvino-npu': OPENVINO_NPU,
  'neural-art': NEURAL_ART,
  'vip-npu': VIP_NPU,
};

/** By `kind` of the profile: the ops that it has, or lacks. Kinds without an entry run what ONNX Runtime runs, or publish nothing. */
const OP_LISTS: Readonly<Record<string, readonly [what: 'has' | 'lacks', OpList]>> = {
  tensorrt: ['lacks', TENSORRT_LACKS],
  webgpu: ['has', WEBGPU_OPS],
  'hexagon-htp': ['has', HTP_OPS],
  tidl: ['has', TIDL_OPS],
  'cortex-m': ['has', TFLM_OPS],
  'ethos-u55': ['has', ETHOS_U55_OPS],
  'ethos-u65': ['has', ETHOS_U55_OPS],
  'ethos-u85': ['has', ETHOS_U85_OPS],
  'openvino-cpu': ['lacks', OPENVINO_LACKS],
  'openvino-gpu': ['lacks', OPENVINO_LACKS],
  'openvino-npu': ['lacks', OPENVINO_LACKS],
  'neural-art': ['has', NEURAL_ART_OPS],
  'vip-npu': ['has', VIP_OPS],
};

const stMicro = ({ kind, family }: DeviceProfile): boolean =>
  kind === 'cortex-m' && family === 'stmicroelectronics';

/** The list of ops that findings about a device rest on, as a figure with its source. */
export function operatorsOf(device: DeviceProfile): Figure<string> | undefined {
  const [what, list] = stMicro(device) ? (['has', ST_MICRO_OPS] as const) : (OP_LISTS[device.kind] ?? []);
  return (
    list && {
      source: list.source,
      confidence: list.confidence,
      value: `${what} ${[...list.ops].sort().join(', ')}`,
    }
  );
}

export function rulesFor(device: DeviceProfile): Required<RuleSet> {
  const [own, kind] = [rulesOf(device), stMicro(device) ? ST_MICRO : RULES[device.kind]];
  return {
    nodes: [...(kind?.nodes ?? []), ...own.nodes],
    graphs: [...(kind?.graphs ?? []), ...(own.graphs ?? [])],
  };
}
