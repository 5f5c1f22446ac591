/** Rotary settings of published models: read as they are spelled, with the frequencies that transformers computes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ropeFrequencies } from '../nn/rope-scaling.ts';
import { Fields } from './fields.ts';
import { ropeFromFields, scalingToJson } from './rope-fields.ts';

interface Case {
  readonly name: string;
  readonly headDim: number;
  readonly maxPositions: number;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly frequencies: { readonly data: readonly number[] };
  readonly attentionFactor: number;
}

const cases: Case[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../bench/peers/fixtures/rope.json'), 'utf8'),
);

const fields = (json: Record<string, unknown>) => new Fields(json, 'config.json');

function read({ parameters, maxPositions }: Case) {
  return ropeFromFields(fields({ max_position_embeddings: maxPositions, rope_parameters: parameters }));
}

describe.each(cases)('$name', c => {
  const { ropeTheta, ropeScaling } = read(c);
  const { frequencies, attentionFactor } = ropeFrequencies({
    headDim: c.headDim,
    theta: ropeTheta,
    scaling: ropeScaling,
  });

  it('has the frequencies of transformers, to float32', () => {
    expect(frequencies).toHaveLength(c.frequencies.data.length);
    frequencies.forEach((f, i) => {
      expect(Math.abs(f / (c.frequencies.data[i] as number) - 1)).toBeLessThan(1e-6);
    });
    expect(attentionFactor).toBeCloseTo(c.attentionFactor, 6);
  });

  it('reads the same in the spelling before transformers 5', () => {
    const { rope_theta, ...scaling } = c.parameters;
    const older = { max_position_embeddings: c.maxPositions, rope_theta, rope_scaling: scaling };
    expect(ropeFromFields(fields(older))).toEqual({ ropeTheta, ropeScaling });
    const { rope_type, ...rest } = scaling;
    const oldest = { ...older, rope_scaling: { ...rest, type: rope_type } };
    expect(ropeFromFields(fields(oldest))).toEqual({ ropeTheta, ropeScaling });
  });

  it('is written as it is read', () => {
    const { rope_theta: _, ...scaling } = c.parameters;
    expect(scalingToJson(ropeScaling)).toEqual(scaling.rope_type === 'default' ? undefined : scaling);
  });
});

it('without settings is the plain scheme', () => {
  expect(ropeFromFields(fields({}))).toEqual({ ropeTheta: 10000 });
  expect(ropeFromFields(fields({ rope_scaling: null, rope_theta: 5e5 }))).toEqual({ ropeTheta: 5e5 });
});

it('takes a missing factor of YaRN from the contexts', () => {
  const rope_scaling = { rope_type: 'yarn', original_max_position_embeddings: 16 };
  const { ropeScaling } = ropeFromFields(fields({ max_position_embeddings: 64, rope_scaling }));
  expect(ropeScaling).toMatchObject({ factor: 4, originalMaxPositionEmbeddings: 16 });
});

it.each([
  [{ rope_type: 'dynamic', factor: 2 }, 'config.json: rope_scaling: rope_type "dynamic" is not supported'],
  [{ type: 'longrope' }, 'rope_type "longrope" is not supported; known are default, linear, llama3, yarn'],
  [{ rope_type: 'linear' }, 'config.json: rope_scaling: factor is missing'],
  [{ rope_type: 'linear', factor: '2' }, 'factor is "2"; it must be a positive number'],
  [{ rope_type: 'linear', factor: 0 }, 'factor is 0; it must be a positive number'],
  [
    { rope_type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 4 },
    'is not below high_freq_factor',
  ],
  [{ rope_type: 'llama3', factor: 8, high_freq_factor: 4 }, 'low_freq_factor is missing'],
  [{ rope_type: 'yarn', factor: 4, truncate: 1 }, 'truncate is 1; it must be true or false'],
  [{ rope_type: 'default', partial_rotary_factor: 0.5 }, 'partial_rotary_factor 0.5 is not supported'],
  ['linear', 'config.json: rope_scaling: is not a JSON object'],
])('refuses %j', (rope_scaling, message) => {
  const json = { max_position_embeddings: 64, rope_scaling };
  expect(() => ropeFromFields(fields(json))).toThrow(message);
});
