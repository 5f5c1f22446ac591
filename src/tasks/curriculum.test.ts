import { describe, expect, it } from 'vitest';
import { Random } from '../util/random.ts';
import { Curriculum, type CurriculumConfig } from './curriculum.ts';
import { difficultyAt } from './task.ts';

const CONFIG: CurriculumConfig = { levels: 5, lower: 0.1, upper: 0.7, window: 4 };
const at = (level: number): number => difficultyAt(level, 5);

describe('Curriculum', () => {
  it('rises above the upper bound, falls under the lower, and stays between and at the ends', () => {
    const curriculum = new Curriculum(CONFIG);
    const feed = (passRate: number) =>
      Array.from({ length: 4 }, () => curriculum.record(at(curriculum.level), passRate)).at(-1);
    expect([feed(1), feed(1), feed(1), feed(1)]).toEqual(['raised', 'raised', 'raised', 'raised']);
    expect(curriculum.level).toBe(4);
    expect(feed(1)).toBe('kept');
    expect(new Curriculum({ ...CONFIG, window: 1 }).record(0, 0)).toBe('kept');
    const fresh = new Curriculum(CONFIG, { level: 2, recent: [] });
    for (let i = 0; i < 20; i++) expect(fresh.record(at(2), 0.4)).toBe('kept');
    for (let i = 0; i < 3; i++) fresh.record(at(2), 0);
    expect(fresh.record(at(2), 0)).toBe('lowered');
    expect(fresh.state()).toEqual({ level: 1, recent: [] });
  });

  it('ignores results of other levels', () => {
    const curriculum = new Curriculum(CONFIG);
    for (let i = 0; i < 50; i++) curriculum.record(at(3), 1);
    expect(curriculum.state()).toEqual({ level: 0, recent: [] });
  });

  it('draws the share of easier levels that it is told', () => {
    const curriculum = new Curriculum({ ...CONFIG, easierShare: 0.3 }, { level: 2, recent: [] });
    const random = new Random(1);
    const draws = Array.from({ length: 5000 }, () => curriculum.draw(random));
    const easier = draws.filter(d => d < 0.5).length / 5000;
    expect(Math.abs(easier - 0.3)).toBeLessThan(4 * Math.sqrt(0.21 / 5000));
    expect(new Set(draws)).toEqual(new Set([0, 0.25, 0.5]));
  });

  it('goes on exactly where a saved one stopped', () => {
    const random = new Random(2);
    const whole = new Curriculum(CONFIG);
    let parted = new Curriculum(CONFIG);
    for (let i = 0; i < 300; i++) {
      const [level, rate] = [random.int(5), random.uniform()];
      whole.record(at(level), rate);
      parted = new Curriculum(CONFIG, JSON.parse(JSON.stringify(parted.state())));
      parted.record(at(level), rate);
      expect(parted.state()).toEqual(whole.state());
    }
  });

  it('refuses bounds that cannot be', () => {
    expect(() => new Curriculum({ levels: 3, start: 3 })).toThrow(/levels 3 to 2/);
    expect(() => new Curriculum({ levels: 3, lower: 0.9 })).toThrow(/must be under upper/);
  });
});
