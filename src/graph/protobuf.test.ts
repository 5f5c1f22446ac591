import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../test/shared-data.ts';
import { Random } from '../util/random.ts';
import { type Attribute, float32, type Graph, type Model, modelOf, type Tensor } from './ir.ts';
import { type FunctionProto, MODEL, type NodeProto } from './onnx-schema.ts';
import { decodeModel, encodeModel, encodeModelChunks, externalFile, externalLocations } from './protobuf.ts';
import { randomGraph, randomTensor } from './random-graph.ts';
import { verify } from './verify.ts';
import { encodeMessage } from './wire.ts';

const fixture = (name: string): Uint8Array => readFileSync(join(import.meta.dirname, 'fixtures', name));
const load = (name: string): Model => decodeModel(fixture(name), { file: name });
const values = (tensor: Tensor): unknown[] => Array.from<unknown>(tensor.data);

describe('files that the onnx package wrote', () => {
  test('every element type, from typed fields and from raw bytes', () => {
    const { initializers } = load('dtypes.onnx').graph;
    const expected: Record<string, unknown[]> = {
      f32: [1.5, -2.25, 0, Math.fround(3e38)],
      f64: [0.1, -1e300],
      i8: [-128, 0, 127],
      u8: [0, 128, 255],
      i16: [-32768, 32767],
      u16: [0, 65535],
      i32: [-2147483648, 2147483647],
      u32: [0, 4294967295],
      i64: [-(2n ** 63n), 2n ** 63n - 1n, 5n],
      u64: [0n, 2n ** 64n - 1n],
      bool: [1, 0, 1],
      f16: [0x3c00, 0xb800, 0x7bff],
      bf16: [0x3f80, 0xbf00, 0x4040],
      i4: [0xf8, 0x30, 0x07],
      u4: [0xf0, 0x18],
      f4: [0xf1, 0x03],
      e4m3: [0x38, 0xfe, 0x30],
      e5m2: [0x3c, 0xc0],
      scalar: [7],
    };
    for (const [name, list] of Object.entries(expected)) {
      expect(values(initializers.get(name)!), name).toEqual(list);
      expect(initializers.get(`${name}_raw`), name).toEqual(initializers.get(name));
    }
    expect(initializers.get('str')).toEqual({ dtype: 'string', dims: [2], data: ['häj', ''] });
    expect(initializers.get('none')).toEqual({ dtype: 'float32', dims: [0, 3], data: new Float32Array() });
    expect(initializers.get('scalar')?.dims).toEqual([]);
    expect(initializers.get('i4')?.dims).toEqual([5]);
  });

  test('If and Loop with their bodies, and metadata', () => {
    const model = load('control-flow.onnx');
    expect([...model.metadata]).toEqual([
      ['author', 'tëst'],
      ['empty', ''],
    ]);
    const [branch, loop] = model.graph.nodes;
    const thenBranch = branch.attributes.then_branch as Extract<Attribute, { type: 'graph' }>;
    expect(thenBranch.value.nodes[0]).toEqual({
      name: 'then_add',
      domain: '',
      opType: 'Add',
      inputs: ['x', 'one'],
      outputs: ['t'],
      attributes: {},
    });
    expect(loop.inputs).toEqual(['trips', '', 'y']);
    const body = loop.attributes.body as Extract<Attribute, { type: 'graph' }>;
    expect(body.value.inputs.map(i => [i.name, i.dtype, i.shape])).toEqual([
      ['iter', 'int64', []],
      ['cond_in', 'bool', []],
      ['carry', 'float32', ['n']],
    ]);
  });

  test('attributes of every kind; sparse tensors become dense', () => {
    const { graph, opsets } = load('attributes.onnx');
    expect([...opsets]).toEqual([
      ['', 21],
      ['test.custom', 3],
    ]);
    expect(graph.nodes[0].attributes).toEqual({
      value: { type: 'tensor', value: float32([3, 2], [0, 5, 0, 0, -1, 0]) },
    });
    expect(graph.initializers.get('si')).toEqual(float32([2, 3], [0, 4, 0, 0, 8, 0]));
    const node = graph.nodes[1];
    expect(node.name).toBe('Custom_1');
    expect([node.inputs, node.outputs]).toEqual([
      ['x', '', 'k'],
      ['y', '', ''],
    ]);
    expect(node.attributes).toEqual({
      i: { type: 'int', value: -5 },
      big: { type: 'int', value: 2n ** 62n },
      f: { type: 'float', value: Math.fround(0.1) },
      s: { type: 'string', value: 'text' },
      ints: { type: 'ints', value: [1, -2, 2 ** 40] },
      floats: { type: 'floats', value: [0.5, -1] },
      strings: { type: 'strings', value: ['a', 'ß'] },
      t: { type: 'tensor', value: { dtype: 'int32', dims: [2], data: Int32Array.of(1, 2) } },
    });
    expect(graph.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['?x.0', 'B', 0] }]);
    expect(graph.outputs).toEqual([{ name: 'y', dtype: 'float32' }]);
  });

  test('external data are asked for by place and refused when absent', () => {
    const bytes = fixture('external.onnx');
    expect(externalLocations(bytes)).toEqual(['external.bin']);
    const data = fixture('external.bin');
    const model = decodeModel(bytes, { readExternal: (_, at, length) => data.subarray(at, at + length) });
    expect(values(model.graph.initializers.get('w')!)).toEqual(Array.from({ length: 600 }, (_, i) => i));
    expect(values(model.graph.initializers.get('unused')!)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(values(model.graph.initializers.get('small')!)).toEqual([1, 2]);
    expect(() => load('external.onnx')).toThrow('external.onnx: tensor "w": its data lie in "external.bin"');
    expect(() => decodeModel(bytes, { readExternal: () => new Uint8Array(7) })).toThrow(
      'tensor "w": 600 elements of float32 take 2400 bytes, the file has 7',
    );
  });

  test('before IR version 4: inputs that are initializers go, equal node names become different', () => {
    const model = load('old.onnx');
    expect(model.irVersion).toBe(4);
    expect(model.graph.inputs.map(i => i.name)).toEqual(['x']);
    expect(model.graph.nodes.map(n => n.name)).toEqual(['n', 'n_1', 'Relu_2']);
  });

  test('what the IR cannot hold is refused by name', () => {
    expect(() => load('sequence.onnx')).toThrow('"s" is a sequence, only tensors can be inputs and outputs');
  });

  test('functions are inlined: calls in calls, in branches, with attributes and their defaults', () => {
    const plain = load('function.onnx');
    expect(plain.graph.nodes.map(n => [n.opType, n.inputs, n.outputs])).toEqual([['Add', ['x', 'x'], ['y']]]);
    const { graph } = load('nested-functions.onnx');
    expect(graph.nodes.map(n => n.opType)).toEqual(['If', 'Identity', 'If']);
    verify(graph);
    for (const { attributes } of graph.nodes.filter(n => n.opType === 'If')) {
      const factor = (name: string) => {
        const branch = attributes[name];
        return branch?.type === 'graph' ? branch.value.nodes[0]?.attributes.value_float : undefined;
      };
      expect(factor('then_branch')).toEqual({ type: 'float', value: 3 });
      expect(factor('else_branch')).toEqual({ type: 'float', value: 2 });
    }
  });

  test('functions in a circle, of another opset, or that would fill memory are refused', () => {
    const call = (opType: string): NodeProto => ({ opType, domain: 'f', input: ['x'], output: ['y'] });
    const made = (name: string, node: NodeProto[], version = 21): FunctionProto => ({
      name,
      domain: 'f',
      input: ['x'],
      output: ['y'],
      node,
      opsetImport: [{ domain: '', version }],
    });
    const model = (functions: FunctionProto[]) => () =>
      decodeModel(
        Uint8Array.from(
          encodeMessage(MODEL, {
            irVersion: 10,
            opsetImport: [{ domain: '', version: 21 }],
            graph: { node: [call('a')] },
            functions,
          }).flatMap(piece => [...piece]),
        ),
      );
    expect(model([made('a', [call('b')]), made('b', [call('a')])])).toThrow('function "a" calls itself');
    expect(model([made('a', [], 18)])).toThrow('function "a" is of opset 18, the model of 21');
    const bomb = [...'abcdefghijklmnopqrstuvwxyz'].map((name, i, all) =>
      made(name, [call(all[i + 1] ?? 'z9'), call(all[i + 1] ?? 'z9')]),
    );
    expect(model(bomb)).toThrow('make more than 250000 nodes');
  });

  test.each(['control-flow', 'dtypes', 'attributes', 'old'])('%s reads back equal', name => {
    const model = load(`${name}.onnx`);
    expect(decodeModel(encodeModel(model))).toEqual(model);
  });

  const names = ['gpt_nano_sort', 'cifar_resnet20', 'cifar_resnet20_bn', 'mlperftiny_kws_dscnn', 'mnist-12'];
  test.runIf(HAS_DATA).each(names)(`%s.onnx reads back equal ${NEEDS_DATA}`, name => {
    const model = decodeModel(readFileSync(shared(`${name}.onnx`)));
    expect(isDeepStrictEqual(decodeModel(encodeModel(model)), model)).toBe(true);
  });
});

