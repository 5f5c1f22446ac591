/**
 * A made-up run of recipe r1 for tests and for looking at the page. Nothing in it was measured.
 */
import { wilson } from '../tasks/statistics.ts';
import type { MetricsLine } from '../train/metrics.ts';
import type { SampleLine, StageResult, TextStageResult } from '../train/run.ts';
import { Random } from '../util/random.ts';
import type { ReportData } from './data.ts';

const PROBLEMS = 256;

type Row = readonly [
  name: string,
  title: string,
  summary: string,
  from: readonly string[],
  passAt1: number,
  passAtK: number,
  tokens: number,
  other: Partial<StageResult>,
];

const LARGE = { parameters: 612_480, activeParameters: 612_480, bytes: 2_452_608 };
const SMALL = { parameters: 214_320, activeParameters: 214_320, bytes: 859_904 };

const ROWS: readonly Row[] = [
  [
    'base',
    'Base model',
    'learns the form of attempts and true arithmetic from random attempts, no strategy',
    [],
    0.104,
    0.713,
    43.2,
    { ...LARGE, seconds: 118, trainingFlops: 1.51e13, answerMs: 9.6, language: 0.86 },
  ],
  [
    'zero',
    'R1-Zero',
    'reinforcement learning straight from the base, without an example of a strategy',
    ['base'],
    0.634,
    0.918,
    88.4,
    { ...LARGE, seconds: 214, trainingFlops: 2.3e13, samplingFlops: 8.1e12, answerMs: 19.1, language: 0.71 },
  ],
  [
    'cold-start',
    'Cold start',
    'the base, fine-tuned on a few clean answers of R1-Zero',
    ['base', 'zero'],
    0.517,
    0.879,
    71.9,
    { ...LARGE, seconds: 31, trainingFlops: 1.1e12, answerMs: 15.8, language: 0.95 },
  ],
  [
    'reasoning-rl',
    'Reasoning RL',
    'reinforcement learning with a reward for keeping to one language',
    ['cold-start'],
    0.706,
    0.934,
    92.3,
    { ...LARGE, seconds: 74, trainingFlops: 6.4e12, samplingFlops: 2.2e12, answerMs: 20, language: 0.99 },
  ],
  [
    'rejection-sft',
    'Rejection sampling + SFT',
    'the base again, fine-tuned on verified answers and general data',
    ['base', 'reasoning-rl'],
    0.681,
    0.926,
    85,
    { ...LARGE, seconds: 52, trainingFlops: 3.6e12, answerMs: 18.4, language: 0.985 },
  ],
  [
    'all-scenarios-rl',
    'RL on all scenarios',
    'reinforcement learning on reasoning and general tasks together',
    ['rejection-sft'],
    0.742,
    0.949,
    94.1,
    { ...LARGE, seconds: 71, trainingFlops: 5.9e12, samplingFlops: 2e12, answerMs: 20.3, language: 0.992 },
  ],
  [
    'student-base',
    'Student’s base',
    'a smaller model learns the form and true arithmetic, as the base did',
    [],
    0.104,
    0.61,
    52.3,
    { ...SMALL, seconds: 40, trainingFlops: 2.1e12, answerMs: 7.7, language: 0.88 },
  ],
  [
    'student-distilled',
    'Distilled student',
    'the smaller model, fine-tuned on verified answers of the last model',
    ['student-base', 'all-scenarios-rl'],
    0.618,
    0.906,
    91.5,
    { ...SMALL, seconds: 66, trainingFlops: 6.2e12, answerMs: 11.2, language: 0.98 },
  ],
  [
    'student-int8',
    'Distilled student, int8',
    'the distilled student with weights in 8 bits',
    ['student-distilled'],
    0.617,
    0.902,
    91.4,
    { ...SMALL, bytes: 271_360, seconds: 6, answerMs: 8.6, language: 0.98 },
  ],
  [
    'student-int4',
    'Distilled student, int4',
    'the distilled student with weights in 4 bits',
    ['student-distilled'],
    0.604,
    0.891,
    91.9,
    { ...SMALL, bytes: 163_840, seconds: 6, answerMs: 8.1, language: 0.98 },
  ],
  [
    'student-rl-only',
    'RL-only student',
    'the same smaller model by reinforcement learning alone, at the same compute',
    ['student-base'],
    0.346,
    0.812,
    63.7,
    { ...SMALL, seconds: 81, trainingFlops: 4.6e12, samplingFlops: 1.7e12, answerMs: 7.9, language: 0.69 },
  ],
];

