/**
 * Chat templates: a conversation as the text that a model was trained to go on with.
 *
 * 1. Templates are Jinja, rendered by @huggingface/jinja with transformers' settings: blocks take the line feed after them
 *    (`trim_blocks`) and the white space before them (`lstrip_blocks`); `raise_exception`, `strftime_now` and `tojson` are theirs.
 *    Lists, true and none that are printed without `tojson` come out as JSON there, as Python's in transformers.
 * 2. A rendered text has its begin token in it: encode it without `addSpecial`.
 * 3. Of several templates (`default`, `tool_use`, `rag`) tools choose `tool_use`, all else `default`.
 */
import { Template } from '@huggingface/jinja';
import { z } from 'zod';
import { GaslawError } from '../util/errors.ts';

/** One turn. Templates may read more fields, such as `tool_calls` or `reasoning_content`. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

export interface ChatOptions {
  /** End with what announces an answer. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** Functions that the model may call, as JSON schemas. */
  readonly tools?: readonly unknown[];
  /** Anything else that a template reads, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

const namedTemplates = z.array(z.object({ name: z.string(), template: z.string() }));
const tokenText = z.union([z.string(), z.object({ content: z.string() }).transform(t => t.content)]);

export class ChatTemplate {
  readonly #sources: ReadonlyMap<string, string>;
  readonly #parsed = new Map<string, Template>();
  readonly #tokens: Readonly<Record<string, string>>;

  /** `tokens` are the special tokens that templates name, such as `bos_token`. */
  constructor(sources: ReadonlyMap<string, string>, tokens: Readonly<Record<string, string>> = {}) {
    this.#sources = sources;
    this.#tokens = tokens;
  }

  /** The template of parsed `tokenizer_config.json`; undefined when it has none. */
  static fromConfig(config: unknown): ChatTemplate | undefined {
    const fields = (config ?? {}) as Record<string, unknown>;
    const source = fields.chat_template;
    if (source === undefined || source === null) return undefined;
    if (typeof source === 'string') return new ChatTemplate(new Map([['default', source]]), tokensOf(fields));
    const named = namedTemplates.safeParse(source);
    if (!named.success)
      throw new GaslawError(
        'tokenizer_config.json: chat_template is neither text nor a list of names and templates',
      );
    return new ChatTemplate(new Map(named.data.map(t => [t.name, t.template])), tokensOf(fields));
  }

  /** The text of a conversation. Throws a GaslawError with the template's own words when it refuses the conversation. */
  render(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    const { addGenerationPrompt = true, tools, variables } = options;
    try {
      return this.#template(tools !== undefined).render({
        ...this.#tokens,
        ...variables,
        messages,
        tools: tools ?? null,
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (error) {
      throw new GaslawError(`chat template: ${(error as Error).message}`);
    }
  }

  #template(withTools: boolean): Template {
    const name = withTools && this.#sources.has('tool_use') ? 'tool_use' : 'default';
    const source = this.#sources.get(name);
    if (source === undefined)
      throw new Error(`none is named "${name}"; there are ${[...this.#sources.keys()].join(', ')}`);
    const template = this.#parsed.get(name) ?? new Template(source);
    this.#parsed.set(name, template);
    return template;
  }
}

/** The special tokens that the config names: fields that end in `_token`. */
function tokensOf(fields: Record<string, unknown>): Record<string, string> {
  const named = Object.entries(fields).flatMap(([name, value]) => {
    const text = name.endsWith('_token') ? tokenText.safeParse(value) : undefined;
    return text?.success ? [[name, text.data] as const] : [];
  });
  return Object.fromEntries(named);
}
