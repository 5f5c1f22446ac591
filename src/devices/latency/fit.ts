/**
 * The latency model: t = w_d · x, where the weights w_d ≥ 0 of a rig lie near s_d w, those of its kind of engine times its own factor.
 *
 * 1. A row's loss is r + 1/r - 2 with r = prediction / measurement: (log r)² near 1, alike for too much and too little, and convex in w.
 *    Rows that are off by more than OUTLIER count as |log r|, not as its square (iterated weights): one strange row bends nothing.
 * 2. Three steps: w with factors fixed, the factors as median ratios, in turns; then each rig's own weights, drawn to s_d w.
 * 3. Each weight has a prior: one price for every multiply-add and one share of the time for everything else, in the kind; the kind's in the
 *    rig. The ridge is on w / prior - 1: a class that rows hardly have stays at its prior, one that they have finds its price.
 */
import { median } from '../../util/statistics.ts';
import type { Features } from './features.ts';

export interface Row {
  /** What was measured: a board with its software. */
  readonly rig: string;
  readonly model: string;
  readonly features: Features;
  readonly ms: number;
}

export interface Fit {
  /** Milliseconds a unit of each feature on a rig of factor 1. */
  readonly weights: readonly number[];
  readonly factors: ReadonlyMap<string, number>;
  /** Milliseconds a unit of each feature on each rig. */
  readonly own: ReadonlyMap<string, readonly number[]>;
}

const ROUNDS = 6;
const SWEEPS = 40;
const REWEIGHTINGS = 3;
const OUTLIER = 0.3;
/** Weight of the priors: of a kind's beside the rows of one model, of the kind's beside one row of the rig. */
const KIND_RIDGE = 0.02;
const RIG_RIDGE = 0.3;
/** The first features are multiply-adds. */
const MAC_CLASSES = 5;

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

export const predict = (weights: readonly number[], factor: number, features: Features): number =>
  factor * dot(weights, features);

/** Milliseconds on a rig that was measured; undefined on others. */
export function predictOn(made: Fit, rig: string, features: Features): number | undefined {
  const weights = made.own.get(rig);
  return weights && dot(weights, features);
}

/** Fits rows of one kind of engine in one precision. Rows of one model count as one against the prior: they are not independent. */
export function fit(rows: readonly Row[]): Fit {
  const rigs = [...new Set(rows.map(row => row.rig))];
  let factors = new Map(rigs.map(rig => [rig, 1]));
  let weights: readonly number[] = [];
  const ridge = (KIND_RIDGE * rows.length) / new Set(rows.map(row => row.model)).size;
  for (let round = 0; round < ROUNDS; round++) {
    const lines = rows.map(row => shares(row, factors.get(row.rig) ?? 1));
    const prior = uniform(lines);
    weights = solve(lines, round === 0 ? prior : weights, prior, ridge);
    factors = factorsOf(rows, weights);
  }
  const own = rigs.map(rig => [rig, ownWeights(rows, rig, weights, factors.get(rig) ?? 1)] as const);
  return { weights, factors, own: new Map(own) };
}

function ownWeights(
  rows: readonly Row[],
  rig: string,
  weights: readonly number[],
  factor: number,
): readonly number[] {
  const lines = rows.filter(row => row.rig === rig).map(row => shares(row, 1));
  const near = weights.map(w => w * factor);
  return solve(lines, near, near, RIG_RIDGE);
}

/** What a unit of weight adds to prediction / measurement. */
const shares = ({ features, ms }: Row, factor: number): number[] => features.map(x => (factor * x) / ms);

function factorsOf(rows: readonly Row[], weights: readonly number[]): Map<string, number> {
  const ratios = new Map<string, number[]>();
  for (const row of rows)
    ratios.set(row.rig, [...(ratios.get(row.rig) ?? []), row.ms / dot(weights, row.features)]);
  return new Map([...ratios].map(([rig, list]) => [rig, median(list)]));
}

/** Half of the time for multiply-adds at one price, the other half in equal shares, at the level of the median row. */
function uniform(lines: readonly (readonly number[])[]): number[] {
  const macs = lines.map(line => line.slice(0, MAC_CLASSES).reduce((sum, x) => sum + x, 0));
  const others = (lines[0]?.length ?? 0) - MAC_CLASSES;
  const prior = (lines[0] ?? []).map((_, j) =>
    j < MAC_CLASSES ? 1 / mean(macs) : inverse(others * mean(lines.map(line => line[j] as number))),
  );
  const level = median(lines.map(line => dot(line, prior)));
  return prior.map(w => w / level);
}

const inverse = (x: number): number => (x === 0 ? 0 : 1 / x);

/** Minimizes Σ loss + ridge Σ (w / prior - 1)² over w ≥ 0, from `start`; weights of prior 0 stay 0. */
function solve(
  lines: readonly (readonly number[])[],
  start: readonly number[],
  prior: readonly number[],
  ridge: number,
): number[] {
  const columns = prior.map((unit, j) => Float64Array.from(lines, line => (line[j] as number) * unit));
  const u = Float64Array.from(prior, (unit, j) => (unit > 0 ? (start[j] as number) / unit : 0));
  for (let i = 0; i < REWEIGHTINGS; i++) {
    const trust = product(columns, u).map(r => Math.min(1, OUTLIER / Math.abs(Math.log(r))));
    descend(columns, trust, u, ridge);
  }
  return prior.map((unit, j) => unit * (u[j] as number));
}

/** Σ_j u_j column_j. */
function product(columns: readonly Float64Array[], u: Float64Array): Float64Array {
  const sum = new Float64Array(columns[0]?.length ?? 0);
  columns.forEach((column, j) => {
    for (let i = 0; i < sum.length; i++)
      sum[i] = (sum[i] as number) + (u[j] as number) * (column[i] as number);
  });
  return sum;
}

/** Ratios below this are taken for it: the loss and its slope stay finite. */
const SMALLEST = 0.05;

/** Newton's method a coordinate at a time; changes `u`. */
function descend(
  columns: readonly Float64Array[],
  trust: Float64Array,
  u: Float64Array,
  ridge: number,
): void {
  const ratios = product(columns, u);
  for (let sweep = 0; sweep < SWEEPS; sweep++)
    columns.forEach((column, j) => {
      const before = u[j] as number;
      let slope = 2 * ridge * (before - 1);
      let bend = 2 * ridge;
      for (let i = 0; i < column.length; i++) {
        const a = column[i] as number;
        if (a === 0) continue;
        const inverse = 1 / Math.max(SMALLEST, ratios[i] as number);
        slope += (trust[i] as number) * a * (1 - inverse * inverse);
        bend += 2 * (trust[i] as number) * a * a * inverse * inverse * inverse;
      }
      const step = Math.max(0, before - slope / bend) - before;
      u[j] = before + step;
      for (let i = 0; i < column.length; i++)
        ratios[i] = (ratios[i] as number) + step * (column[i] as number);
    });
}
