import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crc32c } from './crc32c.ts';
import { memoryFiles } from './files.ts';
import { createEventFile } from './tfevents.ts';

const ascii = (text: string) => new TextEncoder().encode(text);

test('CRC-32C of the vectors in RFC 3720', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(crc32c(ascii('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array())).toBe(0);
});

test('an event file has the bytes that tensorboardX writes', async () => {
  const files = memoryFiles();
  const at = 1_700_000_000;
  const file = await createEventFile(files, 'runs/tb', { wallTimeSeconds: at + 0.25 });
  await file.add({ wallTimeSeconds: at + 1.5, step: 0, scalars: { 'train/loss': 5.6 } });
  await file.add({ wallTimeSeconds: at + 2, step: 2 ** 33, scalars: { 'grpo/reward': -0.125 } });
  await file.add({ wallTimeSeconds: at + 3, step: 7, texts: { samples: '3 + 4 = **7** ✓' } });
  await file.add({ wallTimeSeconds: at + 4, step: 8, scalars: { nan: Number.NaN } });
  expect(file.path).toBe('runs/tb/events.out.tfevents.1700000000.gaslaw');
  const expected = readFileSync(join(import.meta.dirname, 'fixtures/example.tfevents'));
  expect(Buffer.from(await files.read(file.path)).toString('hex')).toBe(expected.toString('hex'));
});

test('opening again goes on in the same file', async () => {
  const files = memoryFiles();
  const open = () => createEventFile(files, '.', { wallTimeSeconds: 5 });
  const first = await open();
  const bytes = await files.size(first.path);
  expect((await open()).path).toBe(first.path);
  expect(await files.size(first.path)).toBe(bytes);
});
