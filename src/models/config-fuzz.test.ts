/** Whatever stands in a config.json or adapter_config.json gives a model or one sentence, never another error. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ParameterStore } from '../nn/parameters.ts';
import { GaslawError } from '../util/errors.ts';
import { modelFromConfig } from './index.ts';
import { fromPeft, toPeft } from './lora/config.ts';
import { loraConfig, loraModel } from './lora/index.ts';

type Json = Record<string, unknown>;

const families: { readonly config: Json; readonly older: Json }[] = ['families', 'deepseek'].flatMap(name =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../bench/peers/fixtures/${name}.json`), 'utf8')),
);
const configs = families.flatMap(({ config, older }) => [config, older]);

const ODD = [
  null,
  true,
  '',
  '8',
  [],
  {},
  0,
  -1,
  0.5,
  1e308,
  2 ** 53,
  -(2 ** 31),
  2 ** 31,
  3,
  1e9,
  [1, 'x'],
  { factor: -1 },
];
const value = fc.oneof(
  fc.constantFrom<unknown>(...ODD),
  fc.jsonValue({ maxDepth: 2 }),
  fc.integer({ min: 1, max: 64 }),
);

/** The object with some of its fields, or fields of objects in it, replaced. */
const changed = (json: Json): fc.Arbitrary<Json> =>
  fc
    .array(fc.tuple(fc.constantFrom(...paths(json)), value), { minLength: 1, maxLength: 3 })
    .map(changes => changes.reduce((all, [path, v]) => replaced(all, path, v), json));

const paths = (json: Json): string[][] =>
  Object.entries(json).flatMap(([name, v]) =>
    typeof v === 'object' && v !== null && !Array.isArray(v)
      ? [[name], ...paths(v as Json).map(rest => [name, ...rest])]
      : [[name]],
  );

function replaced(json: Json, [name, ...rest]: readonly string[], v: unknown): Json {
  const inner = json[name as string];
  if (rest.length === 0) return { ...json, [name as string]: v };
  if (typeof inner !== 'object' || inner === null) return json;
  return { ...json, [name as string]: replaced(inner as Json, rest, v) };
}

function expectSentence(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(GaslawError);
    expect((error as Error).message).toMatch(/^[^\n]+$/);
  }
}

it('config.json', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.constantFrom(...configs).chain(changed), config => {
      expectSentence(() => modelFromConfig(config, 'config.json').toHuggingFace());
    }),
    { numRuns: 300 },
  );
});

it('adapter_config.json', { timeout: 60_000 }, () => {
  const base = modelFromConfig(configs[0], 'config.json');
  const weights = new ParameterStore(base.parameters).tensors();
  const adapter = toPeft(loraConfig({ r: 2, targetModules: ['q_proj'] }));
  fc.assert(
    fc.property(changed(adapter), json => {
      expectSentence(() => loraModel(base, weights, fromPeft(json, 'adapter_config.json')));
    }),
    { numRuns: 300 },
  );
});
