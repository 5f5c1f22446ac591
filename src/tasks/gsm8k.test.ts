import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../test/shared-data.ts';
import { createGsm8k, normaliseNumber } from './gsm8k.ts';

const line = (question: string, answer: string) => JSON.stringify({ question, answer });
const CONTENT = [line('How many?', 'Half of <<48/2=24>>24.\n#### 1,024'), '', line('Why?', '#### -3')].join(
  '\n',
);

describe('normaliseNumber', () => {
  it.each([
    ['72', '72'],
    [' 1,234 ', '1234'],
    ['$1,234.50', '1234.5'],
    ['18.00', '18'],
    ['18.', '18'],
    ['007', '7'],
    ['-3', '-3'],
    ['-$3', '-3'],
    ['$-3', '-3'],
    ['-0', '0'],
    ['0.50', '0.5'],
  ])('%s is %s', (text, number) => expect(normaliseNumber(text)).toBe(number));

  it.each(['', 'x', '1,23', '1 2', '1.2.3', '72 clips', '--3', '1e3', '٣', '$', '.5', '5%'])(
    '%j is no number',
    text => expect(normaliseNumber(text)).toBeUndefined(),
  );
});

describe('gsm8k', () => {
  const task = createGsm8k({ train: CONTENT, test: line('When?', 'At\n#### 5') });
  const [first, second] = task.problems('train');

  it.each([
    ['<answer>1024</answer>', true],
    ['<answer>$1,024.00</answer>', true],
    ['<answer>一〇二四</answer>', true],
    ['so it is\n#### 1,024', true],
    ['#### 7\n#### 1024\nthat is all', true],
    ['<think>hm</think>so #### 1024', true],
    ['<answer>#### 1024</answer>', true],
    ['<think>#### 1024</think>', false],
    ['#### 1024\n#### 7', false],
    ['#### 1024<answer>7</answer>', false],
    ['1024', false],
    ['#### 1024 clips', false],
    ['<answer>1024.5</answer>', false],
  ])('judges %j as %s', (response, correct) => {
    expect(task.verify(first!, response).correct).toBe(correct);
  });

  it('reads the lines, without calculator notes in the truth', () => {
    expect(second!.result).toBe('-3');
    expect(task.truth(first!)).toBe('<think>Half of 24.</think><answer>1024</answer>');
  });

  it('holds out the test file', () => {
    expect(task.problems('test').map(p => p.text)).toEqual(['When?']);
    expect(task.problems('test').every(p => task.heldOut(p))).toBe(true);
  });

  it('names a malformed line', () => {
    expect(() => createGsm8k({ train: `${CONTENT}\n{` })).toThrow('gsm8k: line 4 is not a JSON object');
    expect(() => createGsm8k({ train: line('q', 'no mark') })).toThrow('line 1: the answer does not end in');
    expect(() => createGsm8k({ train: '\n' })).toThrow('no problems');
  });

  it.runIf(HAS_DATA)(`reads the published test file, and every truth scores ${NEEDS_DATA}`, () => {
    const full = createGsm8k({ train: CONTENT, test: readFileSync(shared('gsm8k_test.jsonl'), 'utf8') });
    const problems = full.problems('test');
    expect(problems).toHaveLength(1319);
    expect(problems.every(p => full.verify(p, full.truth(p)).correct)).toBe(true);
  });
});
