import { describe, expect, it } from 'vitest';
import { convertDigits, languageShare } from './digits.ts';
import { parseResponse, r1Template } from './response.ts';

describe('parseResponse', () => {
  it.each([
    ['<think>a</think><answer>b</answer>', 'b', 'a', 1],
    [' <think>a</think>\n<answer> b </answer>\n', 'b', 'a', 1],
    ['<answer>b</answer>', 'b', '', 0.4],
    ['a</think><answer>b</answer>', 'b', 'a', 0.6],
    ['<think>a</think><answer>b', undefined, 'a', 0.6],
    ['<think>a', undefined, 'a', 0.2],
    ['', undefined, '', 0],
    ['b', undefined, '', 0],
    ['<answer>1</answer><answer>2</answer>', '2', '', 0],
    ['<answer>1</answer><answer>2', '1', '', 0.2],
    ['<answer>1<answer>2</answer>', '2', '', 0.2],
    ['<think>a</think><answer>b</answer>junk', 'b', 'a', 0.8],
    ['<think>a</think>junk<answer>b</answer>', 'b', 'a', 0.8],
    ['<think><answer>b</answer></think>', undefined, '<answer>', 0.8],
    ['<answer>b</answer><think>a</think>', 'b', 'a', 0.8],
    ['<think>a</think><think>c</think><answer>b</answer>', 'b', 'c', 0.4],
    ['<Answer>b</Answer>', undefined, '', 0],
  ])('%j', (text, answer, think, format) => {
    const parsed = parseResponse(text);
    expect(parsed.answer).toBe(answer);
    if (!think.includes('<')) expect(parsed.think).toBe(think);
    expect(parsed.format).toBeCloseTo(format, 12);
  });

  it('keeps reasoning out of what is visible', () => {
    expect(parseResponse('<think>#### 1</think> so #### 2').visible.trim()).toBe('so #### 2');
    expect(parseResponse('#### 1</think> so').visible.trim()).toBe('so');
  });
});

describe('digits', () => {
  it('convert in place and leave everything else', () => {
    expect(convertDigits('x=1029;三', 'chinese')).toBe('x=一〇二九;三');
    expect(convertDigits('一〇二九 3 零 ٣', 'arabic')).toBe('1029 3 零 ٣');
  });

  it('count the share of the wanted alphabet', () => {
    expect(languageShare('1 + 2 = 三', 'arabic')).toBeCloseTo(2 / 3, 12);
    expect(languageShare('1 + 2 = 三', 'chinese')).toBeCloseTo(1 / 3, 12);
    expect(languageShare('no digits', 'arabic')).toBe(0);
  });
});

it('asks in the published words', () => {
  expect(r1Template('add 1 and 1')).toContain('User: add 1 and 1. Assistant:');
  expect(r1Template('1+1?')).toMatch(
    /^A conversation between User and Assistant\..* User: 1\+1\? Assistant:$/,
  );
});
