/** Imports go one way, and only the rim touches the platform. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { expect, it } from 'vitest';

const SRC = join(import.meta.dirname, '../src');
const ORDER = [
  'util',
  'graph',
  'ops',
  'autodiff',
  'runtime',
  'nn',
  'formats',
  'tokenizer',
  'models',
  'data',
  'generate',
  'tasks',
  'train',
  'compress',
  'export',
  'report',
  'cli',
] as const;
const RIM = [/^runtime\/native\//, /^runtime\/web\//, /^cli\//];

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map(name => name.split(sep).join('/'))
  .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts') && name.includes('/'))
  .filter(name => !/^runtime\/conformance/.test(name)); // a test suite, kept beside what it tests

const importsOf = (source: string): string[] =>
  [...source.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(m => m[1] as string);

/** What is wrong with one file's imports. */
function violations(name: string, source: string): string[] {
  const folder = name.split('/')[0] as string;
  return importsOf(source).flatMap(target => {
    if (/^(node:|onnxruntime|koffi)/.test(target))
      return RIM.some(r => r.test(name)) ? [] : [`${name}: ${target}`];
    if (!target.startsWith('.')) return [];
    const path = relative(SRC, join(SRC, name, '..', target)).split(sep)[0] as string;
    const [own, other] = [folder, path].map(f => ORDER.indexOf(f as (typeof ORDER)[number]));
    return (other as number) > (own as number) ? [`${name} imports ${target}, of a later folder`] : [];
  });
}

it('every folder has its place in the order', () => {
  expect([...new Set(files.map(f => f.split('/')[0] as string))].sort()).toEqual([...ORDER].sort());
});

it('no file imports a later folder or, in the core, the platform', () => {
  expect(files.flatMap(name => violations(name, readFileSync(join(SRC, name), 'utf8')))).toEqual([]);
});

it('would see a violation', () => {
  expect(violations('graph/x.ts', "import { a } from '../nn/layers.ts';")).toHaveLength(1);
  expect(violations('nn/x.ts', "import fs from 'node:fs';")).toHaveLength(1);
});

it('every folder has a README that says more than its name', () => {
  for (const folder of ORDER) {
    const lines = readFileSync(join(SRC, folder, 'README.md'), 'utf8')
      .trimEnd()
      .split('\n').length;
    expect([folder, lines >= 5]).toEqual([folder, true]);
  }
});
