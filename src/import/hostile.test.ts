/** Broken and hostile files: one sentence each, before memory is taken or time is spent. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { float32, modelOf } from '../graph/ir.ts';
import { type GraphProto, MODEL, type NodeProto, type TensorProto } from '../graph/onnx-schema.ts';
import { decodeModel, encodeModel, externalLocations } from '../graph/protobuf.ts';
import { randomGraph } from '../graph/random-graph.ts';
import { encodeMessage } from '../graph/wire.ts';
import { Builder } from '../ops/builder.ts';
import { GaslawError } from '../util/errors.ts';
import { Random } from '../util/random.ts';
import { importModel } from './index.ts';

const X = { name: 'x', type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 2 }] } } } };
const Y = { ...X, name: 'y' };

const file = (graph: GraphProto): Uint8Array =>
  Uint8Array.from(
    encodeMessage(MODEL, {
      irVersion: 10,
      opsetImport: [{ domain: '', version: 21 }],
      graph: { name: 'g', input: [X], output: [Y], ...graph },
    }).flatMap(piece => [...piece]),
  );

const node = (opType: string, input: string[], output: string[]): NodeProto => ({
  opType,
  name: output[0],
  input,
  output,
});
const weight = (rest: Partial<TensorProto>): TensorProto => ({ name: 'w', dataType: 1, dims: [2], ...rest });

describe('files are refused with a sentence', () => {
  test.each<[string, GraphProto, string]>([
    [
      'nodes in a circle',
      { node: [node('Add', ['x', 'b'], ['a']), node('Neg', ['a'], ['b']), node('Neg', ['b'], ['y'])] },
      'depend on each other',
    ],
    ['a node that reads itself', { node: [node('Cast', ['y'], ['y'])] }, 'depend on each other'],
    [
      'two makers of a value',
      { node: [node('Neg', ['x'], ['y']), node('Abs', ['x'], ['y'])] },
      'node "y_1" makes "y", which is an output of node "y" already',
    ],
    [
      'a node that makes an input',
      { node: [node('Neg', ['x'], ['x'])] },
      'node "x" makes "x", which is an input or initializer already',
    ],
    [
      'a terabyte of weights that are not there',
      { initializer: [weight({ dims: [2 ** 38] })] },
      'takes 274877906944 values, the file has 0',
    ],
    [
      'dims whose product overflows',
      { initializer: [weight({ dims: [2 ** 40, 2 ** 40] })] },
      'are negative or too large',
    ],
    [
      'weights outside the folder',
      { initializer: [weight({ dataLocation: 1, externalData: [{ key: 'location', value: '../secret' }] })] },
      "does not lie in the model's folder",
    ],
    [
      'weights at an absolute path',
      {
        initializer: [weight({ dataLocation: 1, externalData: [{ key: 'location', value: '/etc/passwd' }] })],
      },
      "does not lie in the model's folder",
    ],
  ])('%s', (_, graph, sentence) => {
    expect(() => importModel(decodeModel(file(graph)))).toThrow(sentence);
  });

  it('before any file of weights is opened', () => {
    const place = [{ key: 'location', value: 'a/../../b' }];
    expect(() =>
      externalLocations(file({ initializer: [weight({ dataLocation: 1, externalData: place })] })),
    ).toThrow(GaslawError);
  });
});

it('nodes out of order are put in order', () => {
  const { graph } = decodeModel(file({ node: [node('Neg', ['a'], ['y']), node('Abs', ['x'], ['a'])] }));
  expect(graph.nodes.map(n => n.opType)).toEqual(['Abs', 'Neg']);
});

it('arithmetic on constants that would take memory or hours stays as it is', () => {
  const b = new Builder('bombs');
  const x = b.input('x', 'float32', [1]);
  const shape = b.ints([2 ** 20, 2 ** 20]);
  const filled = b.op('ConstantOfShape', [shape], {}).sum(undefined, false);
  const wide = b.initializer('w', float32([2048, 2048], new Float32Array(2048 * 2048)));
  b.output(x.add(filled).add(wide.matmul(wide).sum(undefined, false)), 'y');
  const { model } = importModel(modelOf(b.graph));
  expect(model.graph.nodes.map(n => n.opType)).toEqual([
    'ConstantOfShape',
    'ReduceSum',
    'Add',
    'MatMul',
    'ReduceSum',
    'Add',
  ]);
});

it('cut or altered bytes never throw anything but a sentence, in the importer too', () => {
  const files = Array.from({ length: 6 }, (_, seed) =>
    encodeModel(modelOf(randomGraph(new Random(seed), 12))),
  );
  const change = fc.tuple(fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(
      fc.nat(5),
      fc.boolean(),
      fc.nat(),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      (which, cut, length, changes) => {
        const bytes = (files[which] as Uint8Array).slice();
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        try {
          importModel(decodeModel(cut ? bytes.slice(0, length % bytes.length) : bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(GaslawError);
        }
      },
    ),
    { numRuns: 1500 },
  );
});
