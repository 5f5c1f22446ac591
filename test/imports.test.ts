/** Imports go one way, and only the rim touches the platform. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');

/** A folder imports itself and those before it. */
const ORDER = [
  'util',
  'graph',
  'ops',
  'autodiff',
  'runtime',
  'import',
  'nn',
  'formats',
  'tokenizer',
  'models',
  'generate',
  'data',
  'tasks',
  'train',
  'report',
  'devices',
  'compress',
  'export',
  'serve',
  'cluster',
  'recipes',
  'cli',
];

/** Where `node:*`, onnxruntime packages and koffi may be imported. */
const RIM = /^src\/(runtime\/native|runtime\/web|serve\/node|cluster|cli)\//;

interface Import {
  readonly file: string;
  readonly target: string;
}

const sources = ['src', 'recipes'].flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map(name => join(folder, name).replaceAll('\\', '/')),
);

const imports: Import[] = sources.flatMap(file => {
  const text = readFileSync(join(root, file), 'utf8');
  const found = text.matchAll(
    /^(?:import|export)\b[^;]*?from '([^']+)'|\bimport\('([^']+)'\)|^import '([^']+)'/gm,
  );
  return [...found].map(match => ({ file, target: (match[1] ?? match[2] ?? match[3]) as string }));
});

const partOf = (path: string): string =>
  path.startsWith('src/') ? (path.split('/')[1] as string) : 'recipes';

function resolved({ file, target }: Import): string {
  return relative(root, resolve(root, dirname(file), target)).replaceAll('\\', '/');
}

const local = imports.filter(i => i.target.startsWith('.') && partOf(i.file) !== 'index.ts');

it('finds the imports', () => {
  expect(sources.length).toBeGreaterThan(150);
  expect(local.length).toBeGreaterThan(800);
});

it('every folder of src has its place in the order', () => {
  const parts = new Set(sources.map(partOf).filter(part => part !== 'index.ts'));
  expect([...parts].filter(part => !ORDER.includes(part))).toEqual([]);
});

it('a folder imports only from folders before it', () => {
  const place = (path: string) => ORDER.indexOf(partOf(path));
  const wrong = local.filter(i => place(resolved(i)) > place(i.file));
  expect(wrong.map(i => `${i.file} imports ${resolved(i)}`)).toEqual([]);
});

it('imports stay inside src and recipes and name files with their extension', () => {
  const wrong = local.filter(i => !/^(src|recipes)\//.test(resolved(i)) || !i.target.endsWith('.ts'));
  expect(wrong.map(i => `${i.file} imports ${i.target}`)).toEqual([]);
});

describe('the core runs anywhere', () => {
  const platform = imports.filter(i => /^(node:|onnxruntime|koffi)/.test(i.target) && !RIM.test(i.file));
  it('only the rim imports node:*, onnxruntime packages and koffi', () => {
    expect(platform.map(i => `${i.file} imports ${i.target}`)).toEqual([]);
  });

  it('what a page would load of the core reaches no node:* module', () => {
    const core = imports.filter(
      i => !RIM.test(i.file) && partOf(i.file) !== 'index.ts' && partOf(i.file) !== 'recipes',
    );
    const reaching = core.filter(i => i.target.startsWith('.') && RIM.test(resolved(i)));
    expect(reaching.map(i => `${i.file} imports ${resolved(i)}`)).toEqual([]);
  });
});
