/** `gaslaw recipes`: what there is to run. */
import { Command } from 'commander';
import { RECIPES } from '../../../recipes/index.ts';
import type { Recipe } from '../../../recipes/recipe.ts';
import { JSON_OPTION } from '../options.ts';
import { createOutput, stdoutColors } from '../output.ts';
import { pairs } from '../table.ts';

export const recipesCommand = (): Command =>
  new Command('recipes')
    .description('list the recipes, their sizes and options')
    .option(...JSON_OPTION)
    .action((o: { json?: boolean }) => {
      const recipes = Object.values(RECIPES);
      const list = recipes.map(({ name, summary, sizes, options }) => ({ name, summary, sizes, options }));
      createOutput(o.json ?? false).result(list, () => recipes.flatMap(describe));
    });

function describe(recipe: Recipe, index: number): string[] {
  const { bold } = stdoutColors();
  const rows = [
    ...Object.entries(recipe.sizes).map(([size, text]) => [`  --size ${size}`, text] as const),
    ...Object.entries(recipe.options ?? {}).map(([name, text]) => [`  --set ${name}=…`, text] as const),
  ];
  return [...(index > 0 ? [''] : []), `${bold(recipe.name)}  ${recipe.summary}`, ...pairs(rows)];
}
