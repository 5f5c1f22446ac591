/** Which rules a device has: those of its kind, and those that its own figures make. */
import type { DeviceProfile } from '../profile.ts';
import { CORTEX_M } from './cortex-m.ts';
import { CPU_ARM64, CPU_X86 } from './cpu.ts';
import { CVFLOW } from './cvflow.ts';
import { ETHOS_U55, ETHOS_U85 } from './ethos.ts';
import { rulesOf } from './from-profile.ts';
import { TENSORRT, WEBGPU } from './gpu.ts';
import { HEXAGON } from './hexagon.ts';
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

export function rulesFor(device: DeviceProfile): Required<RuleSet> {
  const [own, kind] = [rulesOf(device), RULES[device.kind]];
  return {
    nodes: [...(kind?.nodes ?? []), ...own.nodes],
    graphs: [...(kind?.graphs ?? []), ...(own.graphs ?? [])],
  };
}
