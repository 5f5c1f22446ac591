import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../test/shared-data.ts';
import { float32, type Model } from '../graph/ir.ts';
import { decodeModel } from '../graph/protobuf.ts';
import { verify } from '../graph/verify.ts';
import { Builder, type Value } from '../ops/builder.ts';
import { modelFor } from '../ops/opset.ts';
import { evaluate } from '../runtime/reference/index.ts';
import { freeBatch } from './batch.ts';
import { importModel } from './index.ts';

const modelOf = (batch: number | string, finish: (x: Value) => Value): Model => {
  const b = new Builder('fixed');
  b.output(finish(b.input('x', 'float32', [batch, 2, 3])), 'y');
  return modelFor(b.graph);
};

describe('freeBatch', () => {
  it('lets a stated batch follow the input', () => {
    const fixed = modelOf(1, x => x.reshape([1, 6]).mul(2).reshape([1, -1, 3]));
    const { graph } = freeBatch(fixed);
    verify(graph);
    const values = Float32Array.from({ length: 12 }, (_, i) => i);
    const { y } = evaluate(graph, { x: float32([2, 2, 3], values) });
    expect(y?.dims).toEqual([2, 2, 3]);
    expect(Array.from(y?.data as Float32Array)).toEqual(Array.from(values, v => 2 * v));
    expect(fixed.graph.inputs[0]?.shape).toEqual([1, 2, 3]);
  });

  it('leaves a free batch, and one that the graph mixes', () => {
    const free = modelOf('N', x => x.mul(2));
    expect(freeBatch(free)).toBe(free);
    const mixed = modelOf(1, x => x.reshape([6]).mul(2));
    expect(freeBatch(mixed)).toBe(mixed);
  });

  it.runIf(HAS_DATA)(`frees the keyword spotter ${NEEDS_DATA}`, () => {
    const { model } = importModel(decodeModel(readFileSync(shared('mlperftiny_kws_dscnn.onnx'))));
    const { graph } = freeBatch(model);
    const [one, two] = [0.3, -0.7].map(v => new Float32Array(490).fill(v));
    const input = graph.inputs[0]?.name as string;
    const output = graph.outputs[0]?.name as string;
    const both = evaluate(graph, { [input]: float32([2, 49, 10, 1], [...(one ?? []), ...(two ?? [])]) });
    const alone = evaluate(model.graph, { [input]: float32([1, 49, 10, 1], two ?? []) });
    expect(both[output]?.dims).toEqual([2, 12]);
    expect(Array.from(both[output]?.data as Float32Array).slice(12)).toEqual(
      Array.from(alone[output]?.data as Float32Array),
    );
  });
});
