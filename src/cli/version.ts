/** The package's version, from its package.json. */
import { readFileSync } from 'node:fs';

// src/cli/version.ts and dist/src/cli/version.js lie at different depths below package.json
const path = ['../../package.json', '../../../package.json']
  .map(relative => new URL(relative, import.meta.url))
  .find(url => {
    try {
      return (JSON.parse(readFileSync(url, 'utf8')) as { name?: string }).name === 'gaslaw';
    } catch {
      return false;
    }
  });

export const VERSION: string = path
  ? (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
  : '0.0.0';
