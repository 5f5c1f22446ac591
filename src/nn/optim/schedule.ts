/** Learning-rate schedules: functions from a step (0-based) to a rate. */
export type Schedule =
  | { readonly kind: 'constant'; readonly rate: number; readonly warmupSteps?: number }
  | {
      readonly kind: 'cosine';
      readonly rate: number;
      readonly finalRate: number;
      readonly steps: number;
      readonly warmupSteps?: number;
    }
  | {
      /** Warm-up, stable, then linear decay over the last `decaySteps` (MiniCPM's WSD). */
      readonly kind: 'wsd';
      readonly rate: number;
      readonly finalRate: number;
      readonly steps: number;
      readonly decaySteps: number;
      readonly warmupSteps?: number;
    }
  | {
      /** DeepSeek LLM's: ×0.316 at 80 % and ×0.1 at 90 % of the steps. */
      readonly kind: 'multi-step';
      readonly rate: number;
      readonly steps: number;
      readonly warmupSteps?: number;
      readonly milestones?: readonly (readonly [share: number, factor: number])[];
    };

const DEEPSEEK_MILESTONES = [
  [0.8, 0.316],
  [0.9, 0.1],
] as const;

/** The rate at `step`; warm-up is linear from rate/warmupSteps. */
export function rateAt(schedule: Schedule, step: number): number {
  const warmup = schedule.warmupSteps ?? 0;
  if (step < warmup) return (schedule.rate * (step + 1)) / warmup;
  switch (schedule.kind) {
    case 'constant':
      return schedule.rate;
    case 'cosine': {
      const progress = Math.min(1, (step - warmup) / Math.max(1, schedule.steps - warmup));
      return (
        schedule.finalRate + ((schedule.rate - schedule.finalRate) * (1 + Math.cos(Math.PI * progress))) / 2
      );
    }
    case 'wsd': {
      const left = Math.min(1, Math.max(0, (schedule.steps - step) / Math.max(1, schedule.decaySteps)));
      return schedule.finalRate + (schedule.rate - schedule.finalRate) * left;
    }
    case 'multi-step': {
      const passed = (schedule.milestones ?? DEEPSEEK_MILESTONES).filter(
        ([share]) => step >= share * schedule.steps,
      );
      return schedule.rate * (passed.at(-1)?.[1] ?? 1);
    }
  }
}
