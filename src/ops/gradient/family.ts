/** Part of the gradient table: the rules of one family of ops. */
import type { GradientRule } from '../rule.ts';
import type { OpType } from '../schema.ts';

export type Family = { readonly [K in OpType]?: GradientRule };
