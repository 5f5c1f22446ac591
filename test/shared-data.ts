/** Published models and texts that tests read: in the folder GASLAW_DATA, else in `../shared/data` beside the checkout. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const DATA = resolve(process.env.GASLAW_DATA ?? join(import.meta.dirname, '../../shared/data'));

/** Tests that read them are skipped without; their names say so with NEEDS_DATA. */
export const HAS_DATA = existsSync(DATA);
export const NEEDS_DATA = '(needs the shared data)';

/** Path of a file there. */
export const shared = (name: string): string => join(DATA, name);
