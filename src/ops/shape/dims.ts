/**
 * Arithmetic on dimensions that may be symbols.
 *
 * 1. A symbolic dim is a polynomial with integer coefficients in named atoms, printed in one canonical order
 *    (`B*T`, `4*d`, `P+T`, `T-1`), so equal dims are equal strings and `(B*T)/B` gives `T` back.
 * 2. What is no polynomial becomes an atom spelt as a call: `floor(T/2)`, `min(5,T)`.
 * 3. Symbols stand for non-negative integers.
 */
import type { Dim, Shape } from '../../graph/ir.ts';

/** Monomial (atoms sorted and joined by `*`, `''` for the constant) to its coefficient, never 0. */
type Polynomial = ReadonlyMap<string, number>;

const parsed = new Map<string, Polynomial>();

const atomsOf = (monomial: string): string[] => (monomial === '' ? [] : splitTop(monomial, '*'));

/** Splits at `separator` outside parentheses. */
function splitTop(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')') depth--;
    else if (depth === 0 && text[i] === separator) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return [...parts, text.slice(from)];
}

function parse(dim: Dim): Polynomial {
  if (typeof dim === 'number') return new Map(dim === 0 ? [] : [['', dim]]);
  const known = parsed.get(dim);
  if (known) return known;
  const polynomial = parseSum(dim.replaceAll(/\s/g, ''));
  parsed.set(dim, polynomial);
  return polynomial;
}

/** Sum of products of numbers and atoms; anything in parentheses stays as it is written. */
function parseSum(text: string): Polynomial {
  const sum = new Map<string, number>();
  for (const [i, part] of splitTop(markMinus(text), '+').entries()) {
    if (part === '') {
      if (i > 0) return new Map([[text, 1]]);
      continue;
    }
    const negative = part.startsWith('\u0000');
    addTerm(sum, ...parseProduct(negative ? part.slice(1) : part, negative ? -1 : 1));
  }
  return sum;
}

/** Writes each minus outside parentheses as `+\0`, so that one split finds all terms. */
const markMinus = (text: string): string => splitTop(text, '-').join('+\u0000');

function parseProduct(text: string, sign: number): [string, number] {
  let coefficient = sign;
  const atoms: string[] = [];
  for (const factor of splitTop(text, '*')) {
    if (/^\d+$/.test(factor)) coefficient *= Number(factor);
    else atoms.push(factor);
  }
  return [atoms.sort().join('*'), coefficient];
}

function addTerm(sum: Map<string, number>, monomial: string, coefficient: number): void {
  const total = (sum.get(monomial) ?? 0) + coefficient;
  if (total === 0) sum.delete(monomial);
  else sum.set(monomial, total);
}

/** Graded lexicographic order, greatest first. */
function compareMonomials(a: string, b: string): number {
  const x = atomsOf(a);
  const y = atomsOf(b);
  if (x.length !== y.length) return y.length - x.length;
  const i = x.findIndex((atom, j) => atom !== y[j]);
  return i < 0 ? 0 : (x[i] as string) < (y[i] as string) ? -1 : 1;
}

const termsOf = (p: Polynomial): [string, number][] =>
  [...p].sort(([a, x], [b, y]) => Number(x < 0) - Number(y < 0) || compareMonomials(a, b));

function format(p: Polynomial): Dim {
  if (p.size === 0) return 0;
  const constant = p.get('');
  if (p.size === 1 && constant !== undefined) return constant;
  const text = termsOf(p).map(([monomial, k]) => (k < 0 ? '-' : '+') + formatTerm(monomial, Math.abs(k)));
  return text.join('').replace(/^\+/, '');
}

const formatTerm = (monomial: string, k: number): string =>
  monomial === '' ? String(k) : k === 1 ? monomial : `${k}*${monomial}`;

/** Greatest monomial first and by it alone: what long division needs. */
const leading = (p: Polynomial): [string, number] =>
  [...p].reduce((best, term) => (compareMonomials(term[0], best[0]) < 0 ? term : best));

function product(a: Polynomial, b: Polynomial): Polynomial {
  const sum = new Map<string, number>();
  for (const [m, x] of a) {
    for (const [n, y] of b) addTerm(sum, [...atomsOf(m), ...atomsOf(n)].sort().join('*'), x * y);
  }
  return sum;
}

