/**
 * Regular expressions of `tokenizer.json` as JavaScript's: Hugging Face tokenizers runs them in Oniguruma with its own
 * (Ruby-like) syntax, whose classes, anchors and possessive quantifiers differ.
 *
 * 1. `\s \d \w \h` and POSIX brackets are Unicode's there; each becomes the set that Oniguruma's documentation (doc/RE) gives.
 * 2. `^` and `$` are ends of lines, `\A \z` of the text; `.` leaves out the line feed unless `(?m)`.
 * 3. `X++`, `X?+`, `X*+` and `(?>X)` keep what they took: `(?=(?<g>X+))\k<g>`.
 * 4. `(?i:…)` spells out both cases, with ſ for s and the Kelvin sign for k as Unicode folds them: modifiers inside a
 *    pattern came to JavaScript after Node 20. Foldings to several characters (ß to ss) are left out.
 * 5. What has no counterpart here (`\G`, `\X`, `\K`, conditionals, subexpression calls) is refused by name.
 */
import { GaslawError } from '../../util/errors.ts';
import { CLASSES, caseVariants, type Escape, LETTERS, literal, property, range } from './characters.ts';

interface Flags {
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
  readonly extended: boolean;
}

/** A global regular expression (flags `gv`) that matches what Oniguruma would. Throws a GaslawError that names what is not supported. */
export function fromOniguruma(pattern: string): RegExp {
  const source = new Translator(pattern).translate();
  try {
    return new RegExp(source, 'gv');
  } catch {
    throw new GaslawError(`regular expression ${JSON.stringify(pattern)}: not understood`);
  }
}

/** Text that the expression matches literally. */
export const escapeText = (text: string): string => [...text].map(literal).join('');

const WORD = `[${CLASSES.w}]`;
const BOUNDARY = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;
const NO_BOUNDARY = `(?:(?<=${WORD})(?=${WORD})|(?<!${WORD})(?!${WORD}))`;

/** What has a fixed translation outside classes. */
const ANCHORS: Readonly<Record<string, string>> = {
  A: '(?<![\\s\\S])',
  z: '(?![\\s\\S])',
  Z: '(?=\\n?(?![\\s\\S]))',
  b: BOUNDARY,
  B: NO_BOUNDARY,
  R: '(?:\\r\\n|[\\n\\v\\f\\r\\u0085\\u2028\\u2029])',
};

const CONTROL: Readonly<Record<string, string>> = {
  t: '\t',
  n: '\n',
  r: '\r',
  f: '\f',
  v: '\v',
  a: '\x07',
  e: '\x1b',
};

class Translator {
  readonly #pattern: string;
  #at = 0;
  #groups = 0;
  #kept = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  translate(): string {
    const source = this.#alternatives({ ignoreCase: false, dotAll: false, extended: false });
    if (this.#at < this.#pattern.length) throw this.#refuse('an unmatched ")"');
    return source;
  }

