/** Latency estimates from published measurements, with the error that held-out rows had. */
import type { Graph } from '../../graph/ir.ts';
import { Qdq } from '../../ops/qdq.ts';
import type { DeviceProfile, Precision } from '../profile.ts';
import type { SourceKey } from '../sources.ts';
import { type Features, featuresIfFixed } from './features.ts';
import { type Fit, fit, predict, predictOn, type Row } from './fit.ts';
import { factorFor, type HeldOutError, unseenModels, unseenRigs } from './held-out.ts';
import { MEASUREMENTS } from './measurements/index.ts';
import { MODEL_FEATURES } from './models.ts';

export interface Estimate {
  readonly ms: number;
  readonly precision: Precision;
  /** device: it was measured itself; kind: only others of its kind were. */
  readonly basis: 'device' | 'kind';
  /** What was measured, where the basis is the device. */
  readonly rig?: string;
  /** Error on models that the fit did not see. */
  readonly unseenModels?: HeldOutError;
  /** Error on rigs that the fit did not see. */
  readonly unseenDevices?: HeldOutError;
  readonly sources: readonly SourceKey[];
}

export interface Group {
  readonly kind: string;
  readonly precision: Precision;
  readonly fit: Fit;
  readonly rows: readonly Row[];
  readonly sources: readonly SourceKey[];
  /** Rig of each profile that was measured. */
  readonly rigs: ReadonlyMap<string, string>;
  readonly paces: ReadonlyMap<string, number>;
  readonly unseenModels?: HeldOutError;
  readonly unseenDevices?: HeldOutError;
}

/** The kinds and precisions that have published rows. */
export function measuredKinds(): { kind: string; precision: Precision }[] {
  const keys = new Map(
    MEASUREMENTS.map(({ kind, precision }) => [`${kind} ${precision}`, { kind, precision }]),
  );
  return [...keys.values()];
}

/** The fit of a kind in a precision, with its held-out errors; undefined where nothing is published. */
export function fittedGroup(kind: string, precision: Precision): Group | undefined {
  const chosen = MEASUREMENTS.filter(m => m.kind === kind && m.precision === precision);
  const rows = chosen.flatMap(({ rig, ms }) =>
    Object.entries(ms).map(
      ([model, time]): Row => ({ rig, model, ms: time, features: knownFeatures(model) }),
    ),
  );
  if (rows.length === 0) return undefined;
  const paces = new Map(chosen.flatMap(({ rig, pace }) => (pace ? [[rig, pace] as const] : [])));
  return {
    kind,
    precision,
    rows,
    fit: fit(rows),
    sources: [...new Set(chosen.map(m => m.source))],
    rigs: new Map(chosen.flatMap(({ rig, device }) => (device ? [[device, rig] as const] : []))),
    paces,
    ...present('unseenModels', unseenModels(rows)),
    ...present('unseenDevices', unseenRigs(rows, paces)),
  };
}

const present = <K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: T }; // one key

function knownFeatures(model: string): Features {
  const features = MODEL_FEATURES[model];
  if (!features) throw new Error(`no features of "${model}": add it to bench/peers/model_features.py`);
  return features;
}

const groups = new Map<string, Group | undefined>();

function groupFor(kind: string, precision: Precision): Group | undefined {
  const key = `${kind} ${precision}`;
  if (!groups.has(key)) groups.set(key, fittedGroup(kind, precision));
  return groups.get(key);
}

/** Of quantized graphs integers are measured; float graphs run as the engine runs them, or will be quantized first. */
const WANTED = {
  quantized: ['int8', 'int16'],
  float: ['float32', 'float16', 'int8'],
} as const satisfies Record<string, readonly Precision[]>;

/**
 * Milliseconds of one run of `graph` (types inferred, all dims numbers) on `device`; undefined where nobody published
 * measurements of its kind, or where a dim is symbolic.
 */
export function estimate(graph: Graph, device: DeviceProfile): Estimate | undefined {
  const qdq = new Qdq(graph);
  const kind = kindOf(device, graph, qdq);
  const precision = precisionFor(device.id, kind, qdq.quantized ? WANTED.quantized : WANTED.float);
  const group = precision && groupFor(kind, precision);
  const features = group && featuresIfFixed(graph);
  if (!group || !features) return undefined;
  const rig = group.rigs.get(device.id);
  const pace = device.peakMacsPerSecond.int8?.value;
  return {
    ms:
      (rig && predictOn(group.fit, rig, features)) ||
      predict(group.fit.weights, factorFor(group.fit, pace, group.paces), features),
    precision: group.precision,
    basis: rig ? 'device' : 'kind',
    ...present('rig', rig),
    ...present('unseenModels', group.unseenModels),
    ...present('unseenDevices', group.unseenDevices),
    sources: group.sources,
  };
}

/** The NPU of STM32MP2 leaves convolutions with one scale a channel to the GPU: those models have rows of their own. */
function kindOf({ kind }: DeviceProfile, graph: Graph, qdq: Qdq): string {
  const perChannel = graph.nodes.some(
    node => node.opType === 'Conv' && (qdq.behind(node.inputs[1] ?? '')?.quantization.scale.length ?? 1) > 1,
  );
  return kind === 'vip-npu' && perChannel ? 'vip-npu-per-channel' : kind;
}

/** The first precision in which the device itself was measured, else the first in which its kind was. */
function precisionFor(id: string, kind: string, wanted: readonly Precision[]): Precision | undefined {
  const rows = MEASUREMENTS.filter(m => m.kind === kind);
  const measured = (some: typeof rows) => wanted.find(p => some.some(m => m.precision === p));
  return measured(rows.filter(m => m.device === id)) ?? measured(rows);
}
