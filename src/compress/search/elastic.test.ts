/** A masked network computes what the extracted one does, for any genome. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../../test/shared-data.ts';
import { float32, type Graph, int64, type Tensor } from '../../graph/ir.ts';
import { decodeModel } from '../../graph/protobuf.ts';
import { verify } from '../../graph/verify.ts';
import { importModel } from '../../import/index.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { evaluate } from '../../runtime/reference/index.ts';
import { Random } from '../../util/random.ts';
import { magnitude } from '../prune/importance.ts';
import { macsOf } from '../prune/structured.ts';
import { Elastic } from './elastic.ts';

const load = (name: string): Graph => importModel(decodeModel(readFileSync(shared(name)))).model.graph;

/** Kernels of 5 and 7, a depthwise layer, norms, a residual branch that is read twice, a matrix. */
function network(): Graph {
  const b = new Builder('network');
  const random = new Random(3);
  const weight = (name: string, dims: readonly number[], spread: number, middle = 0) => {
    const size = dims.reduce((a, c) => a * c, 1);
    return b.initializer(
      name,
      float32(
        dims,
        Float32Array.from({ length: size }, () => middle + spread * random.normal()),
      ),
    );
  };
  const conv = (name: string, x: Value, dims: readonly number[], group = 1) => {
    const pads = new Array<number>(4).fill(((dims[2] as number) - 1) / 2);
    return b.op('Conv', [x, weight(name, dims, 0.3), weight(`${name}.bias`, dims.slice(0, 1), 0.3)], {
      pads,
      group,
    });
  };
  const norm = (name: string, x: Value, c: number) => {
    const of = (part: string, middle: number) => weight(`${name}.${part}`, [c], 0.1, middle);
    return b.ops(
      'BatchNormalization',
      [x, of('scale', 1), of('shift', 0.2), of('mean', 0.1), of('variance', 1)],
      {},
      1,
    )[0] as Value;
  };
  const x = b.input('x', 'float32', ['N', 3, 9, 9]);
  const stem = b.op('Relu', [norm('norm', conv('stem', x, [8, 3, 7, 7]), 8)], {});
  const branch = conv('second', b.op('Sigmoid', [conv('first', stem, [12, 8, 5, 5])], {}), [8, 12, 3, 3]);
  const sum = b.op('Relu', [stem.add(branch)], {});
  const deep = b.op('HardSigmoid', [conv('depthwise', sum, [8, 1, 3, 3], 8)], {});
  b.output(deep.mean([2, 3], false).matmul(weight('head', [8, 4], 0.5)), 'y');
  return b.graph;
}

const drawn = (dims: readonly number[], seed: number): Tensor => {
  const random = new Random(seed);
  return float32(
    dims,
    Float32Array.from({ length: dims.reduce((a, c) => a * c, 1) }, () => random.normal()),
  );
};

/** Largest difference between masked and extracted outputs over random genomes. */
function difference(elastic: Elastic, feeds: Readonly<Record<string, Tensor>>, genomes: number): number {
  const random = new Random(11);
  let worst = 0;
  for (let i = 0; i < genomes; i++) {
    const genome = i === 0 ? elastic.smallest : elastic.space.map(choices => random.int(choices));
    const extracted = elastic.extract(genome);
    verify(extracted);
    const [a, b] = [
      evaluate(elastic.graph, { ...feeds, ...elastic.masks(genome) }),
      evaluate(extracted, feeds),
    ];
    const name = extracted.outputs[0]?.name as string;
    const [p, q] = [a[name]?.data as Float32Array, b[name]?.data as Float32Array];
    expect(p.length).toBe(q.length);
    p.forEach((v, k) => {
      worst = Math.max(worst, Math.abs(v - (q[k] as number)));
    });
  }
  return worst;
}

describe('an elastic network', () => {
  const graph = network();
  const options = { importance: magnitude(graph), widths: [0.25, 0.5], depth: true, kernels: true };
  const elastic = new Elastic(graph, options);

  it('has an axis for each dimension, branch and kernel', () => {
    verify(elastic.graph);
    expect(elastic.axes.map(a => [a.kind, a.choices])).toEqual([
      ['width', [2, 4, 8]],
      ['width', [3, 6, 12]],
      ['depth', [0, 1]],
      ['kernel', [3, 5, 7]],
      ['kernel', [3, 5]],
    ]);
  });

  it('computes under masks what its parts compute by themselves', () =>
    expect(difference(elastic, { x: drawn([2, 3, 9, 9], 1) }, 12)).toBeLessThan(2e-6));

  it('is the network that it was made of where nothing is left out', () => {
    const feeds = { x: drawn([2, 3, 9, 9], 2) };
    const whole = Array.from(evaluate(graph, feeds).y?.data as Float32Array);
    expect(Array.from(evaluate(elastic.extract(elastic.largest), feeds).y?.data as Float32Array)).toEqual(
      whole,
    );
  });

  it('gets smaller with every gene', () => {
    const whole = macsOf(elastic.extract(elastic.largest));
    for (const i of elastic.axes.keys()) {
      const genome = elastic.largest.map((g, j) => (i === j ? 0 : g));
      expect(macsOf(elastic.extract(genome))).toBeLessThan(whole);
    }
  });

  it('takes the weights of the trained network, not its own', () => {
    const trained = { ...graph, initializers: new Map(graph.initializers) };
    trained.initializers.set('head', drawn([8, 4], 5));
    const extracted = elastic.extract(elastic.largest, trained);
    expect(extracted.initializers.get('head')).toBe(trained.initializers.get('head'));
  });

  it('keeps what a device computes at once', () => {
    const aligned = new Elastic(graph, {
      ...options,
      align: 4,
      widths: [0.25, 0.4],
      depth: false,
      kernels: false,
    });
    expect(aligned.axes.map(a => a.choices)).toEqual([
      [4, 8],
      [4, 12],
    ]);
  });

  it('refuses genes that are no choices, and networks without any', () => {
    expect(() => elastic.extract([9, 0, 0, 0, 0])).toThrow('gene 0 is 9; it has 3 choices');
    expect(() => new Elastic(graph, { importance: () => 1 })).toThrow('nothing of it can be made smaller');
    expect(() => new Elastic(graph, { ...options, widths: [2] })).toThrow('widths are shares');
  });
});

describe.runIf(HAS_DATA)(`of models of others ${NEEDS_DATA}`, () => {
  const of = (name: string, depth: boolean) => {
    const graph = load(name);
    return new Elastic(graph, { importance: magnitude(graph), widths: [0.5], depth });
  };

  it('ResNet-20: widths of its layers and seven branches', () => {
    const elastic = of('cifar_resnet20.onnx', true);
    expect(elastic.axes.filter(a => a.kind === 'depth')).toHaveLength(7);
    expect(
      difference(elastic, { [elastic.graph.inputs[0]?.name as string]: drawn([1, 3, 32, 32], 1) }, 2),
    ).toBeLessThan(1e-3);
  });

  it('a transformer: heads, neurons and layers', () => {
    const elastic = of('gpt_nano_sort.onnx', true);
    expect(new Set(elastic.axes.map(a => a.kind))).toEqual(new Set(['width', 'depth']));
    const ids = int64([1, 11], [0, 2, 1, 0, 1, 2, 0, 0, 1, 1, 2]);
    expect(difference(elastic, { [elastic.graph.inputs[0]?.name as string]: ids }, 4)).toBeLessThan(1e-4);
  });
});
