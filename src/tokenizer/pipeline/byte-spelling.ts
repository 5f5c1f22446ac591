/** GPT-2's spelling of bytes (encoder.py): printable ones as themselves, the others as U+0100 onwards. */

/** The character for each byte. */
export const BYTE_SPELLING: readonly string[] = makeSpelling();

function makeSpelling(): string[] {
  let next = 256;
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(printable(b) ? b : next++));
}

/** Byte by character code, −1 for characters that spell none. */
const BYTES = Int16Array.from({ length: 512 }, () => -1);
BYTE_SPELLING.forEach((character, byte) => {
  BYTES[character.charCodeAt(0)] = byte;
});

const encoder = new TextEncoder();
const PRINTABLE_ASCII = /^[!-~]*$/;

/** The text's UTF-8 bytes, spelled. */
export function spellBytes(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  let out = '';
  for (const byte of encoder.encode(text)) out += BYTE_SPELLING[byte];
  return out;
}

/** The bytes that a token spells; the token's own UTF-8 where a character of it spells none. */
export function bytesOf(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = BYTES[token.charCodeAt(i)] ?? -1;
    if (byte < 0) return encoder.encode(token);
    bytes[i] = byte;
  }
  return bytes;
}
