/** All profiles, checked against the schema on first use. */
import { z } from 'zod';
import { UsageError } from '../util/errors.ts';
import { AMBARELLA } from './families/ambarella.ts';
import { ARM } from './families/arm.ts';
import { CPU } from './families/cpu.ts';
import { GPU } from './families/gpu.ts';
import { INTEL } from './families/intel.ts';
import { QUALCOMM } from './families/qualcomm.ts';
import { STMICROELECTRONICS } from './families/stmicroelectronics.ts';
import { TEXAS_INSTRUMENTS } from './families/texas-instruments.ts';
import { type DeviceProfile, deviceSchema } from './profile.ts';

export const DEVICES: readonly DeviceProfile[] = [
  ...CPU,
  ...GPU,
  ...QUALCOMM,
  ...TEXAS_INSTRUMENTS,
  ...AMBARELLA,
  ...ARM,
  ...INTEL,
  ...STMICROELECTRONICS,
];

/** Throws when a profile breaks the schema: a mistake of this folder. */
export const checkProfiles = (): void => void z.array(deviceSchema).parse(DEVICES);

/** The profile of that id. Throws a UsageError naming near ones. */
export function deviceOf(id: string): DeviceProfile {
  const found = DEVICES.find(device => device.id === id);
  if (found) return found;
  const near = DEVICES.filter(device => shares(device, id)).map(device => device.id);
  const hint = near.length > 0 ? `perhaps ${near.join(', ')}` : '`gaslaw devices` lists them';
  throw new UsageError(`no device "${id}"; ${hint}`);
}

/** Whether a device's id, name or family has a word of `id`. */
function shares({ id, name, family }: DeviceProfile, asked: string): boolean {
  const text = `${id} ${name} ${family}`.toLowerCase();
  return asked
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .some(word => word.length > 2 && text.includes(word));
}
