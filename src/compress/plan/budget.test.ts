import { describe, expect, it } from 'vitest';
import type { Interval } from '../../tasks/statistics.ts';
import { type Budget, choose, frontOf, type Judged, lostText, missesOf, ruleOf } from './budget.ts';

const judged = (
  name: string,
  accuracy: number,
  ms: number | undefined,
  bytes: number,
  extra: Partial<Judged> = {},
): Judged => ({
  name,
  quality: { kind: 'accuracy', value: accuracy, examples: 100 },
  ...(ms !== undefined && { estimatedMs: ms }),
  bytes,
  weightBytes: bytes,
  peakMemoryBytes: 10 * bytes,
  macs: 1,
  memory: [],
  deploys: true,
  findings: [],
  fixes: [],
  formats: ['onnx'],
  ...extra,
});

const whole = judged('whole', 0.9, 10, 100);
const int8 = judged('int8', 0.895, 4, 25);
const half = judged('half', 0.85, 2, 13);
const all = [whole, int8, half];
const chosen = (budget: Budget, from: readonly Judged[] = all) => choose(from, budget);

describe('a choice', () => {
  it('is the smallest within a point when nothing is said', () => {
    expect(chosen({}).chosen.name).toBe('int8');
    expect(chosen({ maxDropPoints: 5 }).chosen.name).toBe('half');
    expect(chosen({ maxDropPoints: 0 }).chosen.name).toBe('whole');
  });

  it('is the best within a limit', () => {
    expect(chosen({ maxLatencyMs: 5 }).chosen.name).toBe('int8');
    expect(chosen({ maxLatencyMs: 20 }).chosen.name).toBe('whole');
    expect(chosen({ maxMemoryBytes: 130 }).chosen.name).toBe('half');
  });

  it('of estimates that a hundredth sets apart is the smaller file', () => {
    const same = judged('same', 0.9, 10.05, 50);
    expect(chosen({}, [whole, same]).chosen.name).toBe('same');
  });

  it('is the smaller file of two that lose little enough, though it be slower, but not slower than the original', () => {
    const four = judged('four', 0.9, 9, 12);
    const slow = judged('slow', 0.9, 12, 6);
    expect(chosen({}, [whole, int8, four, slow]).chosen.name).toBe('four');
    const equal = judged('equal', 0.89, 3, 12);
    expect(chosen({}, [whole, int8, four, equal]).chosen.name).toBe('equal');
  });

  it('knows a latency from one that is not known', () => {
    const float = judged('float', 0.9, undefined, 100);
    const timed = judged('timed', 0.9, 5, 100);
    expect(chosen({ maxMemoryBytes: 1e6 }, [float, timed]).chosen.name).toBe('timed');
  });

  it('says its rule, and where the data leave it open', () => {
    expect(ruleOf({})).toBe(
      'the smallest file with at most 1 point lost as measured that is no slower than the original',
    );
    expect(ruleOf({ maxLatencyMs: 5, maxDropPoints: 2 })).toBe(
      'the least loss with at most 5 ms, at most 2 points lost as measured',
    );
    const of = (lost: Interval) =>
      judged('int8', 0.895, 4, 25, { quality: { ...int8.quality, value: 0.895, lost } });
    expect(chosen({}, [whole, of([-0.01, 0.02])]).unsure).toBe(
      '100 examples do not exclude that more than 1 is lost',
    );
    expect(chosen({}, [whole, of([0, 0.009])]).unsure).toBeUndefined();
    expect(lostText(of([-0.01, 0.02]), whole)).toBe('0.50 points of accuracy lost [-1.00, 2.00 at 95 %]');
  });

  it('that nothing meets is the nearest, and how near is said', () => {
    const { met, chosen: near, misses } = chosen({ maxLatencyMs: 1, maxDropPoints: 1 });
    expect([met, near.name]).toEqual([false, 'half']);
    expect(misses.map(m => m.text)).toEqual([
      'latency 2 ms where 1 are allowed (100 % over)',
      '5.00 points of accuracy lost, 1 allowed',
    ]);
  });

  it('is never what the device refuses while there is another', () => {
    const finding = {
      node: 'n',
      op: 'Foo',
      severity: 'error',
      why: 'no such op',
      fix: '',
      source: '',
      confidence: 'low',
    } as const;
    const refused = judged('refused', 0.9, 1, 1, { deploys: false, findings: [finding] });
    const unwritten = judged('unwritten', 0.9, 1, 1, { formats: [] });
    expect(chosen({ maxDropPoints: 9 }, [whole, refused, unwritten, half]).chosen.name).toBe('half');
    expect(missesOf(refused, whole, {}).map(m => m.text)).toEqual(['n: no such op']);
  });
});

it('the front leaves out what another beats everywhere', () => {
  const worse = judged('worse', 0.84, 3, 14);
  expect(frontOf([...all, worse]).map(c => c.name)).toEqual(['half', 'int8', 'whole']);
});
