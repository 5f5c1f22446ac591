/**
 * SentencePiece's precompiled normalization: a trie of texts and what replaces each.
 *
 * 1. Layout (sentencepiece, normalizer.cc): uint32 size of the trie in bytes, the trie as uint32 units of a double array
 *    (darts-clone), then the replacements, each ended by a zero byte; a trie value is the offset of one.
 * 2. Hugging Face's reading, which this one is, looks at grapheme clusters below six bytes whole and at single characters
 *    otherwise; `longest` is SentencePiece's own, which takes the longest text in the map at each place.
 */
import { GaslawError } from '../../util/errors.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export class Charsmap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  readonly #graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

  /** Throws a GaslawError naming `place` when the sizes do not fit. */
  constructor(bytes: Uint8Array, place: string) {
    const size = bytes.length < 4 ? -1 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    if (size < 4 || size % 4 !== 0 || size > bytes.length - 4) {
      throw new GaslawError(
        `${place}: a charsmap of ${bytes.length} bytes whose trie has ${size}; the file is damaged`,
      );
    }
    this.#units = new Uint32Array(bytes.slice(4, 4 + size).buffer);
    this.#replacements = bytes.slice(4 + size);
  }

  static fromBase64(text: string, place: string): Charsmap {
    try {
      return new Charsmap(
        Uint8Array.from(atob(text), c => c.charCodeAt(0)),
        place,
      );
    } catch (error) {
      if (error instanceof GaslawError) throw error;
      throw new GaslawError(`${place}: the charsmap is not base64`);
    }
  }

  /** The text as Hugging Face tokenizers normalizes it. */
  normalize(text: string): string {
    let out = '';
    for (const { segment } of this.#graphemes.segment(text)) {
      const whole = encoder.encode(segment).length < 6 ? this.#transform(segment) : undefined;
      if (whole !== undefined) out += whole;
      else for (const character of segment) out += this.#transform(character) ?? character;
    }
    return out;
  }

  /** The text as SentencePiece normalizes it. */
  normalizeLongest(text: string): string {
    const bytes = encoder.encode(text);
    let out = '';
    for (let at = 0; at < bytes.length; ) {
      const found = this.#prefixes(bytes, at).at(-1);
      const end = found?.end ?? at + characterLength(bytes[at]!);
      out += found ? this.#replacement(found.value) : decoder.decode(bytes.subarray(at, end));
      at = end;
    }
    return out;
  }

  /** What replaces a text that begins with something in the map: that of its shortest beginning, as spm_precompiled does. */
  #transform(text: string): string | undefined {
    const first = this.#prefixes(encoder.encode(text), 0)[0];
    return first && this.#replacement(first.value);
  }

  #replacement(offset: number): string {
    const end = this.#replacements.indexOf(0, offset);
    return decoder.decode(this.#replacements.subarray(offset, end < 0 ? undefined : end));
  }

  /** All texts of the map that begin at `from`, shortest first. */
  #prefixes(bytes: Uint8Array, from: number): { end: number; value: number }[] {
    const found: { end: number; value: number }[] = [];
    let node = offsetOf(this.#units[0]!);
    for (let i = from; i < bytes.length && bytes[i] !== 0; i++) {
      node ^= bytes[i]!;
      const unit = this.#units[node];
      if (unit === undefined || labelOf(unit) !== bytes[i]) break;
      node ^= offsetOf(unit);
      const value = this.#units[node];
      if (hasLeaf(unit) && value !== undefined) found.push({ end: i + 1, value: value & 0x7fffffff });
    }
    return found;
  }
}

// The bits of a darts-clone unit.
const hasLeaf = (unit: number) => ((unit >>> 8) & 1) === 1;
const labelOf = (unit: number) => (unit & (0x80000000 | 0xff)) >>> 0;
const offsetOf = (unit: number) => (unit >>> 10) << ((unit & (1 << 9)) >>> 6);

const characterLength = (lead: number) => (lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4);
