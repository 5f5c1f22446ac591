import { expect, it } from 'vitest';
import { fillInTheMiddle } from './fill-in-the-middle.ts';

const having = (...tokens: string[]) => ({
  special: Object.fromEntries(tokens.map((token, i) => [token, i])),
});

it('is DeepSeek Coder’s documented prompt where the tokenizer has its tokens', () => {
  const tokenizer = having('<｜fim▁begin｜>', '<｜fim▁hole｜>', '<｜fim▁end｜>', '<|EOT|>');
  expect(fillInTheMiddle(tokenizer, 'def f():\n    ', '\n    return x')).toBe(
    '<｜fim▁begin｜>def f():\n    <｜fim▁hole｜>\n    return x<｜fim▁end｜>',
  );
});

it('is Qwen’s and StarCoder’s with theirs', () => {
  expect(fillInTheMiddle(having('<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>'), 'a', 'c')).toBe(
    '<|fim_prefix|>a<|fim_suffix|>c<|fim_middle|>',
  );
  expect(fillInTheMiddle(having('<fim_prefix>', '<fim_suffix>', '<fim_middle>'), '', '')).toBe(
    '<fim_prefix><fim_suffix><fim_middle>',
  );
});

it('needs all tokens of one format', () => {
  expect(() => fillInTheMiddle(having('<｜fim▁begin｜>', '<|fim_suffix|>'), 'a', 'b')).toThrow(
    'no fill-in-the-middle tokens',
  );
});
