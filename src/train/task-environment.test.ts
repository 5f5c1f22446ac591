import { describe, expect, it } from 'vitest';
import { addition } from '../tasks/addition.ts';
import { sorting } from '../tasks/sorting.ts';
import { CharacterTokenizer } from '../tokenizer/character.ts';
import { Random } from '../util/random.ts';
import { taskEnvironment } from './task-environment.ts';

const tokenizer = CharacterTokenizer.fromAlphabet(`${addition.alphabet}${sorting.alphabet}<>/thinkaswer`);
const LEVELS = addition.levels.length;
const curriculum = { levels: LEVELS, start: 1, window: 8, upper: 0.7, lower: 0.1, easierShare: 0.5 };

const adding = () =>
  taskEnvironment({
    tokenizer,
    tasks: [{ task: addition, weight: 1, difficulty: curriculum }],
    language: () => 'arabic',
    parts: ['accuracy', 'format'],
  });

/** Digits of the longer number, less one: the level that addition drew it from. */
const levelOf = (prompt: readonly number[]): number =>
  Math.max(
    ...tokenizer
      .decode(prompt)
      .match(/\d+/g)!
      .map(n => n.length),
  ) - 1;

describe('a curriculum over a task', () => {
  it('hears of each problem at its own level, not at the level it has reached', () => {
    const environment = adding();
    const random = new Random(1);
    const state = () => (environment.state?.() as { level: number; recent: number[] }[] | undefined)?.[0];
    let easier = 0;
    for (let i = 0; i < 40 && ((state()?.recent.length ?? 0) < 2 || easier === 0); i++) {
      const before = state()?.recent.length;
      const episode = environment.episode(random.fork(i));
      const own = levelOf(episode.prompt) === 1;
      episode.passed?.(own ? 0.5 : 1);
      if (!own) easier++;
      expect(state()?.recent.length).toBe((before ?? 0) + (own ? 1 : 0));
    }
    expect(new Set(state()?.recent)).toEqual(new Set([0.5]));
    expect(easier).toBeGreaterThan(0);
  });

  it('rises when its own problems are solved, and says so in the metrics', () => {
    const environment = adding();
    const random = new Random(2);
    expect(environment.metrics?.()).toEqual({ 'curriculum/addition': 1 });
    for (let i = 0; i < 40; i++) {
      const episode = environment.episode(random.fork(i));
      if (levelOf(episode.prompt) === 1) episode.passed?.(1);
      if (environment.metrics?.()['curriculum/addition'] === 2) break;
    }
    expect(environment.metrics?.()).toEqual({ 'curriculum/addition': 2 });
  });

  it('goes on from a saved state', () => {
    const environment = adding();
    environment.restore?.([{ level: 2, recent: [1] }]);
    expect(environment.state?.()).toEqual([{ level: 2, recent: [1] }]);
  });
});

it('judges responses in the parts that were asked for, before their weights', () => {
  const environment = adding();
  const { prompt, reward } = environment.episode(new Random(3));
  const [a, b] = [...tokenizer.decode(prompt).matchAll(/\d+/g)].map(m => Number(m[0])) as [number, number];
  const ids = (text: string) => [...tokenizer.encode(text), tokenizer.eos];
  expect(reward(ids(`<think></think><answer>${a + b}</answer>`))).toEqual({ accuracy: 1, format: 1 });
  expect(reward(ids(`<answer>${a + b + 1}</answer>`)).accuracy).toBe(0);
  expect(reward([])).toEqual({ accuracy: 0, format: 0 });
});

it('draws tasks by their weights', () => {
  const environment = taskEnvironment({
    tokenizer,
    tasks: [
      { task: addition, weight: 3, difficulty: 0 },
      { task: sorting, weight: 1, difficulty: 0 },
    ],
    language: () => 'arabic',
    parts: ['accuracy'],
  });
  const random = new Random(4);
  const draws = Array.from({ length: 2000 }, (_, i) => environment.episode(random.fork(i)).prompt);
  const share = draws.filter(p => tokenizer.decode(p).includes('+')).length / 2000;
  expect(Math.abs(share - 0.75)).toBeLessThan(4 * Math.sqrt((0.75 * 0.25) / 2000));
});
