/** The latency model of `src/devices`: every kind and precision with its error on rows that were held out. */
import { DEVICES } from '../src/devices/index.ts';
import { fittedGroup, measuredKinds } from '../src/devices/latency/estimate.ts';
import { FEATURES } from '../src/devices/latency/features.ts';

export const latency = () =>
  measuredKinds(DEVICES).map(({ kind, precision }) => {
    const group = fittedGroup(kind, precision, DEVICES);
    return {
      kind,
      precision,
      rows: group?.rows.length,
      devices: group?.fit.factors.size,
      models: new Set(group?.rows.map(row => row.model)).size,
      unseenModels: group?.unseenModels,
      unseenDevices: group?.unseenDevices,
      msPerUnit: Object.fromEntries(FEATURES.map((name, i) => [name, group?.fit.weights[i]])),
    };
  });
