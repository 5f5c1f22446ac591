import { describe, expect, it } from 'vitest';
import { wilson } from '../tasks/statistics.ts';
import { chooseProblems, inWords, problemsOf } from './answers.ts';
import { wrap } from './diagram.ts';
import { cellsOf, lanesOf, type Node, narrowLayout, wideLayout } from './diagram-layout.ts';
import { exampleRun } from './example-data.ts';
import { bytes, duration, flops, percent, percentInterval, plain } from './format.ts';
import { html } from './html.ts';
import { areaPath, linePath, roomFor } from './plot.ts';
import { extent, linearScale, logScale, niceDomain, niceTicks } from './scale.ts';
import { placeLabels } from './scatter.ts';
import { smooth, thin } from './series.ts';
import { costPerCorrect, differenceOf, kindOf, type Measured, paretoFront, rolesOf } from './story.ts';

const run = exampleRun();
const spaced = (text: string) => text.replace(/[\u202f\u00a0]/g, ' ');

describe('markup', () => {
  it('escapes values and not markup', () => {
    expect(html`<b>${'<i>&"\''}</b>${html`<u/>`}${[1, '>']}${false}`.text).toBe(
      '<b>&lt;i&gt;&amp;&quot;&#39;</b><u/>1&gt;',
    );
  });
});

describe('numbers', () => {
  it.each([
    [percent(0.6341), '63.4 %'],
    [percent(Number.NaN), '–'],
    [percent(null), '–'],
    [percentInterval([0.571, 0.692]), '57 – 69 %'],
    [percentInterval([0.9812, 0.9934]), '98.1 – 99.3 %'],
    [bytes(163_840), '164 kB'],
    [bytes(2_452_608), '2.45 MB'],
    [flops(2.31e13), '23.1 TFLOP'],
    [plain(0.012345), '0.0123'],
    [plain(0), '0'],
    [plain(3e-4), '3.0e-4'],
    [duration(7.26), '7.26 s'],
    [duration(59.7), '1 min 0 s'],
    [duration(803.4), '13 min 23 s'],
    [duration(7500), '2 h 5 min'],
  ])('%s', (text, expected) => expect(spaced(text)).toBe(expected));
});