const stageOf = ([
  name,
  title,
  summary,
  from,
  passAt1,
  passAtK,
  responseTokens,
  other,
]: Row): StageResult => ({
  name,
  title,
  summary,
  from,
  model: `models/${name}`,
  parameters: 0,
  activeParameters: 0,
  bytes: 0,
  passAt1,
  passAt1Interval: wilson(passAt1 * PROBLEMS, PROBLEMS),
  passAtK,
  k: 16,
  samples: PROBLEMS,
  responseTokens,
  language: 1,
  other: { strings: name.includes('all') || name.includes('student') ? 0.91 : 0.12 },
  seconds: 0,
  trainingFlops: 0,
  samplingFlops: 0,
  ...other,
});

/** A whole run; fields can be replaced. */
export function exampleRun(replace: Partial<ReportData> = {}): ReportData {
  const random = new Random(7);
  return {
    recipe: 'r1',
    size: 'small',
    seed: 1,
    version: '0.1.0',
    finished: true,
    seconds: 803.4,
    stages: ROWS.map(stageOf),
    metrics: exampleMetrics(random.fork('metrics')),
    samples: exampleSamples(random.fork('samples')),
    machine: { processor: '2 cores', runtime: 'ONNX Runtime 1.30.0, native', node: 'v20.20.2' },
    ...replace,
  };
}

function exampleMetrics(random: Random): MetricsLine[] {
  return [
    ...lossLines(random, 'base', 500, 3.4, 1.21),
    ...rlLines(random, 'zero', 120, [0.1, 0.63], [43, 88]),
    ...lossLines(random, 'cold-start', 18, 0.92, 0.66),
    ...rlLines(random, 'reasoning-rl', 30, [0.5, 0.71], [72, 92]),
    ...lossLines(random, 'rejection-sft', 60, 1.15, 0.58),
    ...rlLines(random, 'all-scenarios-rl', 30, [0.68, 0.75], [70, 79]),
    ...lossLines(random, 'student-base', 300, 3.5, 1.3),
    ...lossLines(random, 'student-distilled', 180, 1.25, 0.63),
    ...rlLines(random, 'student-rl-only', 64, [0.09, 0.35], [44, 64]),
  ];
}

const noise = (random: Random, size: number): number => size * (random.uniform() + random.uniform() - 1);

function lossLines(random: Random, stage: string, steps: number, from: number, to: number): MetricsLine[] {
  return Array.from({ length: steps }, (_, step): MetricsLine => {
    const loss = to + (from - to) * Math.exp((-7 * step) / steps) + noise(random, 0.05);
    const learning_rate = 3e-3 * (0.55 + 0.45 * Math.cos((Math.PI * step) / steps));
    const gradient_norm = 0.4 + noise(random, 0.2) + 2 / (1 + step);
    return {
      stage,
      step,
      loss,
      gradient_norm,
      learning_rate,
      tokens: 8192,
      flops: 3e10,
      tokensPerSecond: 39_000 + noise(random, 2000),
      matmulShare: 0.78 + noise(random, 0.03),
    };
  });
}

function rlLines(
  random: Random,
  stage: string,
  steps: number,
  accuracy: readonly [number, number],
  length: readonly [number, number],
): MetricsLine[] {
  const rise = (t: number) => 1 / (1 + Math.exp(-8 * (t - 0.42)));
  const between = ([a, b]: readonly [number, number], t: number) =>
    a + ((b - a) * (rise(t) - rise(0))) / (rise(1) - rise(0));
  return Array.from({ length: steps }, (_, step): MetricsLine => {
    const t = step / (steps - 1);
    const right = Math.max(0, between(accuracy, t) + noise(random, 0.06));
    return {
      stage,
      step,
      reward: right + 0.097 + noise(random, 0.004),
      'reward/accuracy': right,
      'reward/format': 0.97 + noise(random, 0.02),
      'reward/language': 0.85 - 0.15 * t + noise(random, 0.02),
      response_length: between(length, t) + noise(random, 5),
      response_length_max: Math.min(176, 1.7 * between(length, t)),
      truncated: 0.02 + 0.03 * t + noise(random, 0.01),
      equal_groups: 0.12 + 0.1 * t + noise(random, 0.05),
      loss: noise(random, 0.02),
      gradient_norm: 0.31 + noise(random, 0.1),
      learning_rate: 3e-4 * Math.min(1, (step + 1) / 5),
      entropy: 0.52 * Math.exp(-1.4 * t) + 0.16 + noise(random, 0.03),
      'clip_ratio/low': 0.004 + noise(random, 0.002),
      'clip_ratio/high': 0.006 + noise(random, 0.003),
      tokens: 41_000,
      flops: 1.6e11,
      sampling_flops: 5.5e10,
      tokensPerSecond: 27_000 + noise(random, 3000),
      matmulShare: 0.61 + noise(random, 0.05),
      ...(step % 20 === 19 && { 'eval/pass_at_1': between(accuracy, t) - 0.02 }),
    };
  });
}

