/** What a model of `tokenizer.json` is: it gives the ids of one word. */
export interface WordModel {
  /** Appends the ids of a word. Throws a GaslawError when the word has no token and there is none for unknown ones. */
  tokenize(word: string, ids: number[]): void;
  /** Ids by text. */
  readonly vocabulary: ReadonlyMap<string, number>;
}

/** `<0x0A>`, the token of a byte where bytes have tokens of their own. */
export const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

const encoder = new TextEncoder();

/** The byte tokens of a text; undefined unless the vocabulary has all of them. */
export function byteTokens(vocabulary: ReadonlyMap<string, number>, text: string): number[] | undefined {
  const ids: number[] = [];
  for (const byte of encoder.encode(text)) {
    const id = vocabulary.get(byteToken(byte));
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}
