/** A run that is killed at any moment and resumed ends with the weights of an unbroken run, bit for bit. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, '../dist/src/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'gaslaw-resume-'));
const env = { ...process.env, GASLAW_CHECKPOINT_SECONDS: '0' };
/** Random moments, in milliseconds after the start of each attempt. */
const MOMENTS = [400, 900, 1500, 2300, 3100];

const args = (out: string) => [MAIN, 'run', 'r1', '--size', 'debug', '--out', join(folder, out)];

/** SHA-256 of every model's weights. */
function weights(out: string): Record<string, string> {
  const models = join(folder, out, 'models');
  return Object.fromEntries(
    readdirSync(models)
      .filter(name => existsSync(join(models, name, 'model.safetensors')))
      .map(name => [
        name,
        createHash('sha256')
          .update(readFileSync(join(models, name, 'model.safetensors')))
          .digest('hex'),
      ]),
  );
}

function killAfter(out: string, ms: number): Promise<void> {
  const resume = existsSync(join(folder, out, 'config.json')) ? ['--resume'] : [];
  const child = spawn(process.execPath, [...args(out), ...resume], { env, stdio: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  return new Promise(done => {
    child.on('exit', () => {
      clearTimeout(timer);
      done();
    });
  });
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('kill -9, then --resume: the same weights', { timeout: 300_000 }, async () => {
  expect(spawnSync(process.execPath, args('whole'), { env, stdio: 'ignore' }).status).toBe(0);
  for (const ms of MOMENTS) await killAfter('broken', ms);
  const last = spawnSync(process.execPath, [...args('broken'), '--resume'], { env, encoding: 'utf8' });
  expect(last.stderr).not.toContain('gaslaw:');
  expect(last.status).toBe(0);
  expect(weights('broken')).toEqual(weights('whole'));
});
