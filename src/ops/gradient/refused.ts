/** Ops without a gradient that no other family holds: control flow, spectra, tables. */
import { none } from '../rule.ts';
import type { Family } from './family.ts';

const BODIES = none(
  'its bodies are not differentiated; fold its condition or rounds to constants so that import inlines it',
);
const SPECTRUM = none('a spectrum is taken as a fixed feature of the input');
const MAKES = none('it makes a table from sizes');

export const REFUSED = {
  If: BODIES,
  Loop: BODIES,
  Scan: BODIES,
  DFT: SPECTRUM,
  STFT: SPECTRUM,
  HannWindow: MAKES,
  HammingWindow: MAKES,
  BlackmanWindow: MAKES,
  MelWeightMatrix: MAKES,
} satisfies Family;