const text = fc.string({ unit: 'binary' });
const int = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).filter(v => !Number.isSafeInteger(Number(v))),
);
const float = fc.float();
const tensor = fc
  .tuple(fc.integer(), fc.constantFrom('float32', 'int64', 'bool', 'int4', 'bfloat16', 'string'))
  .map(([seed, dtype]) => randomTensor(new Random(seed), dtype as 'float32'));
const attribute: fc.Arbitrary<Attribute> = fc.oneof(
  int.map(value => ({ type: 'int', value }) as const),
  float.map(value => ({ type: 'float', value }) as const),
  text.map(value => ({ type: 'string', value }) as const),
  tensor.map(value => ({ type: 'tensor', value }) as const),
  fc.array(int).map(value => ({ type: 'ints', value }) as const),
  fc.array(float).map(value => ({ type: 'floats', value }) as const),
  fc.array(text).map(value => ({ type: 'strings', value }) as const),
);
const model: fc.Arbitrary<Model> = fc
  .tuple(fc.integer(), fc.dictionary(text, attribute), fc.array(fc.tuple(text, text)), text)
  .map(([seed, attributes, metadata, name]) => {
    const made = modelOf(randomGraph(new Random(seed)), new Map(metadata));
    made.graph.name = name;
    made.graph.nodes[0].attributes = { ...made.graph.nodes[0].attributes, ...attributes };
    return made;
  });

