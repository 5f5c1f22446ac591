/**
 * Numbers as a person reads them, with units. What is not a finite number is shown as "–".
 */
import type { Interval } from '../tasks/statistics.ts';

/** A number that a file may lack: JSON writes NaN as null. */
export type Maybe = number | null | undefined;

export const NONE = '–';

/** Between a number and its sign, and its unit: no line breaks there. */
export const THIN = '\u202f';
export const GAP = '\u00a0';

export const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

const shown = (value: Maybe, text: (value: number) => string): string =>
  isNumber(value) ? text(value) : NONE;

export const percent = (share: Maybe): string => shown(share, x => `${(100 * x).toFixed(1)}${THIN}%`);

/** A 95 % interval of shares: "66 – 76 %", with a decimal where it is narrower than three points. */
export function percentInterval(interval: Interval | undefined): string {
  if (!interval?.every(isNumber)) return NONE;
  const digits = interval[1] - interval[0] < 0.03 ? 1 : 0;
  const [low, high] = interval.map(x => (100 * x).toFixed(digits));
  return `${low}${THIN}–${THIN}${high}${THIN}%`;
}

/** Three significant digits, no exponent for everyday sizes: 0.0123, 4.57, 1230. */
export const plain = (value: Maybe): string =>
  shown(value, x => {
    if (x === 0) return '0';
    if (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e6) return x.toExponential(1);
    return Math.abs(x) >= 100 ? x.toFixed(0) : String(Number(x.toPrecision(3)));
  });

const SCALES: readonly (readonly [size: number, prefix: string])[] = [
  [1e15, 'P'],
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
];

/** With an SI prefix: 613000 and "B" give "613 kB". */
export const si = (value: Maybe, unit = ''): string =>
  shown(value, x => {
    const [size, prefix] = SCALES.find(([limit]) => Math.abs(x) >= limit) ?? [1, ''];
    return `${plain(x / size)}${GAP}${prefix}${unit}`.trim();
  });

export const bytes = (value: Maybe): string => si(value, 'B');
export const flops = (value: Maybe): string => si(value, 'FLOP');
export const milliseconds = (value: Maybe): string => shown(value, x => `${plain(x)}${GAP}ms`);

/** "42 s", "13 min 20 s", "2 h 5 min"; under ten seconds with a decimal. */
export const duration = (seconds: Maybe): string =>
  shown(seconds, s => {
    if (s < 10) return `${plain(s)}${GAP}s`;
    const whole = Math.round(s);
    if (whole < 60) return `${whole}${GAP}s`;
    if (whole < 3600) return `${Math.floor(whole / 60)}${GAP}min${GAP}${whole % 60}${GAP}s`;
    const minutes = Math.round(s / 60);
    return `${Math.floor(minutes / 60)}${GAP}h${GAP}${minutes % 60}${GAP}min`;
  });
