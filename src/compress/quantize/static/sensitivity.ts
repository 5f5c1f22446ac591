/**
 * Which weights bear few bits: the error of the outputs with one weight quantized and all else float, and from it a width for
 * every weight within a budget.
 *
 * 1. The error is Σ (y − ŷ)² / Σ y², the mean over the float outputs. Errors of several weights are taken to add up.
 * 2. Widths are chosen exactly (search/budget.ts): of all assignments within the budget none has a smaller sum.
 */
import type { Model } from '../../../graph/ir.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import { GaslawError } from '../../../util/errors.ts';
import { solveBudget } from '../../search/budget.ts';
import type { Feeds } from '../calibrate.ts';
import { type CodeDType, codesOf } from './affine.ts';
import { activationScheme, planOptions, prepare, type StaticOptions, weightOptions } from './index.ts';
import { outputsOf, relativeError } from './outputs.ts';
import { planQdq } from './plan.ts';
import { Simulation } from './simulate.ts';
import { dequantized, quantizeTensor } from './weights.ts';

export interface LayerSensitivity {
  readonly weight: string;
  readonly elements: number;
  readonly widths: readonly {
    readonly dtype: CodeDType;
    /** Relative square error of the outputs. */
    readonly loss: number;
    /** Of the codes, without scales. */
    readonly bytes: number;
  }[];
}

/** The table: a row for each weight that would be quantized, in the order of the graph. */
export async function sensitivity(
  runtime: Runtime,
  model: Model,
  data: Iterable<Feeds>,
  dtypes: readonly CodeDType[],
  options: StaticOptions = {},
): Promise<LayerSensitivity[]> {
  const prepared = prepare(model);
  const plan = planQdq(prepared.graph, planOptions(options));
  const simulation = new Simulation(prepared, planOptions(options), [], activationScheme(options));
  const outputs = async () => {
    using program = await simulation.compile(runtime);
    return await outputsOf(program, data); // before the program goes
  };
  const wanted = await outputs();
  const rows: LayerSensitivity[] = [];
  for (const [i, weight] of plan.weights.entries()) {
    const { name, tensor } = weight;
    const widths = [];
    for (const dtype of dtypes) {
      const q = quantizeTensor(tensor, weightOptions(weight, { ...options, dtypeOf: () => dtype }));
      simulation.setWeight(i, dequantized(q));
      const loss = relativeError(wanted, await outputs());
      widths.push({ dtype, loss, bytes: (bitsOf(dtype) * tensor.data.length) / 8 });
    }
    simulation.setWeight(i, tensor.data as Float32Array);
    rows.push({ weight: name, elements: tensor.data.length, widths });
  }
  return rows;
}

export const bitsOf = (dtype: CodeDType): number => {
  const { low, high } = codesOf({ dtype });
  return Math.log2(high - low + 1);
};

export interface BitAssignment {
  /** For `dtypeOf` of `quantizeStatic`. */
  readonly dtypes: ReadonlyMap<string, CodeDType>;
  readonly loss: number;
  /** Of all codes. */
  readonly bytes: number;
}

/** The widths of least loss whose codes take at most `budgetBytes`. Throws when not even the narrowest fit. */
export function assignBits(table: readonly LayerSensitivity[], budgetBytes: number): BitAssignment {
  const groups = table.map(({ widths }) => widths.map(({ loss, bytes }) => ({ loss, costs: [bytes] })));
  const choice = solveBudget(groups, [budgetBytes]);
  if (!choice) {
    const least = table.reduce((sum, row) => sum + Math.min(...row.widths.map(w => w.bytes)), 0);
    throw new GaslawError(
      `weights take ${least} bytes in the fewest bits that were measured; the budget is ${budgetBytes}`,
    );
  }
  const dtypes = new Map(table.map((row, i) => [row.weight, row.widths[choice.picks[i]].dtype]));
  return { dtypes, loss: choice.loss, bytes: choice.costs[0] };
}

/** The budget of an average over all elements. */
export const bytesOfAverage = (table: readonly LayerSensitivity[], averageBits: number): number =>
  (averageBits * table.reduce((sum, row) => sum + row.elements, 0)) / 8;