  #refuse(what: string): GaslawError {
    return new GaslawError(
      `regular expression ${JSON.stringify(this.#pattern)}: ${what} at position ${this.#at} is not supported`,
    );
  }

  /** The rest of this group, up to its `)`. */
  #alternatives(flags: Flags): string {
    let out = '';
    while (this.#at < this.#pattern.length && this.#peek() !== ')') {
      if (this.#take('|')) out += '|';
      else if (flags.extended && this.#skipExtended()) continue;
      else {
        const switched = this.#flagSwitch(flags);
        // (?i) without a colon holds to the end of the group, alternatives included.
        if (switched) return `${out}(?:${this.#alternatives(switched)})`;
        out += this.#term(flags);
      }
    }
    return out;
  }

  #skipExtended(): boolean {
    const space = /\s+|#[^\n]*/y;
    space.lastIndex = this.#at;
    if (!space.test(this.#pattern)) return false;
    this.#at = space.lastIndex;
    return true;
  }

  #flagSwitch(flags: Flags): Flags | undefined {
    const match = this.#match(/\(\?([imx]*)(?:-([imx]*))?\)/y);
    return match && withFlags(flags, match[1] ?? '', match[2] ?? '');
  }

  #term(flags: Flags): string {
    let atom = this.#atom(flags);
    for (;;) {
      const quantifier = this.#match(/[*+?]|\{\d*,?\d*\}/y)?.[0];
      if (quantifier === undefined) return atom;
      atom = this.#quantified(atom, quantifier);
    }
  }

  #quantified(atom: string, quantifier: string): string {
    const counted = quantifier.startsWith('{');
    if (counted && !/^\{(\d+(,\d*)?|,\d+)\}$/.test(quantifier)) return atom + escapeText(quantifier);
    const plain = `(?:${atom})${quantifier.replace('{,', '{0,')}`;
    if (this.#take('?')) return `${plain}?`;
    return !counted && this.#take('+') ? this.#keep(plain) : plain;
  }

  /** What was matched once is not given back. */
  #keep(source: string): string {
    const name = `keep${this.#kept++}`;
    return `(?:(?=(?<${name}>${source}))\\k<${name}>)`;
  }

  #atom(flags: Flags): string {
    if (this.#peek() === '(') return this.#group(flags);
    if (this.#peek() === '[') return this.#class(flags);
    if (this.#take('.')) return flags.dotAll ? '[\\s\\S]' : '[^\\n]';
    if (this.#take('^')) return '(?:(?<![\\s\\S])|(?<=\\n)(?=[\\s\\S]))';
    if (this.#take('$')) return '(?![^\\n])';
    if (this.#peek() === '\\') return this.#escapeOutside(flags);
    if (/[*+?]/.test(this.#peek())) throw this.#refuse('a quantifier of nothing');
    return characterOf(this.#next(), flags);
  }

  #group(flags: Flags): string {
    if (this.#match(/\(\?#[^)]*\)/y)) return '';
    const look = this.#match(/\((\?(?:=|!|<=|<!))/y);
    if (look) return `(${look[1]}${this.#inside(flags)})`;
    if (this.#match(/\(\?>/y)) return this.#keep(this.#inside(flags));
    const options = this.#match(/\(\?([imx]*)(?:-([imx]*))?:/y);
    if (options) return `(?:${this.#inside(withFlags(flags, options[1] ?? '', options[2] ?? ''))})`;
    const named = this.#match(/\(\?<([A-Za-z_]\w*)>/y);
    if (named) return `(?<${named[1]}>${this.#inside(flags)})`;
    if (this.#match(/\(\?/y)) throw this.#refuse('this kind of group');
    this.#next();
    return `(?<group${++this.#groups}>${this.#inside(flags)})`;
  }

  #inside(flags: Flags): string {
    const source = this.#alternatives(flags);
    if (!this.#take(')')) throw this.#refuse('an unmatched "("');
    return source;
  }

  #escapeOutside(flags: Flags): string {
    const reference = this.#match(/\\([1-9])|\\k<([A-Za-z_]\w*)>/y);
    if (reference) return `\\k<${reference[2] ?? `group${reference[1]}`}>`;
    const anchor = this.#match(/\\([AzZbBR])/y);
    if (anchor) return ANCHORS[anchor[1] as string] as string;
    const escaped = this.#escape(false);
    return 'set' in escaped ? `[${escaped.set}]` : characterOf(escaped.character, flags);
  }

  /** `\…` as it stands inside and outside of classes: a set or one character. */
  #escape(inClass: boolean): Escape {
    const named = this.#match(/\\([pP])\{(\^?)([\w\s=-]+)\}|\\([pP])([A-Z])/y);
    if (named) {
      const negative = ((named[1] ?? named[4]) === 'P') !== (named[2] === '^');
      const set = property((named[3] ?? named[5]) as string, negative);
      if (set === undefined) throw this.#refuse(`property ${named[3] ?? named[5]}`);
      return { set };
    }
    const kind = this.#match(/\\([sdwhSDWH])/y)?.[1];
    if (kind !== undefined) {
      const name = inClass && kind.toLowerCase() === 'w' ? 'wordInClass' : kind.toLowerCase();
      const set = CLASSES[name as keyof typeof CLASSES];
      return { set: kind === kind.toLowerCase() ? set : `[^${set}]` };
    }
    const code = this.#match(/\\x\{([0-9A-Fa-f]{1,8})\}|\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{1,2})/y);
    if (code) return { character: this.#codePoint((code[1] ?? code[2] ?? code[3]) as string) };
    if (this.#match(/\\0/y)) return { character: '\0' };
    this.#next();
    if (this.#at >= this.#pattern.length) throw this.#refuse('a backslash at the end');
    const character = this.#next();
    if (character in CONTROL) return { character: CONTROL[character] as string };
    if (/[A-Za-z0-9]/.test(character)) throw this.#refuse(`\\${character}`);
    return { character };
  }

  #codePoint(hex: string): string {
    const code = Number.parseInt(hex, 16);
    if (code > 0x10ffff) throw this.#refuse(`code point ${hex}`);
    return String.fromCodePoint(code);
  }

  /** `[…]` with nested classes, POSIX brackets and `&&`. */
  #class(flags: Flags): string {
    this.#next();
    const negative = this.#take('^');
    const operands: string[] = [];
    let items = '';
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      if (this.#at >= this.#pattern.length) throw this.#refuse('an unmatched "["');
      if (this.#match(/&&/y)) {
        operands.push(items);
        items = '';
      } else items += this.#classItem(flags);
    }
    this.#next();
    const set = operands.length === 0 ? items : [...operands, items].map(s => `[${s}]`).join('&&');
    return `[${negative ? '^' : ''}${set}]`;
  }

  #classItem(flags: Flags): string {
    const posix = this.#match(/\[:(\^?)(\w+):\]/y);
    if (posix) {
      const set = property(posix[2] as string, posix[1] === '^');
      if (set === undefined) throw this.#refuse(`[:${posix[2]}:]`);
      return set;
    }
    if (this.#peek() === '[') return this.#class(flags);
    const from = this.#classMember();
    if ('set' in from) return from.set;
    const isRange = this.#peek() === '-' && !/^-(\]|&&|$)/.test(this.#pattern.slice(this.#at));
    if (!isRange) return characterOf(from.character, flags, true);
    this.#next();
    const to = this.#classMember();
    if ('set' in to) return `${literal(from.character)}${literal('-')}${to.set}`;
    if (to.character.codePointAt(0)! < from.character.codePointAt(0)!) throw this.#refuse('an empty range');
    return range(from.character, to.character, flags.ignoreCase);
  }

  #classMember(): Escape {
    if (this.#peek() !== '\\') return { character: this.#next() };
    if (this.#match(/\\b/y)) return { character: '\b' };
    return this.#escape(true);
  }

  #peek(): string {
    return this.#pattern[this.#at] ?? '';
  }

  #next(): string {
    const character = String.fromCodePoint(this.#pattern.codePointAt(this.#at)!);
    this.#at += character.length;
    return character;
  }

  #take(text: string): boolean {
    const taken = this.#pattern.startsWith(text, this.#at);
    if (taken) this.#at += text.length;
    return taken;
  }

  #match(expression: RegExp): RegExpExecArray | undefined {
    expression.lastIndex = this.#at;
    const match = expression.exec(this.#pattern) ?? undefined;
    if (match) this.#at = expression.lastIndex;
    return match;
  }
}

function withFlags(flags: Flags, on: string, off: string): Flags {
  const set = (name: string, value: boolean) =>
    on.includes(name) ? true : off.includes(name) ? false : value;
  return {
    ignoreCase: set('i', flags.ignoreCase),
    dotAll: set('m', flags.dotAll),
    extended: set('x', flags.extended),
  };
}

function characterOf(character: string, { ignoreCase }: Flags, inClass = false): string {
  if (!ignoreCase || !LETTERS.test(character)) return literal(character);
  const set = caseVariants(character).map(literal).join('');
  return inClass ? set : `[${set}]`;
}
