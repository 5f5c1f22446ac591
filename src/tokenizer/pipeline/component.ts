/**
 * Reading the components of `tokenizer.json`: objects with a `type` and fields that depend on it.
 */
import { z } from 'zod';
import { GaslawError } from '../../util/errors.ts';

/** `{ type: "…", … }`, its other fields unread. */
export const component = z.object({ type: z.string() }).loose();
export type Component = z.infer<typeof component>;

/** A text or a regular expression. */
export const pattern = z.union([z.object({ String: z.string() }), z.object({ Regex: z.string() })]);
export type Pattern = z.infer<typeof pattern>;

/** How a component of one type is made; `place` names it in errors. */
export type Maker<T> = (json: Component, place: string) => T;

/** Makes a component, or says that its type is not known here. */
export function make<T>(makers: Readonly<Record<string, Maker<T>>>, json: unknown, place: string): T {
  const { type } = parse(component, json, place);
  if (!Object.hasOwn(makers, type)) {
    throw new GaslawError(
      `${place}: type ${type} is not supported; known are ${Object.keys(makers).join(', ')}`,
    );
  }
  return (makers[type] as Maker<T>)(json as Component, `${place}.${type}`);
}

/** The value as the schema has it. Throws a GaslawError that names the field. */
export function parse<T>(schema: z.ZodType<T>, value: unknown, place: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new GaslawError(`${[place, ...issue.path].join('.')}: ${issue.message}`);
}
