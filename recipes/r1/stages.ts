/** What the stages of recipe r1 are called, and what each does in a sentence. */
import type { StageText } from '../pipeline.ts';

export const STAGES = {
  base: {
    title: 'Base model',
    summary: 'learns the form of attempts and true arithmetic from random attempts, no strategy',
    from: [],
  },
  zero: {
    title: 'R1-Zero',
    summary: 'reinforcement learning straight from the base, without an example of a strategy',
    from: ['base'],
  },
  'cold-start': {
    title: 'Cold start',
    summary: 'the base, fine-tuned on a few clean answers of R1-Zero',
    from: ['base', 'zero'],
  },
  'reasoning-rl': {
    title: 'Reasoning RL',
    summary: 'reinforcement learning with a reward for keeping to one language',
    from: ['cold-start'],
  },
  'rejection-sft': {
    title: 'Rejection sampling + SFT',
    summary: 'the base again, fine-tuned on verified answers and general data',
    from: ['base', 'reasoning-rl'],
  },
  'all-scenarios-rl': {
    title: 'RL on all scenarios',
    summary: 'reinforcement learning on reasoning and general tasks together',
    from: ['rejection-sft'],
  },
  'student-base': {
    title: 'Student’s base',
    summary: 'a smaller model learns the form and true arithmetic, as the base did',
    from: [],
  },
  'student-distilled': {
    title: 'Distilled student',
    summary: 'the smaller model, fine-tuned on verified answers of the last model',
    from: ['student-base', 'all-scenarios-rl'],
  },
  'student-int8': {
    title: 'Distilled student, int8',
    summary: 'the distilled student as ONNX with 8-bit weights',
    from: ['student-distilled'],
  },
  'student-int4': {
    title: 'Distilled student, int4',
    summary: 'the distilled student as ONNX with 4-bit weights',
    from: ['student-distilled'],
  },
  'student-rl-only': {
    title: 'RL-only student',
    summary: 'the same smaller model by reinforcement learning alone, at the same compute',
    from: ['student-base'],
  },
} as const satisfies Record<string, Omit<StageText, 'name'>>;

export type StageName = keyof typeof STAGES;
/** A stage's name with its text. */
export const textOf = (name: StageName): StageText => ({ name, ...STAGES[name] });
