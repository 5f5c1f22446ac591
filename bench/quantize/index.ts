/**
 * Quantized graphs: `npm run bench -- quantize --data DIR [--python PY]`.
 */
import { quantizeStatic, type StaticOptions } from '../../src/compress/quantize/static/index.ts';
import { nativeRuntime } from '../../src/runtime/native/native.ts';
import { keywords, type QuantizeCase, resnet20, sorter } from './cases.ts';

const VARIANTS: Readonly<Record<string, StaticOptions>> = {
  'W8A8 nearest': {},
  W8A8: { rounding: 'output' },
  'W4A8 nearest': { weights: 'int4' },
  'W4A8 corrected': { weights: 'int4', biasCorrection: true },
  W4A8: { weights: 'int4', rounding: 'output' },
};

export async function benchQuantize(folder: string): Promise<unknown> {
  const runtime = await nativeRuntime();
  const cases = [keywords(runtime, folder), resnet20(runtime, folder), await sorter(runtime, folder)];
  const rows: unknown[] = [];
  for (const c of cases) {
    rows.push({ model: c.name, float: await c.score(c.model), of: c.count });
    for (const [name, options] of Object.entries(VARIANTS)) rows.push(await measured(c, name, options));
  }
  return rows;
}

async function measured(c: QuantizeCase, variant: string, options: StaticOptions) {
  const start = performance.now();
  const { model } = await quantizeStatic(await nativeRuntime(), c.model, c.feeds, options);
  const seconds = (performance.now() - start) / 1000;
  const row = { model: c.name, variant, right: await c.score(model), of: c.count, seconds };
  process.stderr.write(`${JSON.stringify(row)}\n`);
  return row;
}
