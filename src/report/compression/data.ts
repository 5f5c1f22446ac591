/** What the page of a compression shows. Figures are of a batch of one on the named device. */
import type { Interval } from '../../tasks/statistics.ts';
import type { LayerPair } from './layers.ts';

export interface CandidateFigures {
  readonly name: string;
  /** What was done, in words. */
  readonly title: string;
  readonly quality: {
    readonly kind: 'accuracy' | 'agreement' | 'fidelity' | 'likelihood';
    /** From 0 to 1. */
    readonly value: number;
    readonly interval?: Interval;
    /** Of what is lost against the first candidate. */
    readonly lost?: Interval;
    readonly examples: number;
  };
  /** Of the file. */
  readonly bytes: number;
  readonly macs: number;
  readonly peakMemoryBytes?: number;
  readonly estimatedMs?: number;
  readonly estimate?: {
    readonly precision: string;
    readonly basis: 'device' | 'kind';
    readonly unseenModels?: HeldOut;
  };
  readonly measuredMs?: number;
  readonly deploys: boolean;
  /** Bytes of values alive while each node runs, in order. */
  readonly memory: readonly { readonly node: string; readonly bytes: number }[];
  readonly findings: readonly FindingFigures[];
  /** Safe rewrites that were applied, in words. */
  readonly fixes: readonly string[];
  readonly notes: readonly string[];
}

export interface HeldOut {
  readonly medianError: number;
  readonly rankCorrelation: number;
  readonly rows: number;
}

export interface FindingFigures {
  readonly node: string;
  readonly op: string;
  readonly severity: string;
  readonly why: string;
  readonly fix: string;
  readonly source: string;
}

export interface BudgetFigures {
  readonly maxLatencyMs?: number;
  readonly maxMemoryBytes?: number;
  readonly maxDropPoints?: number;
}

export interface CompressionData {
  /** Name of the model's file. */
  readonly model: string;
  readonly device: {
    readonly id: string;
    readonly name: string;
    readonly ramBytes?: number;
    readonly flashBytes?: number;
  };
  readonly budget: BudgetFigures;
  /** How the choice is made, in words. */
  readonly rule: string;
  /** Why the data leave open whether the choice loses too much. */
  readonly unsure?: string;
  readonly met: boolean;
  /** What stands between the chosen candidate and the budget, in words. */
  readonly misses: readonly string[];
  /** What calibrated, trained and evaluated, in a sentence. */
  readonly data: string;
  /** The first is the model as it came. */
  readonly candidates: readonly CandidateFigures[];
  readonly failed: readonly { readonly name: string; readonly title: string; readonly error: string }[];
  /** Names of the Pareto front. */
  readonly front: readonly string[];
  readonly chosen: string;
  readonly layers: readonly LayerPair[];
  /** What is lost when a layer alone is made smaller. */
  readonly sensitivity?: {
    /** For example "points of accuracy lost when the layer alone has 4-bit weights". */
    readonly what: string;
    readonly layers: readonly { readonly name: string; readonly value: number }[];
  };
  readonly files: readonly string[];
  /** The command that made it. */
  readonly command: string;
  readonly version: string;
}

export const originalOf = ({ candidates }: CompressionData): CandidateFigures => candidates[0];

export const chosenOf = ({ candidates, chosen }: CompressionData): CandidateFigures =>
  candidates.find(c => c.name === chosen) ?? candidates[0];

/** Measured where it was. */
export const latencyOf = (c: CandidateFigures): number | undefined => c.measuredMs ?? c.estimatedMs;
