/** Balance losses, loads and bias updates against closed forms and sums written out. */
import { expect, it } from 'vitest';
import { gradients } from '../autodiff/gradients.ts';
import { lower } from '../autodiff/lower.ts';
import { float32, int64, modelOf, type Tensor } from '../graph/ir.ts';
import { Builder } from '../ops/builder.ts';
import { referenceRuntime } from '../runtime/reference/index.ts';
import {
  type BalanceShape,
  type BalanceWeights,
  balanceLoss,
  maxViolation,
  sentTo,
  updateBiases,
} from './balance.ts';

const SHAPE: BalanceShape = { experts: 4, topK: 2, devices: 2, devicesPerToken: 1 };

/** Loss, loads and gradient of the scores for rows of `chosen` [B][T][2]; scores [B·T, 4]. */
async function run(chosen: number[][][], scores: number[][], weights: BalanceWeights, valid?: number[][]) {
  const [rows, length] = [chosen.length, chosen[0]?.length as number];
  const b = new Builder('balance');
  const s = b.input('scores', 'float32', [rows * length, 4]);
  const c = b.input('chosen', 'int64', [rows * length, 2]);
  const mask = valid && b.input('valid', 'float32', [rows, length]);
  const routing = { scores: s, chosen: c, gates: s };
  const at = { dims: b.ints([rows, length]), valid: mask };
  const loss = balanceLoss(routing, SHAPE, at, weights);
  if (!loss) throw new Error('no loss');
  const [gradient] = gradients(b, loss, [s]);
  if (gradient) b.output(gradient, 'gradient');
  b.output(loss, 'loss');
  b.output(sentTo(routing, 4, at).sum([0, 1], false), 'loads');
  using program = await referenceRuntime().compile(modelOf(lower(b.graph)));
  const out = await program.call({
    scores: float32([rows * length, 4], Float32Array.from(scores.flat())),
    chosen: int64([rows * length, 2], chosen.flat(2)),
    ...(valid && { valid: float32([rows, length], Float32Array.from(valid.flat())) }),
  });
  const numbers = (name: string) => [...((out[name] as Tensor).data as Float32Array)];
  return { loss: numbers('loss')[0] as number, loads: numbers('loads'), gradient: numbers('gradient') };
}

const EVEN = [
  [
    [0, 1],
    [2, 3],
  ],
];
const FLAT = [
  [1, 1, 1, 1],
  [1, 1, 1, 1],
];

it('is α when loads and scores are even, whatever the size of the scores', async () => {
  expect((await run(EVEN, FLAT, { expert: 0.5 })).loss).toBeCloseTo(0.5, 6);
  expect(
    (
      await run(
        EVEN,
        FLAT.map(r => r.map(x => 7 * x)),
        { expert: 0.5 },
      )
    ).loss,
  ).toBeCloseTo(0.5, 6);
});

it('is E/K · α when all tokens go where all the score is', async () => {
  const { loss, loads } = await run(
    [
      [
        [0, 1],
        [0, 1],
      ],
    ],
    [
      [1, 1, 0, 0],
      [1, 1, 0, 0],
    ],
    { expert: 1 },
  );
  expect(loss).toBeCloseTo(2, 6);
  expect(loads).toEqual([2, 2, 0, 0]);
});

it('counts devices: mean of f times sum of P, and visits', async () => {
  const scores = [
    [4, 3, 2, 1],
    [1, 1, 1, 1],
  ];
  const chosen = [
    [
      [0, 1],
      [0, 2],
    ],
  ];
  // f = [2, 1, 1, 0] · 4/(2·2); P of the devices: (.7 + .5)/2 and (.3 + .5)/2
  expect((await run(chosen, scores, { device: 1 })).loss).toBeCloseTo(1.5 * 0.6 + 0.5 * 0.4, 6);
  // both tokens visit device 0, one device 1: f'' = D/(M T) · [2, 1]
  expect((await run(chosen, scores, { communication: 1 })).loss).toBeCloseTo(2 * 0.6 + 1 * 0.4, 6);
});

it('is taken row by row, padding left out', async () => {
  const chosen = [
    [
      [0, 1],
      [0, 1],
    ],
    [
      [2, 3],
      [0, 1],
    ],
  ];
  const scores = [
    [1, 1, 0, 0],
    [9, 9, 9, 9],
    [1, 1, 1, 1],
    [1, 0, 0, 0],
  ];
  const { loss, loads } = await run(chosen, scores, { expert: 1 }, [
    [1, 0],
    [1, 0],
  ]);
  // row 1: f = [2, 2, 0, 0], P = [½, ½, 0, 0]; row 2: f = [0, 0, 2, 2], P = ¼
  expect(loss).toBeCloseTo((2 + 1) / 2, 6);
  expect(loads).toEqual([1, 1, 1, 1]);
});

it('pushes the scores of busy experts down', async () => {
  const { gradient } = await run(
    [
      [
        [0, 1],
        [0, 2],
      ],
    ],
    FLAT,
    { expert: 1 },
  );
  const [busy, , , idle] = gradient as [number, number, number, number];
  expect(busy).toBeGreaterThan(0);
  expect(idle).toBeLessThan(0);
  expect(gradient.slice(0, 4).reduce((a, b) => a + b, 0)).toBeCloseTo(0, 6);
});

it('moves biases by γ against the load', () => {
  const biases = Float32Array.of(0, 0, 0, 1);
  updateBiases(biases, Float32Array.of(4, 2, 0, 2), 0.5);
  expect([...biases]).toEqual([-0.5, 0, 0.5, 1]);
  expect(maxViolation(Float32Array.of(4, 2, 0, 2))).toBe(1);
  expect(maxViolation(Float32Array.of(3, 3))).toBe(0);
});
