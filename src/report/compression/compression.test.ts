/** The page of a compression says what was found, whatever was there to find. */
import { describe, expect, it } from 'vitest';
import { networkFor } from '../../models/vision/config.ts';
import { convNet } from '../../models/vision/model.ts';
import { Random } from '../../util/random.ts';
import { exampleCompression } from '../fixtures/compression.ts';
import { isWhole, textOf, unbalanced } from '../fixtures/page.ts';
import type { CompressionData } from './data.ts';
import { renderCompression } from './index.ts';
import { layersOf, pairLayers } from './layers.ts';

const DIGITS = networkFor([1, 28, 28], 10, 16);

const data = exampleCompression();
const page = renderCompression(data);
const text = textOf(page);

describe('the page', () => {
  it('is whole, well formed and asks for nothing from outside', () => {
    expect(isWhole(page)).toBe(true);
    expect(unbalanced(page)).toEqual([]);
    expect(page.match(/(?:src|action)=|url\((?!#)|@import|<img|<iframe/gi)).toBeNull();
    for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) expect(page).toContain(`id="${id}"`);
  });

  it.each([
    'digits.onnx on STM32G0B1: 284 kB became 42 kB, 2900 ms became 390 ms, 99.2 % accuracy became 98.9 %.',
    'The budget is met (at most 500 ms, at most 30 kB of memory).',
    'Before at most 75.3 kB at layers.1/Conv , after 13.5 kB at layers.1/Conv ; the device has 147 kB',
    'off by 14.0 % in the median (rank correlation 0.85, 9 rows)',
    'activations of 16 bits, weights of 8: no kernel takes them',
    'quantize it to int8',
    'gaslaw compress digits.onnx --device stm32g0b1',
  ])('says: %s', sentence => expect(text).toContain(sentence));

  it('draws four costs, and a whisker for each candidate', () => {
    expect(page.match(/class="chart scatter"/g)).toHaveLength(4);
    expect(page.match(/class="whisker /g)).toHaveLength(4 * data.candidates.length);
  });

  it('says by how much a budget was missed', () => {
    const missed = textOf(
      renderCompression({
        ...data,
        met: false,
        misses: ['latency 390 ms where 100 are allowed (290 % over)'],
      }),
    );
    expect(missed).toContain(
      'The budget is not met (at most 500 ms, at most 30 kB of memory). This comes nearest: latency 390 ms where 100',
    );
  });

  it('says that a latency is not known where it is not', () => {
    const [{ estimatedMs: _, ...original }, ...others] = data.candidates;
    const said = textOf(renderCompression({ ...data, candidates: [original, ...others] }));
    expect(said).toContain('Latency, estimated 390 ms of the original it is not known');
    expect(said).toContain('284 kB became 42 kB, 99.2 % accuracy became 98.9 %');
  });

  it('holds with next to nothing to say', () => {
    const [original] = data.candidates;
    const { estimatedMs: _, estimate: __, peakMemoryBytes: ___, ...known } = original;
    const little: CompressionData = {
      ...data,
      candidates: [
        { ...known, memory: [], findings: [], quality: { kind: 'fidelity', value: 1, examples: 0 } },
      ],
      failed: [],
      layers: [],
      front: ['float32'],
      chosen: 'float32',
      budget: {},
      sensitivity: undefined,
    };
    const small = renderCompression(little);
    expect(unbalanced(small)).toEqual([]);
    expect(textOf(small)).toContain('nothing smaller was worth it');
    expect(textOf(small)).not.toMatch(/undefined|NaN/);
  });

  it('shows text of the model as text, whatever it is', () => {
    const evil = '</script><img src=x onerror="a()">';
    const renamed = {
      ...data,
      model: evil,
      data: evil,
      misses: [evil],
      command: evil,
      layers: [{ name: evil, op: evil }],
    };
    expect(unbalanced(renderCompression(renamed))).toEqual([]);
    expect(renderCompression(renamed)).not.toContain('<img');
  });
});

describe('layers', () => {
  it('are those that multiply by weights, with the closed form of their work', () => {
    const layers = layersOf(convNet(DIGITS, new Random(1)).graph);
    expect(layers.map(l => l.op)).toEqual(['Conv', 'Conv', 'Conv', 'Conv', 'Conv', 'Gemm']);
    expect(layers.map(l => l.macs)).toEqual([112_896, 903_168, 1_806_336, 903_168, 1_806_336, 640]);
    expect(layers[0]).toMatchObject({ dims: [1, 16, 28, 28], weightDtype: 'float32', weightBytes: 576 });
  });

  it('are paired by name; what is on one side alone was taken out or put in', () => {
    const [long, short] = [3, 2].map(
      n => convNet({ ...DIGITS, layers: DIGITS.layers.slice(0, n) }, new Random(1)).graph,
    );
    const sides = (pairs: readonly { before?: unknown; after?: unknown }[]) =>
      pairs.map(p => [p.before !== undefined, p.after !== undefined]);
    expect(sides(pairLayers(long, short))).toEqual([
      [true, true],
      [true, true],
      [true, false],
      [true, true],
    ]);
    expect(sides(pairLayers(short, long))).toEqual([
      [true, true],
      [true, true],
      [true, true],
      [false, true],
    ]);
  });
});
