import type { Measurement } from './index.ts';

export const ETHOS: readonly Measurement[] = [];
