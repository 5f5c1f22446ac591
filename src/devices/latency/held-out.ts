/**
 * How good a fit is: the error on rows that it did not see.
 *
 * All rows of one model at a time (the rig known), or all rows of one rig at a time (its factor from the others).
 */
import { median, quantile } from '../../util/statistics.ts';
import { type Fit, fit, predict, predictOn, type Row } from './fit.ts';

export interface HeldOutError {
  readonly rows: number;
  /** Median of |prediction / measurement - 1|. */
  readonly medianError: number;
  /** Nine rows in ten are within this factor. */
  readonly factor90: number;
  /** Spearman's, of predictions and measurements. */
  readonly rankCorrelation: number;
}

type Pair = readonly [predicted: number, measured: number];

/** Every model's rows predicted by a fit that never saw that model. Undefined below three models. */
export function unseenModels(rows: readonly Row[]): HeldOutError | undefined {
  const models = [...new Set(rows.map(row => row.model))];
  if (models.length < 3) return undefined;
  return errorOf(
    models.flatMap(model => {
      const made = fit(rows.filter(row => row.model !== model));
      return rows
        .filter(row => row.model === model)
        .flatMap(({ rig, features, ms }): Pair[] => {
          const predicted = predictOn(made, rig, features);
          return predicted === undefined ? [] : [[predicted, ms]];
        });
    }),
  );
}

/** Every rig's rows predicted from the other rigs. Undefined below three rigs. */
export function unseenRigs(
  rows: readonly Row[],
  paces: ReadonlyMap<string, number>,
): HeldOutError | undefined {
  const rigs = [...new Set(rows.map(row => row.rig))];
  if (rigs.length < 3) return undefined;
  return errorOf(
    rigs.flatMap(rig => {
      const made = fit(rows.filter(row => row.rig !== rig));
      const factor = factorFor(made, paces.get(rig), paces);
      return rows
        .filter(row => row.rig === rig)
        .map(({ features, ms }): Pair => [predict(made.weights, factor, features), ms]);
    }),
  );
}

/** The factor of a rig that was not measured: the median of the others', for the same pace where paces are known. */
export function factorFor(
  { factors }: Fit,
  pace: number | undefined,
  paces: ReadonlyMap<string, number>,
): number {
  const paced = pace === undefined ? [] : [...factors].filter(([rig]) => paces.has(rig));
  if (pace === undefined || paced.length === 0) return median([...factors.values()]);
  return median(paced.map(([rig, factor]) => (factor * (paces.get(rig) as number)) / pace));
}

function errorOf(pairs: readonly Pair[]): HeldOutError {
  const ratios = pairs.map(([predicted, measured]) => predicted / measured);
  return {
    rows: pairs.length,
    medianError: median(ratios.map(r => Math.abs(r - 1))),
    factor90: quantile(
      ratios.map(r => Math.max(r, 1 / r)),
      0.9,
    ),
    rankCorrelation: spearman(
      pairs.map(p => p[0]),
      pairs.map(p => p[1]),
    ),
  };
}

/** Pearson's correlation of ranks, ties shared. */
export function spearman(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranks(a), ranks(b)];
  const middle = (a.length - 1) / 2;
  const product = (p: readonly number[], q: readonly number[]) =>
    p.reduce((sum, v, i) => sum + (v - middle) * ((q[i] as number) - middle), 0);
  return product(x, y) / Math.sqrt(product(x, x) * product(y, y));
}

const ranks = (values: readonly number[]): number[] =>
  values.map(
    v => values.filter(other => other < v).length + (values.filter(other => other === v).length - 1) / 2,
  );
