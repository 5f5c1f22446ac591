/** `gaslaw prune` of a language model, run as users run it. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { gaslaw, jsonOf, writeTinyModel } from './gaslaw.ts';

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-prune-lm-'));
const cli = (...args: string[]) => gaslaw(folder, ['prune', 'lm', '--out', 'small', ...args]);
const config = (name: string) =>
  JSON.parse(readFileSync(join(folder, name, 'config.json'), 'utf8')) as Record<string, number>;

beforeAll(async () => {
  await writeTinyModel(join(folder, 'lm'), 'abcdefgh 0123456789+=', 32, 2);
  writeFileSync(join(folder, 'text.txt'), 'abc 12+34=46 '.repeat(300));
});

describe('gaslaw prune of a language model', () => {
  it('takes layers and widths out, and lets what is left learn', () => {
    const before = config('lm');
    const bare = ['--layers', '1', '--keep', '0.5', '--align', '8', '--data', 'text.txt', '--json'];
    const pruned = jsonOf(cli(...bare)) as Record<string, number>;
    const learnt = jsonOf(cli(...bare, '--recover', '2')) as Record<string, number>;
    expect(config('small')).toMatchObject({
      num_hidden_layers: (before.num_hidden_layers as number) - 1,
      num_key_value_heads: Math.ceil((before.num_key_value_heads as number) / 2),
    });
    expect((config('small').intermediate_size as number) % 8).toBe(0);
    for (const what of ['parameters', 'bytes', 'macs'])
      expect(pruned[`${what}After`], what).toBeLessThan(pruned[`${what}Before`] as number);
    expect(learnt.qualityBefore).toBe(pruned.qualityBefore);
    expect(learnt.qualityAfter).toBeLessThan(0.9 * (pruned.qualityAfter as number));
  });

  it.each([
    [['--layers', '1'], /give --data TEXT/],
    [['--data', 'text.txt'], /give either --keep SHARE/],
    [['--layers', '99', '--data', 'text.txt'], /99 layers cannot go of 2; at least one has to stay/],
    [['--sparsity', '2:4', '--data', 'text.txt'], /language models take --layers and --keep/],
  ])('%j is refused in one sentence', (args, message) => {
    const { status, stderr } = cli(...args);
    expect(status).not.toBe(0);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
  });
});
