/** Post-processors of `tokenizer.json`: the special tokens around a text. */
import { z } from 'zod';
import { GaslawError } from '../../util/errors.ts';
import { type Maker, make, parse } from './component.ts';

/** Ids in front of a text and behind it. */
export interface Surround {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

export const NO_SURROUND: Surround = { before: [], after: [] };

/** What the JSON puts around one text; null is nothing. */
export function surroundOf(json: unknown, place = 'tokenizer.json: post_processor'): Surround {
  return json === null || json === undefined ? NO_SURROUND : make(MAKERS, json, place);
}

const named = z.tuple([z.string(), z.number().int().min(0)]);

const piece = z.union([
  z.object({ Sequence: z.object({ id: z.enum(['A', 'B']) }) }),
  z.object({ SpecialToken: z.object({ id: z.string() }) }),
]);

const template = z.object({
  single: z.array(piece),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(z.number().int().min(0)) })),
});

const clsAndSep: Maker<Surround> = (json, place) => {
  const { cls, sep } = parse(z.object({ cls: named, sep: named }), json, place);
  return { before: [cls[1]], after: [sep[1]] };
};

const MAKERS: Readonly<Record<string, Maker<Surround>>> = {
  /** Moves offsets only. */
  ByteLevel: () => NO_SURROUND,
  RobertaProcessing: clsAndSep,
  BertProcessing: clsAndSep,
  TemplateProcessing: (json, place) => readTemplate(parse(template, json, place), place),
  Sequence: (json, place) => {
    const { processors } = parse(z.object({ processors: z.array(z.unknown()) }), json, place);
    return processors.map((p, i) => make(MAKERS, p, `${place}.${i}`)).reduce(around, NO_SURROUND);
  },
};

const around = (inner: Surround, outer: Surround): Surround => ({
  before: [...outer.before, ...inner.before],
  after: [...inner.after, ...outer.after],
});

function readTemplate({ single, special_tokens }: z.infer<typeof template>, place: string): Surround {
  const at = single.findIndex(p => 'Sequence' in p);
  if (at < 0 || single.filter(p => 'Sequence' in p).length > 1)
    throw new GaslawError(`${place}.single: the text must stand in it once`);
  const ids = (pieces: typeof single) =>
    pieces.flatMap(p => {
      const name = 'SpecialToken' in p ? p.SpecialToken.id : '';
      if (!Object.hasOwn(special_tokens, name))
        throw new GaslawError(`${place}.single: special token "${name}" is not among special_tokens`);
      return special_tokens[name]!.ids;
    });
  return { before: ids(single.slice(0, at)), after: ids(single.slice(at + 1)) };
}
