/** Chat templates against transformers (bench/peers/reference_chat_templates.py). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { byteTokenizer } from './byte.ts';
import { type ChatMessage, ChatTemplate } from './chat-template.ts';
import { loadTokenizer } from './load.ts';

type Conversation = Record<string, unknown> & {
  readonly messages: readonly ChatMessage[];
  readonly add_generation_prompt?: boolean;
  readonly tools?: readonly unknown[];
};

interface Reference {
  readonly tokens: Readonly<Record<string, string>>;
  readonly conversations: readonly Conversation[];
  readonly templates: Readonly<Record<string, string>>;
  readonly rendered: Readonly<Record<string, readonly ({ text: string } | { error: string })[]>>;
}

const reference: Reference = JSON.parse(
  readFileSync(new URL('./fixtures/chat-templates.json', import.meta.url), 'utf8'),
);

const render = (template: ChatTemplate, conversation: Conversation): string => {
  const { messages, tools, add_generation_prompt = false, ...variables } = conversation;
  return template.render(messages, { tools, addGenerationPrompt: add_generation_prompt, variables });
};

describe.each(Object.keys(reference.templates))('%s', name => {
  const template = ChatTemplate.fromConfig({
    ...reference.tokens,
    chat_template: reference.templates[name],
  })!;
  it.each([...reference.conversations.entries()])(
    'renders conversation %i as transformers does',
    (i, conversation) => {
      const expected = reference.rendered[name]![i]!;
      if ('text' in expected) expect(render(template, conversation)).toBe(expected.text);
      else expect(() => render(template, conversation)).toThrow(/^chat template: /);
    },
  );
});

describe('ChatTemplate', () => {
  const config = (chat_template: unknown) => ({ eos_token: '<eos>', chat_template });

  it('is undefined where there is none', () => {
    expect(ChatTemplate.fromConfig({})).toBeUndefined();
    expect(byteTokenizer().chat).toBeUndefined();
  });

  it('chooses among named templates by whether there are tools', () => {
    const template = ChatTemplate.fromConfig(
      config([
        { name: 'default', template: 'plain' },
        { name: 'tool_use', template: 'tools' },
      ]),
    )!;
    expect([template.render([]), template.render([], { tools: [{}] })]).toEqual(['plain', 'tools']);
  });

  it('says in one sentence what is wrong', () => {
    expect(() => ChatTemplate.fromConfig(config(3))).toThrow(/chat_template is neither text nor a list/);
    expect(() => ChatTemplate.fromConfig(config('{% if %}'))!.render([])).toThrow(/^chat template: /);
    expect(() => ChatTemplate.fromConfig(config('{{ raise_exception("no tools") }}'))!.render([])).toThrow(
      /^chat template: no tools/,
    );
    expect(() => ChatTemplate.fromConfig(config([{ name: 'rag', template: 'x' }]))!.render([])).toThrow(
      /none is named "default"; there are rag/,
    );
  });

  it('comes with the tokenizer, in whose ids its special tokens are', () => {
    const files = byteTokenizer({ tags: ['<user>'] }).save();
    const template = '{% for m in messages %}<user>{{ m.content }}{{ eos_token }}{% endfor %}';
    const tokenizer = loadTokenizer(files['tokenizer.json'], { eos_token: '<eos>', chat_template: template });
    const text = tokenizer.chat!.render([{ role: 'user', content: 'a' }]);
    expect(tokenizer.encode(text)).toEqual([258, 0x61, tokenizer.eos]);
    expect(tokenizer.save()['tokenizer_config.json']).toMatchObject({ chat_template: template });
  });
});
