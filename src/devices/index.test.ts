/** Facts about the profiles as a whole. */
import { describe, expect, it } from 'vitest';
import { UsageError } from '../util/errors.ts';
import { checkProfiles, DEVICES, deviceOf } from './index.ts';
import { CONFIDENCES, deviceSchema, FAMILIES, figuresOf } from './profile.ts';
import { SOURCES } from './sources.ts';

it('every profile fits the schema and has an id of its own', () => {
  checkProfiles();
  expect(new Set(DEVICES.map(d => d.id)).size).toBe(DEVICES.length);
});

it('every family has profiles', () => {
  expect([...new Set(DEVICES.map(d => d.family))].sort()).toEqual([...FAMILIES].sort());
});

it('every source is an address', () => {
  for (const { url } of Object.values(SOURCES)) expect(() => new URL(url)).not.toThrow();
});

it('the schema refuses a figure without a known source, and one without confidence', () => {
  const [device] = DEVICES;
  const broken = (source: string, confidence: string) =>
    deviceSchema.safeParse({ ...device, clockHz: { value: 1, source, confidence } }).success;
  expect(broken('ort-quantize', 'published')).toBe(true);
  expect(broken('hearsay', 'published')).toBe(false);
  expect(broken('ort-quantize', 'sure')).toBe(false);
});

describe('known facts', () => {
  it.each([
    ['arm-ethos-u55-128', 128 * 500e6],
    ['arm-ethos-u65-512', 512e9],
    ['ti-tda4vm', 4e12],
    ['stm32mp25', 0.6e12],
  ])('%s: dense multiply-adds a second', (id, rate) => {
    expect(deviceOf(id).peakMacsPerSecond.int8?.value).toBe(rate);
  });

  it('Ambarella claims no rate and no latency, and is of low confidence', () => {
    const profiles = DEVICES.filter(d => d.family === 'ambarella');
    expect(profiles.length).toBeGreaterThan(3);
    for (const profile of profiles) {
      expect(profile.confidence).toBe('low');
      expect(profile.peakMacsPerSecond).toEqual({});
    }
  });

  it('only TFLite reaches Ethos-U', () => {
    const formats = DEVICES.filter(d => d.kind.startsWith('ethos')).flatMap(d => d.formats.value);
    expect(new Set(formats)).toEqual(new Set(['tflite-int8']));
  });
});

it('the evidence lists nested figures with their paths', () => {
  const evidence = figuresOf(deviceOf('stm32n6'));
  expect(evidence.find(e => e.path === 'memory.ramBytes')?.figure.value).toBe(4.2e6);
  expect(evidence.find(e => e.path === 'quantization')?.figure.source).toBe('st-neuralart');
  for (const { figure } of evidence) expect(CONFIDENCES).toContain(figure.confidence);
});

it('an unknown id is answered with near ones', () => {
  expect(() => deviceOf('ethos')).toThrow(UsageError);
  expect(() => deviceOf('ethos')).toThrow(/arm-ethos-u55-128/);
  expect(() => deviceOf('abacus')).toThrow(/gaslaw devices/);
});
