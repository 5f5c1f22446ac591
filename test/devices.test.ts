/** Commands about devices as people and scripts use them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { gaslaw, jsonOf } from './gaslaw.ts';

const folder = mkdtempSync(join(tmpdir(), 'gaslaw-devices-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const cli = (...args: string[]) => gaslaw(folder, args);

it('gaslaw devices lists all, shows one, and prints where each figure was read', { timeout: 120_000 }, () => {
  const devices = jsonOf(cli('devices', '--json')) as Record<string, unknown>[];
  for (const device of devices)
    expect(Object.keys(device)).toEqual(['id', 'family', 'name', 'formats', 'confidence']);
  expect(devices.map(d => d.id)).toContain('stm32n6');
  expect(jsonOf(cli('devices', 'stm32n6', '--json'))).toMatchObject({ family: 'stmicroelectronics' });
  expect(cli('devices', 'arm-ethos-u55-128').stdout).toContain('bricks of 16 channels');
  expect(cli('devices', 'stm32n6', '--evidence').stdout).toContain('https://stedgeai-dc.st.com');
  expect(cli('devices', 'ethos').status).toBe(2);
});