/** a / b of monomials, or undefined when b does not divide a. */
function divideTerm([m, x]: [string, number], [n, y]: [string, number]): [string, number] | undefined {
  const rest = atomsOf(m);
  for (const atom of atomsOf(n)) {
    const at = rest.indexOf(atom);
    if (at < 0) return undefined;
    rest.splice(at, 1);
  }
  return x % y === 0 ? [rest.join('*'), x / y] : undefined;
}

export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  const sum = new Map(parse(a));
  for (const [monomial, k] of parse(b)) addTerm(sum, monomial, k);
  return format(sum);
}

export function mulDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b + 0; // never -0
  return format(product(parse(a), parse(b)));
}

export const subDims = (a: Dim, b: Dim): Dim => addDims(a, mulDims(-1, b));

/** Product of dims: the number of elements, `B*T*64` for a symbolic shape. */
export const productOf = (dims: readonly Dim[]): Dim => dims.reduce(mulDims, 1);

/** a / b when it is exact for every value of the symbols, else undefined (also for b = 0). */
export function divideExactly(a: Dim, b: Dim): Dim | undefined {
  const divisor = parse(b);
  if (divisor.size === 0) return undefined;
  let quotient: Dim = 0;
  for (let rest = a; rest !== 0; ) {
    const term = divideTerm(leading(parse(rest)), leading(divisor));
    if (!term) return undefined;
    const step = format(new Map([term]));
    quotient = addDims(quotient, step);
    rest = subDims(rest, mulDims(step, b));
  }
  return quotient;
}

/** a / b, rounded down when it is not exact. b must not be 0. */
export function divDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return Math.floor(a / b);
  return divideExactly(a, b) ?? `floor(${canonical(a)}/${grouped(canonical(b))})`;
}

const grouped = (b: Dim): string => (/[+\-*]/.test(String(b)) ? `(${b})` : String(b));

export const ceilDivDims = (a: Dim, b: Dim): Dim =>
  divideExactly(a, b) ?? divDims(addDims(a, subDims(b, 1)), b);

/** Whether a <= b for every non-negative value of the symbols, as far as signs of coefficients can tell. */
const surelyAtMost = (a: Dim, b: Dim): boolean => [...parse(subDims(b, a)).values()].every(k => k >= 0);

export function minDims(a: Dim, b: Dim): Dim {
  if (surelyAtMost(a, b)) return a;
  return surelyAtMost(b, a) ? b : `min(${[a, b].map(String).sort().join()})`;
}

export function maxDims(a: Dim, b: Dim): Dim {
  if (surelyAtMost(a, b)) return b;
  return surelyAtMost(b, a) ? a : `max(${[a, b].map(String).sort().join()})`;
}

/** The canonical spelling of a dim. */
export const canonical = (dim: Dim): Dim => (typeof dim === 'number' ? dim : format(parse(dim)));

/** Whether a and b are equal whatever the symbols are. */
export const sameDim = (a: Dim, b: Dim): boolean => a === b || canonical(a) === canonical(b);

/** Whether a and b differ by a number other than 0 or stand in a fixed ratio other than 1: they cannot agree. */
export function surelyDiffer(a: Dim, b: Dim): boolean {
  if (typeof a === 'number' && typeof b === 'number') return a !== b;
  const difference = subDims(a, b);
  return difference !== 0 && (typeof difference === 'number' || proportional(a, b));
}

/** Whether a is a multiple of b by a number, for non-zero a and b. */
function proportional(a: Dim, b: Dim): boolean {
  if (a === 0 || b === 0) return false;
  const [x, y] = [leading(parse(a))[1], leading(parse(b))[1]];
  return sameDim(mulDims(y, a), mulDims(x, b));
}

/** Of two dims that must agree, the one that says more: a number, else the shorter symbol, else the first of the alphabet. */
export function moreTelling(a: Dim, b: Dim): Dim {
  if (typeof a === 'number') return a;
  if (typeof b === 'number') return b;
  if (a.length !== b.length) return a.length < b.length ? a : b;
  return a <= b ? a : b;
}

/** `[8,T,16]`; `of unknown rank` without a shape. */
export const showShape = (shape: Shape | undefined): string =>
  shape ? `[${shape.join()}]` : 'of unknown rank';
