/**
 * Scales and ticks: from data to the unit interval, so that a chart's size is left to the page.
 */
import { isNumber } from './format.ts';

export type Domain = readonly [low: number, high: number];

export interface Scale {
  readonly domain: Domain;
  readonly ticks: readonly number[];
  /** Place in [0, 1]; values outside of the domain are clamped. */
  place(value: number): number;
}

const clamp = (x: number): number => Math.min(1, Math.max(0, x));

/** A step of 1, 2 or 5 times a power of ten that cuts `span` into at most `count` parts. */
export function niceStep(span: number, count: number): number {
  const power = 10 ** Math.floor(Math.log10(span / count));
  const factor = [1, 2, 5, 10].find(f => span / (f * power) <= count * (1 + 1e-9)) ?? 10;
  return factor * power;
}

/** Multiples of a nice step inside [low, high]. */
export function niceTicks([low, high]: Domain, count: number): number[] {
  if (!(high > low)) return [low];
  const step = niceStep(high - low, count);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Smallest and largest finite value; [0, 1] when there are none, and a span around a single value. */
export function extent(values: readonly (number | null | undefined)[]): Domain {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (!isNumber(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  if (low < high) return [low, high];
  return low === 0 ? [0, 1] : [low - Math.abs(low) / 2, low + Math.abs(low) / 2];
}

/** The domain widened to whole tick steps. */
export function niceDomain([low, high]: Domain, count: number): Domain {
  const step = niceStep(high - low, count);
  return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
}

export function linearScale(domain: Domain, count = 4): Scale {
  const [low, high] = domain;
  const span = high - low || 1;
  return { domain, ticks: niceTicks(domain, count), place: value => clamp((value - low) / span) };
}

/** Logarithmic; ticks at 1, 2 and 5 times powers of ten, or at the powers alone when those are many. */
export function logScale([low, high]: Domain): Scale {
  const [a, b] = [Math.log10(low), Math.log10(high)];
  const decades = b - a;
  const factors = decades > 2.5 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(a); power <= Math.ceil(b); power++) {
    for (const factor of factors) ticks.push(Number((factor * 10 ** power).toPrecision(3)));
  }
  const inside = ticks.filter(tick => tick >= low * 0.999 && tick <= high * 1.001);
  return {
    domain: [low, high],
    ticks: inside,
    place: value => clamp((Math.log10(value) - a) / (decades || 1)),
  };
}

/** A positive extent with some air on both sides, for logarithmic scales. */
export function airyLogDomain(values: readonly number[], air = 0.12): Domain {
  const [low, high] = extent(values.filter(value => value > 0));
  const factor = Math.max(1.35, (high / low) ** air);
  return [low / factor, high * factor];
}
