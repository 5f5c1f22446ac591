/**
 * What a recipe is: a function from (size, seed) to a complete run in a folder.
 */

import type { Runtime } from '../src/runtime/runtime.ts';
import type { RunContext } from '../src/train/loop.ts';
import type { RunResult } from '../src/train/run.ts';
import { UsageError } from '../src/util/errors.ts';

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

/** `name=value` pairs as a record. Throws when the recipe has no such option. */
export function parseRecipeOptions(recipe: Recipe, pairs: readonly string[]): Record<string, string> {
  const known = Object.keys(recipe.options ?? {});
  return Object.fromEntries(
    pairs.map(pair => {
      const at = pair.indexOf('=');
      const name = pair.slice(0, at < 0 ? pair.length : at);
      if (at < 0 || !known.includes(name)) {
        const list = known.length > 0 ? `it has ${known.join(', ')}` : 'it has none';
        throw new UsageError(`--set ${pair}: recipe ${recipe.name} has no option "${name}"; ${list}`);
      }
      return [name, pair.slice(at + 1)];
    }),
  );
}
