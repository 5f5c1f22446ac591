/** Latency estimates from published measurements, with the error that held-out rows had. */
import type { Graph } from '../../graph/ir.ts';
import { Qdq } from '../../ops/qdq.ts';
import type { DeviceProfile, Precision } from '../profile.ts';
import type { SourceKey } from '../sources.ts';
import { type Features, featuresIfFixed } from './features.ts';
import {
  type Fit,
  factorFor,
  fit,
  type HeldOutError,
  predict,
  type Row,
  unseenDevices,
  unseenModels,
} from './fit.ts';
import { MEASUREMENTS } from './measurements.ts';
import { MODEL_FEATURES } from './models.ts';

export interface Estimate {
  readonly ms: number;
  readonly precision: Precision;
  /** device: it was measured itself; kind: only others of its kind were. */
  readonly basis: 'device' | 'kind';
  /** Error on models that the fit did not see. */
  readonly unseenModels?: HeldOutError;
  /** Error on devices that the fit did not see. */
  readonly unseenDevices?: HeldOutError;
  readonly sources: readonly SourceKey[];
}

export interface Group {
  readonly kind: string;
  readonly precision: Precision;
  readonly fit: Fit;
  readonly rows: readonly Row[];
  readonly sources: readonly SourceKey[];
  readonly unseenModels?: HeldOutError;
  readonly unseenDevices?: HeldOutError;
}

/** The kinds and precisions that have published rows; `devices` are all profiles. */
export function measuredKinds(devices: readonly DeviceProfile[]): { kind: string; precision: Precision }[] {
  const kinds = new Map(devices.map(d => [d.id, d.kind]));
  const keys = new Set(MEASUREMENTS.map(m => `${kinds.get(m.device)} ${m.precision}`));
  return [...keys].map(key => {
    const [kind, precision] = key.split(' ') as [string, Precision]; // made above
    return { kind, precision };
  });
}

/** The fit of a kind in a precision, with its held-out errors; undefined where nothing is published. */
export function fittedGroup(
  kind: string,
  precision: Precision,
  devices: readonly DeviceProfile[],
): Group | undefined {
  const kinds = new Map(devices.map(d => [d.id, d.kind]));
  const chosen = MEASUREMENTS.filter(m => kinds.get(m.device) === kind && m.precision === precision);
  const rows = chosen.flatMap(({ device, ms }) =>
    Object.entries(ms).map(
      ([model, time]): Row => ({ device, model, ms: time, features: knownFeatures(model) }),
    ),
  );
  if (rows.length === 0) return undefined;
  return {
    kind,
    precision,
    rows,
    fit: fit(rows),
    sources: [...new Set(chosen.map(m => m.source))],
    ...present('unseenModels', unseenModels(rows)),
    ...present('unseenDevices', unseenDevices(rows, clocksOf(devices))),
  };
}

const present = <K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: T }; // one key

const clocksOf = (devices: readonly DeviceProfile[]): Map<string, number> =>
  new Map(devices.flatMap(d => (d.clockHz ? [[d.id, d.clockHz.value] as const] : [])));

function knownFeatures(model: string): Features {
  const features = MODEL_FEATURES[model];
  if (!features) throw new Error(`no features of "${model}": add it to bench/peers/model_features.py`);
  return features;
}

const groups = new Map<string, Group | undefined>();

function groupFor(kind: string, precision: Precision, devices: readonly DeviceProfile[]): Group | undefined {
  const key = `${kind} ${precision}`;
  if (!groups.has(key)) groups.set(key, fittedGroup(kind, precision, devices));
  return groups.get(key);
}

/**
 * Milliseconds of one run of `graph` (types inferred, all dims numbers) on `device`; undefined where nobody published
 * measurements of its kind, or where a dim is symbolic.
 */
export function estimate(
  graph: Graph,
  device: DeviceProfile,
  devices: readonly DeviceProfile[],
): Estimate | undefined {
  const wanted: Precision[] = new Qdq(graph).quantized ? ['int8', 'int16'] : ['float32', 'float16', 'int8'];
  const precision = wanted.find(p => measured(device.kind, p, devices));
  const group = precision && groupFor(device.kind, precision, devices);
  const features = group && featuresIfFixed(graph);
  if (!group || !features) return undefined;
  const factor = factorFor(group.fit, device.id, clocksOf(devices));
  return {
    ms: predict(group.fit.weights, factor, features),
    precision: group.precision,
    basis: group.fit.factors.has(device.id) ? 'device' : 'kind',
    ...present('unseenModels', group.unseenModels),
    ...present('unseenDevices', group.unseenDevices),
    sources: group.sources,
  };
}

const measured = (kind: string, precision: Precision, devices: readonly DeviceProfile[]): boolean =>
  measuredKinds(devices).some(group => group.kind === kind && group.precision === precision);
