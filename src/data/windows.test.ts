import { describe, expect, it } from 'vitest';
import { randomWindows, splitText, windowsOfTexts } from './windows.ts';

const TEXT = Int32Array.from({ length: 101 }, (_, i) => i + 1);

describe('splitText', () => {
  it('takes the end for validation and loses nothing', () => {
    const { train, validation } = splitText(TEXT, 0.1);
    expect([train.length, validation.length]).toEqual([90, 11]);
    expect([...train, ...validation]).toEqual([...TEXT]);
  });
});

describe('randomWindows', () => {
  it('are runs of the text, the same for the same seed and index', () => {
    const source = randomWindows(TEXT, { rows: 4, length: 10 }, 3);
    const batch = source(5);
    expect(randomWindows(TEXT, { rows: 4, length: 10 }, 3)(5)).toEqual(batch);
    expect(source(6).ids).not.toEqual(batch.ids);
    for (let at = 0; at < 40; at++) {
      expect(batch.targets[at]).toBe(batch.ids[at]! + 1);
      expect(batch.positions[at]).toBe(at % 10);
    }
    expect(batch.tokens).toBe(40);
  });

  it('start at every possible place, the last included', () => {
    const source = randomWindows(TEXT.subarray(0, 14), { rows: 50, length: 10 }, 1);
    const starts = new Set(Array.from({ length: 50 }, (_, row) => source(0).ids[row * 10]));
    expect(starts).toEqual(new Set([1, 2, 3, 4]));
  });

  it('need a text that is longer than a window', () => {
    expect(() => randomWindows(TEXT.subarray(0, 10), { rows: 1, length: 10 }, 1)).toThrow(
      'the text has 10 tokens, fewer than one window of 11',
    );
    expect(randomWindows(TEXT.subarray(0, 11), { rows: 1, length: 10 }, 1)(0).tokens).toBe(10);
  });
});

describe('windowsOfTexts of one text', () => {
  it.each([
    [2, 7],
    [3, 50],
    [1, 100],
    [4, 25],
  ])('cover every prediction once, rows %d × %d', (rows, length) => {
    const batches = windowsOfTexts([TEXT], { rows, length });
    const targets = batches.flatMap(b => [...b.targets].filter((_, i) => b.weights[i] === 1));
    expect(targets).toEqual(Array.from({ length: 100 }, (_, i) => i + 2));
    expect(batches.reduce((sum, b) => sum + b.tokens, 0)).toBe(100);
  });
});

describe('windowsOfTexts', () => {
  it('predict every token of each text but its first, from that text alone', () => {
    const texts = [[1, 2, 3, 4, 5], [6], [7, 8]].map(ids => Int32Array.from(ids));
    const [first, second] = windowsOfTexts(texts, { rows: 2, length: 3 });
    const rows = [first, second].flatMap(batch =>
      [0, 1].map(row => {
        const cells = [0, 1, 2].filter(i => batch?.weights[row * 3 + i] === 1);
        return cells.map(i => [batch?.ids[row * 3 + i], batch?.targets[row * 3 + i]]);
      }),
    );
    expect(rows).toEqual([
      [
        [1, 2],
        [2, 3],
        [3, 4],
      ],
      [[4, 5]],
      [[7, 8]],
      [],
    ]);
  });
});
