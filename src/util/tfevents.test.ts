import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { crc32c } from './crc32c.ts';
import { memoryFiles } from './files.ts';
import { appendEvents, type TensorboardEvent } from './tfevents.ts';

const ascii = (text: string) => new TextEncoder().encode(text);

test('CRC-32C of the vectors in RFC 3720', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(crc32c(ascii('123456789'))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array())).toBe(0);
});

test('an event file has the bytes that tensorboardX writes, in however many pieces', async () => {
  const at = 1_700_000_000;
  const events: TensorboardEvent[] = [
    { wallTimeSeconds: at + 1.5, step: 0, scalars: { 'train/loss': 5.6 } },
    { wallTimeSeconds: at + 2, step: 2 ** 33, scalars: { 'grpo/reward': -0.125 } },
    { wallTimeSeconds: at + 3, step: 7, texts: { samples: '3 + 4 = **7** ✓' } },
    { wallTimeSeconds: at + 4, step: 8, scalars: { nan: Number.NaN } },
  ];
  const expected = readFileSync(join(import.meta.dirname, 'fixtures/example.tfevents')).toString('hex');
  const files = memoryFiles();
  await appendEvents(files, 'whole', events);
  for (const event of events) await appendEvents(files, 'pieces', [event]);
  for (const path of ['whole', 'pieces'])
    expect(Buffer.from(await files.read(path)).toString('hex'), path).toBe(expected);
});

test('no events, no file', async () => {
  const files = memoryFiles();
  await appendEvents(files, 'none', []);
  expect(await files.exists('none')).toBe(false);
});
