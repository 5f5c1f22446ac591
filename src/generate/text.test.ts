import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteTokenizer } from '../tokenizer/byte.ts';
import { loadTokenizer } from '../tokenizer/load.ts';
import { generateText, TextStream } from './text.ts';

const tokenizer = byteTokenizer({ tags: ['<think>'] });

/** What is told after each id and at the end, and the whole text. */
function stream(ids: readonly number[], stop: readonly string[]) {
  const told: string[] = [];
  const text = new TextStream(tokenizer, stop, piece => told.push(piece));
  let stopped: number | undefined;
  for (let n = 1; n <= ids.length && stopped === undefined; n++) if (text.add(ids.slice(0, n))) stopped = n;
  return { told, whole: text.finish(stopped === undefined ? ids : ids.slice(0, stopped)), stopped };
}

describe('TextStream', () => {
  it('holds back what may become a stop string, and tells it when it does not', () => {
    const ids = tokenizer.encode('a<b<c');
    expect(stream(ids, ['<c'])).toEqual({ told: ['a', '<b'], whole: 'a<b', stopped: 5 });
    expect(stream(ids, ['<d'])).toEqual({ told: ['a', '<b', '<c'], whole: 'a<b<c', stopped: undefined });
  });

  it('ends at the first of several stop strings, also when they come in one token', () => {
    expect(stream(tokenizer.encode('xy<think>z'), ['think', 'y']).whole).toBe('x');
    expect(stream(tokenizer.encode('x<think>z'), ['ink', 'th']).whole).toBe('x<');
  });

  it('tells pieces without half characters that make up the text before a stop string', () => {
    const character = fc.constantFrom('a', 'b', 'é', '😀', '<think>', 'ab');
    fc.assert(
      fc.property(fc.array(character), fc.array(character, { minLength: 1, maxLength: 3 }), (text, stop) => {
        const all = text.join('');
        const { told, whole } = stream(tokenizer.encode(all), [stop.join('')]);
        expect(whole).toBe(all.split(stop.join(''))[0]);
        expect(told.join('')).toBe(whole);
        expect(told.every(piece => piece.isWellFormed() && !piece.includes('\ufffd'))).toBe(true);
      }),
    );
  });
});

describe('generateText', () => {
  /** What the engine is asked. */
  async function asked(
    prompt: Parameters<typeof generateText>[2],
    chat_template?: string,
  ): Promise<readonly number[]> {
    const roles = { eos: '<eos>', pad: '<pad>', bos: '<bos>' };
    const files = byteTokenizer({ roles }).save();
    const config = { ...files['tokenizer_config.json'], chat_template };
    const { promptIds } = await generateText(
      { submit: async () => ({ ids: [], finishReason: 'stop' }) as never }, // reads no more of it
      loadTokenizer(files['tokenizer.json'], config),
      prompt,
      { maxTokens: 1, seed: 1 },
    );
    return promptIds;
  }

  it('puts the begin token in front of text, and leaves conversations to their template', async () => {
    const template = '{{ bos_token }}{% for m in messages %}{{ m.role[0] }}{{ m.content }}{% endfor %}';
    const bos = 258;
    expect(await asked('a')).toEqual([bos, 0x61]);
    expect(await asked([{ role: 'user', content: 'a' }], template)).toEqual([bos, 0x75, 0x61]);
  });

  it('needs a template for a conversation', async () => {
    await expect(asked([{ role: 'user', content: 'a' }])).rejects.toThrow(/this model has no chat template/);
  });
});
