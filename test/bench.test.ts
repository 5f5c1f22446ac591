/** bench/README.md names every measurement of bench/main.ts, and none besides. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EXPERIMENTS } from '../bench/architecture/variants.ts';

const read = (name: string) => readFileSync(join(import.meta.dirname, '../bench', name), 'utf8');

it('bench/README.md lists what bench/main.ts has', () => {
  const table = /const BENCHES[^{]*\{\n(.*?)\n\};/s.exec(read('main.ts'))?.[1] ?? '';
  const names = [...table.matchAll(/^ {2}'?([\w-]+)'?:/gm)].map(match => match[1]);
  const listed = /npm run bench -- ([\w|-]+)/.exec(read('README.md'))?.[1]?.split('|') ?? [];
  expect(names.length).toBeGreaterThan(15);
  expect(listed.toSorted()).toEqual([...names, ...Object.keys(EXPERIMENTS)].toSorted());
});
