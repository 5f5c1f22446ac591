/**
 * What a recipe is: a function from (size, seed) to a complete run in a folder.
 */
import type { RunContext } from '../src/train/loop.ts';
import type { RunResult } from '../src/train/run.ts';
import type { Runtime } from '../src/runtime/runtime.ts';

export const SIZES = ['debug', 'small', 'full'] as const;
export type Size = (typeof SIZES)[number];

export interface RecipeContext extends RunContext {
  readonly runtime: Runtime;
  readonly size: Size;
  readonly seed: number;
  readonly version: string;
  /** Options of this recipe alone, by name (for example `text` of recipe text). */
  readonly options: Readonly<Record<string, string>>;
  /** One line to the person who watches. */
  readonly log: (line: string) => void;
}

export interface Recipe {
  readonly name: string;
  readonly summary: string;
  /** What each size does and about how long it takes on two cores. */
  readonly sizes: Readonly<Record<Size, string>>;
  /** Names of `options` with what they mean. */
  readonly options?: Readonly<Record<string, string>>;
  run(context: RecipeContext): Promise<RunResult>;
}
