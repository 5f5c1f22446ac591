import { describe, expect, it } from 'vitest';
import { Alarms } from './alarms.ts';

/** Messages of each step of a stage. */
const listen = (steps: readonly Record<string, number>[], alarms = new Alarms()): string[][] =>
  steps.map((metrics, i) => alarms.check('zero', i, metrics));
const calm = (count: number) => Array.from({ length: count }, () => ({ loss: 1, gradient_norm: 0.5 }));

describe('alarms', () => {
  it('are silent while all is well', () => {
    const steps = calm(200).map((m, i) => ({ ...m, gradient_norm: 0.5 + 0.4 * Math.sin(i), entropy: 0.3 }));
    expect(listen(steps).flat()).toEqual([]);
  });

  it.each([
    ['entropy', { entropy: 0.01 }, 'zero, step 0: entropy fell to 0.0100 nats'],
    ['equal groups', { equal_groups: 0.97 }, 'zero, step 0: 97 % of groups have equal rewards'],
    ['NaN loss', { loss: Number.NaN }, 'zero, step 0: the loss is not a finite number'],
    ['infinite norm', { gradient_norm: Number.POSITIVE_INFINITY }, 'not a finite number'],
  ])('%s', (_, metrics, message) => {
    const [messages] = listen([metrics]) as [string[]];
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain(message);
  });

  it('a norm of 20 times the median of the last ones is exploding, one of 19 is not', () => {
    const last = (norm: number) => listen([...calm(30), { loss: 1, gradient_norm: norm }]).at(-1);
    expect(last(9.5)).toEqual([]);
    expect(last(10.5)).toEqual([expect.stringContaining('gradient norm 10.50 is 21 times its usual size')]);
  });

  it('early norms are no measure: the first ten steps raise nothing', () => {
    const steps = calm(9).map((m, i) => ({ ...m, gradient_norm: 10 ** i }));
    expect(listen(steps).flat()).toEqual([]);
  });

  it('one is told once, and again after its condition has cleared', () => {
    const low = { entropy: 0.001 };
    const heard = listen([low, low, low, { entropy: 0.5 }, low]);
    expect(heard.map(m => m.length)).toEqual([1, 0, 0, 0, 1]);
  });

  it('a loss that stays broken ends the run with a remedy; one that recovers does not', () => {
    const broken = { loss: Number.NaN };
    expect(() => listen([broken, broken, broken])).toThrow(
      'zero, step 2: the loss has not been finite for 3 steps; resume from the last checkpoint with a lower learning rate',
    );
    expect(() => listen([broken, broken, { loss: 1 }, broken, broken])).not.toThrow();
  });

  it('limits are options', () => {
    const alarms = new Alarms({ minEntropy: 0.2, patience: 1 });
    expect(listen([{ entropy: 0.1 }], alarms).flat()).toHaveLength(1);
    expect(() => listen([{ loss: Number.NaN }], alarms)).toThrow('1 steps');
  });
});