describe('properties', () => {
  test('decode(encode(x)) = x', () => {
    fc.assert(
      fc.property(model, x => {
        expect(decodeModel(encodeModel(x))).toEqual(x);
      }),
      { numRuns: 100 },
    );
  });

  test('cut or changed bytes give a model or one sentence, never another error', () => {
    const bytes = encodeModel(modelOf(randomGraph(new Random(3), 20)));
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.nat(bytes.length), fc.array(change, { maxLength: 4 }), (length, changes) => {
        const broken = bytes.slice(0, length);
        for (const [at, value] of changes) if (at < length) broken[at] = value;
        try {
          decodeModel(broken);
        } catch (error) {
          expect(error).toMatchObject({ name: 'GaslawError' });
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('bad bytes', () => {
  test('the sentence names the byte and the field', () => {
    const bytes = encodeModel(modelOf(randomGraph(new Random(1))));
    expect(() => decodeModel(bytes.subarray(0, 20), { file: 'm.onnx' })).toThrow(
      /^m\.onnx: not a valid ModelProto: a length of \d+ bytes where \d+ are left at byte \d+, in ModelProto\.graph$/,
    );
  });

  test('a length beyond the file is refused before anything is allocated', () => {
    // graph (field 7) of 2^32 − 1 bytes
    expect(() => decodeModel(Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f))).toThrow(
      'a length of 4294967295 bytes where 0 are left at byte 0',
    );
  });

  test('dims that no file could fill are refused', () => {
    const graph = randomGraph(new Random(1));
    // TensorProto in GraphProto.initializer (0x2a): dims 2^35, 2^35; data type float
    const big = [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    const tensor = [...big, ...big, 0x10, 0x01];
    const head = encodeModel(modelOf(graph));
    const tail = Uint8Array.of(0x3a, tensor.length + 2, 0x2a, tensor.length, ...tensor);
    expect(() => decodeModel(Buffer.concat([head, tail]))).toThrow('are negative or too large');
  });

  test('graphs nested without end are refused', () => {
    // graph → node → attribute → graph → …
    let bytes: Uint8Array = new Uint8Array();
    const wrap = (tag: number): void => {
      const length = bytes.length;
      bytes = Buffer.concat([Uint8Array.of(tag, (length & 127) | 128, length >> 7), bytes]);
    };
    for (let i = 0; i < 200; i++) for (const tag of [0x32, 0x2a, 0x0a]) wrap(tag);
    wrap(0x3a);
    expect(() => decodeModel(bytes)).toThrow('messages nested deeper than 100');
  });

  test.each(['/etc/passwd', '../secret', 'a/../../b', 'C:\\x', ''])(
    'external data at "%s" are refused',
    location => {
      const graph = weights([1, 2]);
      const bytes = encodeModel(modelOf(graph), { external: () => ({ location, offset: 0, length: 8 }) });
      expect(() => decodeModel(bytes, { readExternal: () => new Uint8Array(8) })).toThrow(
        `external location "${location}" does not lie in the model's folder`,
      );
    },
  );

  test('empty bytes are no model', () => {
    expect(() => decodeModel(new Uint8Array(), { file: 'x.onnx' })).toThrow(
      'x.onnx: not an ONNX model: it has no graph',
    );
  });
});

function weights(data: readonly number[]): Graph {
  const graph = randomGraph(new Random(5), 2);
  graph.initializers = new Map([['c', float32([data.length], data)]]);
  return graph;
}

describe('writing', () => {
  test('large tensors are referenced, not copied', () => {
    const graph = weights(Array.from({ length: 5000 }, (_, i) => i));
    const { data } = graph.initializers.get('c')!;
    const chunks = encodeModelChunks(modelOf(graph));
    expect(chunks.some(chunk => chunk.buffer === (data as Float32Array).buffer)).toBe(true);
    expect(Buffer.concat(chunks).equals(encodeModel(modelOf(graph)))).toBe(true);
  });

  test('external tensors lie at multiples of 64 bytes and read back equal', () => {
    const graph = weights([1, 2, 3]);
    graph.initializers.set('d', float32([2], [4, 5]));
    graph.initializers.set('e', float32([1], [6]));
    const { sink, chunks } = externalFile('m.onnx_data', 8);
    const bytes = encodeModel(modelOf(graph), { external: sink });
    const data = Buffer.concat(chunks);
    expect(data.length).toBe(64 + 8);
    const read = (_: string, at: number, length: number) => data.subarray(at, at + length);
    expect(decodeModel(bytes, { readExternal: read }).graph.initializers).toEqual(graph.initializers);
  });

  test('data that contradict their dims are refused', () => {
    const graph = weights([1]);
    graph.initializers.set('c', { dtype: 'float32', dims: [2], data: new Float32Array(3) });
    expect(() => encodeModel(modelOf(graph))).toThrow(
      'tensor "c": float32[2] takes 2 stored elements, its data has 3',
    );
    graph.nodes[0].attributes = { alpha: { type: 'float', value: 1e300 } };
    graph.initializers.clear();
    expect(() => encodeModel(modelOf(graph))).toThrow('attribute alpha = 1e+300 does not fit a 32-bit float');
  });
});
