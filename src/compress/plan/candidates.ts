/**
 * The plan: which candidates a device makes worth trying, each made from another by one step.
 *
 * 1. What the device computes in says which widths there are; each width is tried on the whole model and on pruned ones.
 * 2. Integers that lose too much when they are chosen after training are trained themselves.
 * 3. Pruning goes on from the milder pruning before it, already recovered.
 */
import type { DeviceProfile } from '../../devices/profile.ts';
import type { Widths } from '../quantize/static/device.ts';
import type { CompressionStep } from './step.ts';
import { halve, integers, learned, MIXED_BITS, mixed, prune } from './steps.ts';

export interface Candidate {
  readonly name: string;
  /** Name of the candidate that it is made of; the original when absent. */
  readonly from?: string;
  /** Absent for the original itself. */
  readonly step?: CompressionStep;
  /** Name of a candidate before it: this one is made where that one loses more than is allowed, and its own parent does not. */
  readonly ifLost?: string;
  /** What is done, for people. */
  readonly title: string;
}

/** Shares of the original's multiply-adds that are left. */
export const SHARES: readonly number[] = [0.75, 0.5, 0.35, 0.25];

const WIDTHS: readonly (readonly [name: string, widths: Widths])[] = [
  ['int8', { activations: 8, weights: 8 }],
  ['int16x8', { activations: 16, weights: 8 }],
  ['int8x4', { activations: 8, weights: 4 }],
];

export interface PlanOptions {
  readonly shares?: readonly number[];
  /** The model has integers already: they are not rounded again. */
  readonly quantized?: boolean;
}

/** The candidates of a device, cheap ones first; parents stand before their children. */
export function candidatesFor(
  device: DeviceProfile,
  { shares = SHARES, quantized = false }: PlanOptions = {},
): Candidate[] {
  const whole: Candidate = { name: quantized ? 'original' : 'float32', title: 'the model as it came' };
  const precisions = (from: Candidate) => (quantized ? [] : precisionsOf(device, from));
  const pruned = shares.flatMap((share, i): Candidate[] => {
    const name = `pruned-${Math.round(100 * share)}`;
    const before = i === 0 ? 1 : (shares[i - 1] as number);
    const from = i === 0 ? whole.name : `pruned-${Math.round(100 * before)}`;
    const title = `${Math.round(100 * share)} % of the multiply-adds`;
    const candidate = { name, from, title, step: prune(share / before) };
    return [candidate, ...precisions(candidate)];
  });
  return [whole, ...precisions(whole), ...pruned];
}

/** A model in each precision that the device computes in; of pruned ones the smallest widths that all take. */
function precisionsOf(device: DeviceProfile, from: Candidate): Candidate[] {
  const isWhole = from.step === undefined;
  const named = (name: string) => (isWhole ? name : `${from.name}+${name}`);
  const titled = (title: string) => (isWhole ? title : `${from.title}, ${title}`);
  const both = WIDTHS.filter(([, w]) => w.activations === 8).every(([, w]) => takes(device, w));
  const widths = WIDTHS.filter(([name, w]) => takes(device, w) && (isWhole || name === 'int8'));
  return [
    ...(device.precisions.value.includes('float16') && (isWhole || widths.length === 0)
      ? [{ name: named('float16'), from: from.name, title: titled('weights in float16'), step: halve }]
      : []),
    ...widths.flatMap(([name, w]): Candidate[] => {
      const title = titled(`activations of ${w.activations} bits, weights of ${w.weights}`);
      const made = { name: named(name), from: from.name, title, step: integers(w) };
      if (w.activations !== 8) return [made];
      const more = { name: `${made.name}-trained`, title: `${title}, trained in integers` };
      return [made, { ...made, ...more, step: learned(w), ifLost: made.name }];
    }),
    ...(isWhole && both
      ? [
          {
            name: `int8x${MIXED_BITS}`,
            from: from.name,
            title: `activations of 8 bits, weights of 4 or 8, ${MIXED_BITS} on average`,
            step: mixed,
          },
        ]
      : []),
  ];
}

function takes({ quantization: q }: DeviceProfile, { activations, weights }: Widths): boolean {
  if (!q) return false;
  return (
    q.activations.some(dtype => dtype.endsWith(`int${activations}`)) &&
    q.weights.some(dtype => dtype.endsWith(`int${weights}`))
  );
}