describe('scales', () => {
  it('ticks are multiples of 1, 2 or 5 inside the range', () => {
    expect(niceTicks([0, 1], 4)).toEqual([0, 0.5, 1]);
    expect(niceTicks([0, 1], 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(niceTicks([3, 119], 4)).toEqual([50, 100]);
    expect(niceDomain([0.63, 3.4], 4)).toEqual([0, 4]);
  });

  it('places the ends at 0 and 1 and the geometric mean of a logarithmic scale in the middle', () => {
    expect(linearScale([10, 20]).place(15)).toBe(0.5);
    expect(logScale([1, 10_000]).place(100)).toBeCloseTo(0.5, 12);
    expect(logScale([1, 100]).ticks).toEqual([1, 3, 10, 30, 100]);
  });

  it('labels get the room that their characters need', () => {
    expect([roomFor([]), roomFor(['0', '20 %']), roomFor(['98 %', '99.5 %'])]).toEqual([38, 38, 50]);
  });

  it('an extent ignores what is not a number and never is empty', () => {
    expect(extent([Number.NaN, 3, null, -1, Number.POSITIVE_INFINITY])).toEqual([-1, 3]);
    expect(extent([])).toEqual([0, 1]);
    expect(extent([4, 4])).toEqual([2, 6]);
  });
});

describe('series', () => {
  const x = Array.from({ length: 10_000 }, (_, i) => i);

  it('thinning keeps both ends and every spike', () => {
    const y = x.map(i => (i === 4321 ? 99 : i === 7777 ? -99 : Math.sin(i)));
    const thinned = thin({ x, y }, 240);
    expect(thinned.x.length).toBeLessThanOrEqual(240);
    expect([thinned.x[0], thinned.x.at(-1)]).toEqual([0, 9999]);
    expect(thinned.y[thinned.x.indexOf(4321)]).toBe(99);
    expect(thinned.y[thinned.x.indexOf(7777)]).toBe(-99);
  });

  it('thinning keeps gaps as gaps', () => {
    const y = x.map(i => (i > 3000 && i < 6000 ? Number.NaN : 1));
    expect(thin({ x, y }).y.some(Number.isNaN)).toBe(true);
  });

  it('smoothing leaves a straight line straight', () => {
    const line = { x: x.slice(0, 50), y: x.slice(0, 50).map(i => 2 * i + 1) };
    for (const [i, value] of smooth(line, 9).y.entries()) expect(value).toBeCloseTo(2 * i + 1, 9);
  });

  it('a path breaks at what is not a number', () => {
    const axes = { x: linearScale([0, 4]), y: linearScale([0, 1]) };
    const series = { x: [0, 1, 2, 3, 4], y: [0, 1, Number.NaN, 0.5, 0.5] };
    expect(linePath(series, axes)).toBe('M0 1000L250 0M750 500L1000 500');
    expect(areaPath(series, axes)).toBe(
      'M0 1000L0 1000L250 0L250 1000ZM750 1000L750 500L1000 500L1000 1000Z',
    );
  });
});

describe('what stages are to each other', () => {
  it('kinds come from what happened, not from names', () => {
    expect(run.stages.map(stage => kindOf(run, stage))).toEqual([
      'pretrain',
      'rl',
      'sft',
      'rl',
      'sft',
      'rl',
      'pretrain',
      'distil',
      'export',
      'export',
      'rl',
    ]);
  });

  it('a stage that took no step is no export', () => {
    const idle = { ...run, metrics: [], stages: run.stages.map(stage => ({ ...stage, trainingFlops: 0 })) };
    expect(idle.stages.map(stage => kindOf(idle, stage))).toEqual(
      run.stages.map(stage => kindOf(run, stage)),
    );
  });

  it('finds the roles of a whole run', () => {
    const { base, zero, final, distilled, rlOnly, exports } = rolesOf(run);
    const names = [base, zero, final, distilled, rlOnly, ...exports].map(stage => stage?.name);
    expect(names).toEqual([
      'base',
      'zero',
      'all-scenarios-rl',
      'student-distilled',
      'student-rl-only',
      'student-int8',
      'student-int4',
    ]);
  });

  it('a right answer costs an answer over pass@1', () => {
    const stage = {
      ...run.stages[0]!,
      passAt1: 0.25,
      answerMs: 50,
      activeParameters: 1000,
      responseTokens: 30,
    };
    expect(costPerCorrect(stage)).toEqual({ seconds: 0.2, flops: 240_000 });
    expect(costPerCorrect({ ...stage, passAt1: 0 }).seconds).toBe(Number.POSITIVE_INFINITY);
  });

  it('the interval of a difference is Newcombe’s: 56/70 against 48/80 gives 0.0524 to 0.3339', () => {
    const stage = (right: number, of: number) =>
      ({ ...run.stages[0], passAt1: right / of, passAt1Interval: wilson(right, of) }) as Measured;
    const { value, interval } = differenceOf(stage(56, 70), stage(48, 80));
    expect(value).toBeCloseTo(0.2, 12);
    expect(interval[0]).toBeCloseTo(0.0524, 4);
    expect(interval[1]).toBeCloseTo(0.3339, 4);
  });

  it('the front has what nothing beats', () => {
    const points = [
      [1, 0.2],
      [2, 0.5],
      [2, 0.4],
      [3, 0.5],
      [4, 0.9],
    ].map(([x, y]) => ({ x: x as number, y: y as number }));
    expect(paretoFront(points)).toEqual([
      { x: 1, y: 0.2 },
      { x: 2, y: 0.5 },
      { x: 4, y: 0.9 },
    ]);
  });
});

describe('the diagram', () => {
  const nodes = run.stages.map(
    (stage): Node => ({ name: stage.name, kind: kindOf(run, stage), from: stage.from }),
  );
  const overlap = (boxes: readonly { x: number; y: number; width: number; height: number }[]) =>
    boxes.some((a, i) =>
      boxes
        .slice(i + 1)
        .some(
          b => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height,
        ),
    );

  it('is a zigzag of six columns for r1, the student’s reinforcement below its base', () => {
    const cells = cellsOf(nodes);
    expect(cells.get('zero')).toEqual({ column: 0, row: 0 });
    expect(cells.get('rejection-sft')).toEqual({ column: 2, row: 1 });
    expect(cells.get('student-int4')).toEqual({ column: 5, row: 1 });
    expect(cells.get('student-base')).toEqual({ column: 3, row: 1 });
    expect(cells.get('student-rl-only')).toEqual({ column: 3, row: 2 });
  });

  it('boxes do not overlap and stay inside, also when everything starts from one stage', () => {
    const star = Array.from(
      { length: 9 },
      (_, i): Node => ({ name: `s${i}`, kind: i % 2 ? 'rl' : 'sft', from: i ? ['s0'] : [] }),
    );
    for (const set of [nodes, star]) {
      const wide = wideLayout(set, { width: 1000, boxHeight: 100, gapX: 40, gapY: 40 });
      const narrow = narrowLayout(set, { width: 350, boxHeight: 100, gap: 30, lane: 16 });
      for (const layout of [wide, narrow]) {
        expect(overlap(layout.boxes)).toBe(false);
        expect(layout.boxes.every(box => box.x >= 0 && box.x + box.width <= layout.width + 1e-6)).toBe(true);
        expect(layout.arrows).toHaveLength(set.flatMap(node => node.from).length);
      }
    }
  });

  it('no arrow runs behind a box, also where both rows have boxes in between', () => {
    const size = { width: 1000, boxHeight: 100, gapX: 40, gapY: 40 };
    const chain: Node[] = ['a', 'b', 'c', 'd'].map((name, i, all) => ({
      name,
      kind: 'sft',
      from: i > 0 ? [all[i - 1] as string] : [],
    }));
    const above: Node[] = chain.map(({ name }) => ({ name: `${name}-rl`, kind: 'rl', from: [name] }));
    const full = [...chain, ...above, { name: 'e', kind: 'sft', from: ['d', 'a-rl'] } as const];
    const column: Node[] = [0, 1, 2, 3].map(i => ({
      name: `s${i}`,
      kind: i ? 'rl' : 'sft',
      from: i ? ['s0'] : [],
    }));
    for (const set of [nodes, full, column]) {
      const { boxes, arrows, height } = wideLayout(set, size);
      for (const { from, to, d } of arrows) {
        const points = pointsOf(d);
        for (const box of boxes)
          expect([from, to, box.name, points.some(p => isInside(p, box))]).toEqual([
            from,
            to,
            box.name,
            false,
          ]);
        expect(points.every(([, y]) => y <= height)).toBe(true);
      }
    }
  });

  it('crossing spans get lanes of their own, spans from one stage share one', () => {
    expect(
      lanesOf([
        [0, 2],
        [0, 4],
        [1, 3],
        [5, 7],
      ]),
    ).toEqual([0, 0, 1, 0]);
  });

  it('titles take two lines at most', () => {
    expect(wrap('Rejection sampling + SFT', 22)).toEqual(['Rejection sampling +', 'SFT']);
    expect(wrap('one two three four five', 7)).toEqual(['one two', 'three…']);
  });
});

type Point = readonly [x: number, y: number];

/** Whether a point lies inside a box and not at its edge. */
const isInside = ([x, y]: Point, b: { x: number; y: number; width: number; height: number }) =>
  x > b.x + 1 && x < b.x + b.width - 1 && y > b.y + 1 && y < b.y + b.height - 1;

/** Points along path data, 20 a piece: M, H, h, V, C and q, as arrows have them. */
function pointsOf(d: string): Point[] {
  const out: Point[] = [];
  for (const [, letter, rest] of d.matchAll(/([MHhVCq])([^A-Za-z]*)/g)) {
    const n = (rest as string).trim().split(/\s+/).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const [x, y] = out.at(-1) ?? [0, 0];
    const stops: Point[] = {
      M: [[n[0], n[1]] as const],
      H: [[x, y] as const, [n[0], y] as const],
      h: [[x, y] as const, [x + n[0], y] as const],
      V: [[x, y] as const, [x, n[0]] as const],
      C: [[x, y] as const, [n[0], n[1]] as const, [n[2], n[3]] as const, [n[4], n[5]] as const],
      q: [[x, y] as const, [x + n[0], y + n[1]] as const, [x + n[2], y + n[3]] as const],
    }[letter as 'M'];
    for (let i = 1; i <= 20; i++) out.push(bezier(stops, i / 20));
  }
  return out;
}

/** de Casteljau's: a curve's point at t. */
const bezier = (stops: readonly Point[], t: number): Point =>
  stops.length === 1
    ? (stops[0] as Point)
    : bezier(
        stops.slice(1).map(([x, y], i) => {
          const [px, py] = stops[i] as Point;
          return [px + t * (x - px), py + t * (y - py)] as const;
        }),
        t,
      );

describe('labels of a scatter plot', () => {
  it('keep out of each other’s way', () => {
    const points = [0, 3, 6, 9, 12].map(y => ({ x: 100, y: 100 + y, width: 60 }));
    const offsets = placeLabels(points, { width: 400, height: 300 });
    const rects = offsets.map(({ side, dy }, i) => ({ side, y: (points[i]?.y ?? 0) + dy }));
    rects.forEach((a, i) => {
      for (const b of rects.slice(i + 1)) expect(a.side !== b.side || Math.abs(a.y - b.y) >= 14).toBe(true);
    });
  });
});

describe('the choice of problems', () => {
  it('begins with one that was learned, has both alphabets and ends with one that still fails', () => {
    const chosen = chooseProblems(problemsOf(run.samples), 'all-scenarios-rl', 4);
    const first = chosen[0]?.answers;
    expect([first?.[0]?.correct, first?.[5]?.correct]).toEqual([false, true]);
    expect(chosen.some(p => /[一-九]/.test(p.prompt))).toBe(true);
    expect(chosen.at(-1)?.answers[5]?.correct).toBe(false);
    expect(chosen).toHaveLength(4);
  });

  it('reads a Countdown prompt in words', () => {
    const [problem] = problemsOf([
      { stage: 'base', task: 'countdown', problem: 0, prompt: '3 5 4>35:', response: '', correct: false },
    ]);
    expect(problem && inWords(problem)).toBe('make 35 from 3, 5 and 4');
  });
});
