/** The latency model of `src/devices`: every kind and precision with its error on rows that were held out. */
import { fittedGroup, type Group, measuredKinds } from '../src/devices/latency/estimate.ts';
import { FEATURES } from '../src/devices/latency/features.ts';
import type { HeldOutError } from '../src/devices/latency/held-out.ts';

const groups = (): Group[] =>
  measuredKinds().flatMap(({ kind, precision }) => fittedGroup(kind, precision) ?? []);

/** Rows of the table in `docs/RESULTS.md`, section "Latency models". */
export const latencyTable = (): string[] => [
  '| kind of engine | precision | rows | rigs | models | unseen models: median error, 9 in 10 within, rank | unseen rigs |',
  '|---|---|---|---|---|---|---|',
  ...groups().map(group => {
    const models = new Set(group.rows.map(row => row.model)).size;
    const cells = [group.kind, group.precision, group.rows.length, group.fit.own.size, models];
    return `| ${[...cells, shown(group.unseenModels), shown(group.unseenDevices)].join(' | ')} |`;
  }),
];

const shown = (error: HeldOutError | undefined): string =>
  error
    ? `${(100 * error.medianError).toFixed(0)} %, ×${error.factor90.toFixed(1)}, ${error.rankCorrelation.toFixed(2)}`
    : 'too few';

export const latency = () => ({
  table: latencyTable(),
  groups: groups().map(({ kind, precision, fit, unseenModels, unseenDevices }) => ({
    kind,
    precision,
    unseenModels,
    unseenDevices,
    msPerUnit: Object.fromEntries(FEATURES.map((name, i) => [name, fit.weights[i]])),
  })),
});
