/** Measuring gives a row a class, whose fit answers for other graphs. No time is asserted. */
import { expect, it } from 'vitest';
import { referenceRuntime } from '../../runtime/reference/index.ts';
import { FEATURES } from './features.ts';
import { fit, predict } from './fit.ts';
import { MODEL_FEATURES } from './models.ts';
import { measureClasses } from './this-machine.ts';

it('every class is measured alone, and the fit answers with a positive time', {
  timeout: 60_000,
}, async () => {
  const rows = await measureClasses(referenceRuntime(), 16, 6);
  expect(rows.map(row => row.model)).toEqual([
    'conv',
    'pointwise',
    'grouped',
    'depthwise',
    'dense',
    'moved',
    'layers',
  ]);
  for (const { model, features, ms } of rows) {
    expect(ms).toBeGreaterThan(0);
    const at = FEATURES.indexOf(model as (typeof FEATURES)[number]);
    expect(features[at]).toBeGreaterThan(0);
  }
  const { weights, factors } = fit(rows);
  const factor = factors.get('this-machine') as number;
  expect(predict(weights, factor, MODEL_FEATURES.mobilenet_v2 ?? [])).toBeGreaterThan(0);
});
