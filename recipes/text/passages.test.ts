import { expect, it } from 'vitest';
import { passageStarts } from './passages.ts';

const ids = Int32Array.from([5, 5, 9, 1, 2, 3, 4, 5, 9, 6, 7, 8, 9, 9, 4, 4, 4, 4, 4, 4]);

it('passages start after line breaks, one in each part of the text', () => {
  expect(passageStarts(ids, 9, { count: 2, length: 4 })).toEqual([3, 14]);
});

it('starts that are too near the end are left out, and so are equal ones', () => {
  expect(passageStarts(ids, 9, { count: 2, length: 8 })).toEqual([3]);
  expect(passageStarts(ids, 9, { count: 10, length: 4 })).toEqual([3, 9, 14]);
});

it('without line breaks they start anywhere', () => {
  expect(passageStarts(ids, undefined, { count: 2, length: 4 })).toEqual([0, 10]);
});
