/**
 * Examples made by a person's own module: its default export is `Examples`, or a function from the model's inputs to them.
 *
 *     export default inputs => ({ name: 'mine', count: 100, labels: Int32Array.from(…), batch: indices => ({ x: … }) });
 */
import type { ValueInfo } from '../../graph/ir.ts';
import { GaslawError } from '../../util/errors.ts';
import type { Examples } from './examples.ts';

/** Gives a module's exports by its path. */
export type ModuleLoader = (path: string) => Promise<Readonly<Record<string, unknown>>>;

export async function moduleExamples(
  load: ModuleLoader,
  path: string,
  inputs: readonly ValueInfo[],
): Promise<Examples> {
  const exported = (await loaded(load, path)).default;
  const made: unknown = typeof exported === 'function' ? await exported(inputs) : exported;
  return checked(made, path);
}

async function loaded(load: ModuleLoader, path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await load(path);
  } catch (error) {
    throw new GaslawError(`${path}: cannot be loaded as a module (${(error as Error).message})`);
  }
}

function checked(made: unknown, path: string): Examples {
  const value = made as Partial<Examples> | null | undefined;
  const fail = (what: string): never => {
    throw new GaslawError(
      `${path}: its default export ${what}; export { name, count, labels?, classes?, batch(indices) }`,
    );
  };
  if (typeof value !== 'object' || value === null)
    return fail(`is ${typeof made}, not an object or a function that makes one`);
  if (typeof value.batch !== 'function') return fail('has no function batch');
  if (!Number.isInteger(value.count) || (value.count as number) < 1) return fail('has no whole number count');
  if (value.labels && value.labels.length !== value.count)
    return fail(`has ${value.labels.length} labels for ${value.count} examples`);
  // all that the type asks for has been looked at
  return { ...value, name: value.name ?? path, batch: value.batch.bind(made) } as Examples;
}
