/**
 * The latency model: t = s_d Σ_f w_f x_f, with weights w of a kind of engine and one factor s of each device.
 *
 * 1. w ≥ 0 and s alternate: w minimizes Σ (prediction / measurement - 1)² with s fixed (coordinate descent on the normal
 *    equations), s is the median ratio of a device's rows with w fixed. Relative errors, since rows span 0.1 to 2,000 ms.
 * 2. Features are scaled by their means, with a ridge towards one price for every multiply-add: a kind with few models stays near
 *    that, one with many finds what each class costs.
 * 3. The error that is shown is of rows that were held out: all rows of one model at a time (the device known), or all rows
 *    of one device at a time (its factor from the others, by clock where clocks are known).
 */
import type { Features } from './features.ts';

export interface Row {
  readonly device: string;
  readonly model: string;
  readonly features: Features;
  readonly ms: number;
}

export interface Fit {
  /** Milliseconds a unit of each feature on a device of factor 1. */
  readonly weights: readonly number[];
  readonly factors: ReadonlyMap<string, number>;
}

const ROUNDS = 12;
const SWEEPS = 200;
const RIDGE = 0.1;
/** The first features are multiply-adds. */
const MAC_CLASSES = 5;

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.ceil((sorted.length - 1) / 2)],
  ];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
};

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);

/** Fits rows of one kind of engine in one precision. */
export function fit(rows: readonly Row[]): Fit {
  let factors = new Map(rows.map(row => [row.device, 1]));
  let weights = solve(rows, factors);
  for (let round = 0; round < ROUNDS; round++) {
    factors = factorsOf(rows, weights);
    weights = solve(rows, factors);
  }
  return { weights, factors: factorsOf(rows, weights) };
}

export const predict = (weights: readonly number[], factor: number, features: Features): number =>
  factor * dot(weights, features);

function factorsOf(rows: readonly Row[], weights: readonly number[]): Map<string, number> {
  const ratios = new Map<string, number[]>();
  for (const row of rows) {
    const base = dot(weights, row.features);
    if (base > 0) ratios.set(row.device, [...(ratios.get(row.device) ?? []), row.ms / base]);
  }
  return new Map([...ratios].map(([device, list]) => [device, median(list)]));
}

/** Non-negative least squares of Σ (s w·x / t - 1)², drawn towards one price for every multiply-add. */
function solve(rows: readonly Row[], factors: ReadonlyMap<string, number>): number[] {
  const lines = rows.map(row => row.features.map(x => ((factors.get(row.device) ?? 1) * x) / row.ms));
  const scale = (lines[0] ?? []).map((_, j) => mean(lines.map(line => line[j] as number)) || 1);
  const scaled = lines.map(line => line.map((x, j) => x / (scale[j] as number)));
  const column = (j: number): number[] => scaled.map(line => line[j] as number);
  const gram = scale.map((_, i) => scale.map((_, j) => dot(column(i), column(j))));
  const target = scale.map((_, j) => column(j).reduce((sum, x) => sum + x, 0));
  const prior = scale.map((unit, j) => (j < MAC_CLASSES ? uniformPrice(lines) * unit : 0));
  return descend(gram, target, prior, RIDGE * rows.length).map((w, j) => w / (scale[j] as number));
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Least squares with one weight for all multiply-adds and none for the rest. */
function uniformPrice(lines: readonly (readonly number[])[]): number {
  const macs = lines.map(line => line.slice(0, MAC_CLASSES).reduce((sum, x) => sum + x, 0));
  return macs.reduce((sum, x) => sum + x, 0) / dot(macs, macs);
}

function descend(
  gram: readonly (readonly number[])[],
  target: readonly number[],
  prior: readonly number[],
  ridge: number,
): number[] {
  const w = [...prior];
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    gram.forEach((line, j) => {
      const rest = (target[j] as number) - dot(line, w) + (line[j] as number) * (w[j] as number);
      w[j] = Math.max(0, (rest + ridge * (prior[j] as number)) / ((line[j] as number) + ridge));
    });
  }
  return w;
}

export interface HeldOutError {
  readonly rows: number;
  /** Median of |prediction / measurement - 1|. */
  readonly medianError: number;
  /** Spearman's, of predictions and measurements. */
  readonly rankCorrelation: number;
}

/** Every model's rows predicted by a fit that never saw that model. */
export function unseenModels(rows: readonly Row[]): HeldOutError | undefined {
  const models = [...new Set(rows.map(row => row.model))];
  if (models.length < 3) return undefined;
  const pairs = models.flatMap(model => {
    const made = fit(rows.filter(row => row.model !== model));
    return rows
      .filter(row => row.model === model && made.factors.has(row.device))
      .map(
        row => [predict(made.weights, made.factors.get(row.device) as number, row.features), row.ms] as const,
      );
  });
  return errorOf(pairs);
}

/** Every device's rows predicted from the other devices; `clocks` relates factors where both are known. */
export function unseenDevices(
  rows: readonly Row[],
  clocks: ReadonlyMap<string, number>,
): HeldOutError | undefined {
  const devices = [...new Set(rows.map(row => row.device))];
  if (devices.length < 3) return undefined;
  const pairs = devices.flatMap(device => {
    const made = fit(rows.filter(row => row.device !== device));
    const factor = factorFor(made, device, clocks);
    return rows
      .filter(row => row.device === device)
      .map(row => [predict(made.weights, factor, row.features), row.ms] as const);
  });
  return errorOf(pairs);
}

/** The factor of a device: its own, else the median of the others', per clock where clocks are known. */
export function factorFor({ factors }: Fit, device: string, clocks: ReadonlyMap<string, number>): number {
  const own = factors.get(device);
  if (own !== undefined) return own;
  const clock = clocks.get(device);
  const timed = clock === undefined ? [] : [...factors].filter(([other]) => clocks.has(other));
  return timed.length > 0 && clock !== undefined
    ? median(timed.map(([other, factor]) => factor * (clocks.get(other) as number))) / clock
    : median([...factors.values()]);
}

function errorOf(pairs: readonly (readonly [number, number])[]): HeldOutError {
  return {
    rows: pairs.length,
    medianError: median(pairs.map(([predicted, measured]) => Math.abs(predicted / measured - 1))),
    rankCorrelation: spearman(
      pairs.map(p => p[0]),
      pairs.map(p => p[1]),
    ),
  };
}

/** Pearson's correlation of ranks, ties shared. */
export function spearman(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length - 1) / 2;
  const product = (p: readonly number[], q: readonly number[]) =>
    p.reduce((sum, v, i) => sum + (v - mean) * ((q[i] as number) - mean), 0);
  return product(x, y) / Math.sqrt(product(x, x) * product(y, y));
}

const ranks = (values: readonly number[]): number[] =>
  values.map(
    v => values.filter(other => other < v).length + (values.filter(other => other === v).length - 1) / 2,
  );