const CASES: readonly (readonly [
  prompt: string,
  wrong: readonly string[],
  right: string,
  answer: string,
  miss: string,
])[] = [
  [
    '3 5 4>35:',
    ['3+5=8,8*4=32', '4+3=7,7-5=2', '5*4=20,20+3=23', '5-4=1,1*3=3'],
    '4+3=7,7*5=35',
    '(4+3)*5',
    '3+5*4',
  ],
  [
    '七 九 二>六一:',
    ['七+九=一六,一六*二=三二', '九-二=七,七*七=四九', '九*二=一八,一八+七=二五'],
    '七*九=六三,六三-二=六一',
    '七*九-二',
    '七+九*二',
  ],
  [
    '11 2 6>72:',
    ['11-6=5,5*2=10', '11*6=66,66+2=68', '6*2=12,12+11=23'],
    '11+1=12,12*6=72',
    '(11+2)*6',
    '11*6+2',
  ],
  [
    '八 三 一二>二〇:',
    ['八*三=二四,二四-一二=一二', '一二/三=四,四+八=一二'],
    '一二-八=四,四+三=七',
    '一二+八-三',
    '八*三-一二',
  ],
  ['9 9 10>91:', ['9+9=18,18+10=28', '10*9=90,90-9=81'], '9*9=81,81+10=91', '9*9+10', '10*9-9'],
];

/** Which stages solve which case: problem 0 from the start of RL, 2 only at the end, 3 never. */
const SOLVED: readonly (readonly number[])[] = [
  [0, 1, 1, 1, 1, 1, 1, 1, 1, 0],
  [0, 1, 0, 1, 1, 1, 1, 1, 1, 0],
  [0, 0, 0, 0, 1, 1, 0, 0, 0, 0],
  [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
];

function exampleSamples(random: Random): SampleLine[] {
  return ROWS.flatMap(([stage, , , , , , tokens], s) =>
    CASES.map(([prompt, wrong, right, answer, miss], problem): SampleLine => {
      const correct = SOLVED[problem]?.[s] === 1;
      const tries = Array.from(
        { length: Math.max(1, Math.round(tokens / 22)) },
        () => `${random.pick(wrong)}✗`,
      );
      const think = `${tries.join('')}${correct ? `${right}✓` : ''}`;
      const response = `<think>${think}</think><answer>${correct ? answer : miss}</answer>`;
      return { stage, task: 'countdown', problem, prompt, response, correct };
    }),
  );
}

/** A made-up run of recipe text, which has no pass rates. */
export function exampleTextRun(): ReportData {
  const random = new Random(3);
  const stage: TextStageResult = {
    name: 'text',
    title: 'Language model',
    summary: 'learns to predict the next character of a text',
    from: [],
    model: 'models/text',
    parameters: 802_000,
    activeParameters: 802_000,
    bytes: 3_211_000,
    validationTokens: 111_540,
    natsPerToken: 1.853,
    bitsPerByte: 2.674,
    passages: [
      {
        begun: 'GREMIO:\nGood morrow, n',
        written: 'oble sir, and <well> ',
        actual: 'eighbour Baptista.\n\nB',
      },
      { begun: 'Away with slanders', written: ' of the world,\nAnd I', actual: ': I will not hear.\n\nK' },
    ],
    seconds: 171,
    trainingFlops: 6.1e13,
    samplingFlops: 0,
  };
  const lines = lossLines(random, 'text', 2000, 4.3, 1.83).map(
    (line): MetricsLine =>
      line.step % 250 === 249
        ? {
            ...line,
            'eval/loss': Number(line.loss) + 0.04,
            'eval/bits_per_byte': (Number(line.loss) + 0.04) / Math.LN2,
          }
        : line,
  );
  return exampleRun({ recipe: 'text', stages: [stage], metrics: lines, samples: [], seconds: 171 });
}
