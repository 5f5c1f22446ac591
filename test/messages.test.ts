/** What the library says is about its arguments; which option that is, the command line adds. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../src');

/** Style sheets have custom properties, the report prints commands, sources name those of others, and V8 has flags. */
const OTHERWISE = /^(report\/|devices\/sources\.ts|runtime\/native\/engine\.ts)/;

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map(name => name.replaceAll('\\', '/'))
  .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts') && !/^cli\//.test(name))
  .filter(name => !OTHERWISE.test(name));

const lines = files.flatMap(file =>
  readFileSync(join(root, file), 'utf8')
    .split('\n')
    .filter(line => !/^\s*(\/?\*|\/\/)/.test(line))
    .map(line => ({ file, line })),
);

it.each([
  ['option', /['"`\s(]--[a-z]/],
  [
    'command',
    /['"`\s(]gaslaw (run|eval|generate|perplexity|inspect|bench|convert|compress|check|prune|search|quantize)\b/,
  ],
])('no string outside of cli names an %s', (_, named) => {
  expect(lines.length).toBeGreaterThan(20_000);
  expect(lines.filter(({ line }) => named.test(line))).toEqual([]);
});
