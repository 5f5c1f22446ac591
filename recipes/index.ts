/** The recipes by name. To add one, write its folder and name it here. */
import { UsageError } from '../src/util/errors.ts';
import { images } from './images/index.ts';
import { r1 } from './r1/index.ts';
import type { Recipe } from './recipe.ts';
import { text } from './text/index.ts';

export const RECIPES: Readonly<Record<string, Recipe>> = { r1, images, text };

/** Throws a UsageError that lists the recipes. */
export function recipeNamed(name: string): Recipe {
  const recipe = Object.hasOwn(RECIPES, name) ? RECIPES[name] : undefined;
  if (!recipe)
    throw new UsageError(`there is no recipe "${name}"; there are ${Object.keys(RECIPES).join(', ')}`);
  return recipe;
}
