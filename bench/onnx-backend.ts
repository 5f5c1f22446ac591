/**
 * ONNX's own backend node tests through reader, importer (upgrade and simplification), shape inference and reference interpreter.
 *
 * 1. DIR is `onnx/backend/test/data/node` of the `onnx` package (1.22: `pip download onnx==1.22.0`, unzip the wheel).
 * 2. A case passes when every output has the expected dtype, dims and values, and the inferred types agree with them:
 *    relative 1e-3 and absolute 1e-6 for 32- and 64-bit floats, 1e-2 and 1e-3 for narrower ones, equal otherwise.
 * 3. Categories: `quantization` has an op that quantizes or computes on quantized numbers; `others` has values that are
 *    no numeric tensors (sequences, optionals, strings), an op of another domain than ONNX's own, or random numbers;
 *    `float` has a float among inputs or outputs; `integer` is the rest.
 * 4. `refused` cases hold something that Gaslaw does not have and says so by name; `failed` ones give another result.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isFloat } from '../src/graph/dtype.ts';
import type { Model, Tensor } from '../src/graph/ir.ts';
import { MODEL, type ModelProto, TENSOR, type TypeProto } from '../src/graph/onnx-schema.ts';
import { decodeModel } from '../src/graph/protobuf.ts';
import { tensorFromProto } from '../src/graph/tensor-proto.ts';
import { decodeMessage } from '../src/graph/wire.ts';
import { importModel } from '../src/import/index.ts';
import { inferShapes } from '../src/ops/infer.ts';
import { evaluate } from '../src/runtime/reference/index.ts';
import { doubles } from '../src/runtime/reference/tensor.ts';
import { GaslawError } from '../src/util/errors.ts';

export const CATEGORIES = ['float', 'quantization', 'integer', 'others'] as const;
export type Category = (typeof CATEGORIES)[number];

export interface BackendCase {
  readonly name: string;
  readonly category: Category;
  readonly status: 'passed' | 'failed' | 'refused';
  /** Why it did not pass. */
  readonly reason: string;
}

const QUANTIZING: ReadonlySet<string> = new Set([
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'QLinearConv',
  'QLinearMatMul',
  'ConvInteger',
  'MatMulInteger',
]);
const RANDOM: ReadonlySet<string> = new Set([
  'Bernoulli',
  'RandomUniformLike',
  'RandomNormalLike',
  'RandomUniform',
  'RandomNormal',
  'Multinomial',
]);
const STRING = 8;
const FLOATS: ReadonlySet<number> = new Set([1, 10, 11, 16, 17, 18, 19, 20, 23, 24]);

/** Runs the case in `folder`. */
export function runBackendCase(folder: string, name: string): BackendCase {
  const bytes = new Uint8Array(readFileSync(join(folder, name, 'model.onnx')));
  const category = categoryOf(decodeMessage(MODEL, bytes));
  try {
    const { model } = importModel(decodeModel(bytes));
    const reason = differenceIn(model, join(folder, name));
    return { name, category, status: reason === '' ? 'passed' : 'failed', reason };
  } catch (error) {
    const refused = error instanceof GaslawError && isRefusal(error.message);
    return { name, category, status: refused ? 'refused' : 'failed', reason: oneLine(error) };
  }
}

const oneLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] as string;

/** Sentences that say that something is not there, not that something is wrong. */
const isRefusal = (message: string): boolean =>
  /is not known|op list|only tensors can be|not supported|is of opset|has no kernel|is a Scan of opset 8/.test(
    message,
  );

function categoryOf(proto: ModelProto): Category {
  const nodes = proto.graph?.node ?? [];
  const types = [...(proto.graph?.input ?? []), ...(proto.graph?.output ?? [])].map(info => info.type);
  if (nodes.some(n => QUANTIZING.has(n.opType ?? ''))) return 'quantization';
  const foreign = nodes.some(n => (n.domain ?? '') !== '' || RANDOM.has(n.opType ?? ''));
  if (foreign || types.some(t => !isNumeric(t))) return 'others';
  return types.some(t => FLOATS.has(t?.tensorType?.elemType ?? 0)) ? 'float' : 'integer';
}

const isNumeric = (type: TypeProto | undefined): boolean =>
  type?.tensorType !== undefined && type.tensorType.elemType !== STRING;

/** The first difference over all data sets of the case, or ''. */
function differenceIn(model: Model, folder: string): string {
  inferShapes(model.graph);
  const sets = readdirSync(folder).filter(entry => entry.startsWith('test_data_set'));
  return sets.map(set => differenceOfSet(model, join(folder, set))).find(d => d !== '') ?? '';
}

function differenceOfSet({ graph }: Model, folder: string): string {
  const declared = graph.inputs.filter(input => !graph.initializers.has(input.name));
  const feeds = Object.fromEntries(
    declared.flatMap(({ name }, i) => {
      const tensor = readTensor(join(folder, `input_${i}.pb`));
      return tensor ? [[name, tensor] as const] : [];
    }),
  );
  const results = evaluate(graph, feeds);
  const outputs = graph.outputs.map(({ name, shape }, i) => {
    const want = readTensor(join(folder, `output_${i}.pb`));
    const got = results[name] as Tensor;
    return want
      ? difference(name, got, want) || typeDifference(graph.types.get(name)?.shape ?? shape, got)
      : '';
  });
  return outputs.find(d => d !== '') ?? '';
}

function readTensor(path: string): Tensor | undefined {
  return existsSync(path)
    ? tensorFromProto(decodeMessage(TENSOR, new Uint8Array(readFileSync(path))))
    : undefined;
}

function typeDifference(shape: readonly (number | string)[] | undefined, got: Tensor): string {
  if (!shape) return '';
  const fits =
    shape.length === got.dims.length && shape.every((d, i) => typeof d === 'string' || d === got.dims[i]);
  return fits ? '' : `inferred [${shape}], computed [${got.dims}]`;
}

function difference(name: string, got: Tensor, want: Tensor): string {
  const [is, should] = [got, want].map(t => `${t.dtype}[${t.dims}]`);
  if (is !== should) return `output "${name}" is ${is}, not ${should}`;
  if (want.dtype === 'string')
    return String(got.data) === String(want.data) ? '' : `output "${name}" differs`;
  const [x, y] = [doubles(got), doubles(want)];
  const wide = want.dtype === 'float32' || want.dtype === 'float64';
  const [relative, absolute] = !isFloat(want.dtype) ? [0, 0] : wide ? [1e-3, 1e-6] : [1e-2, 1e-3];
  const close = (a: number, b: number) =>
    a === b || (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= absolute + relative * Math.abs(b);
  const at = x.findIndex((v, i) => !close(v, y[i] as number));
  return at === -1 ? '' : `output "${name}"[${at}] is ${x[at]}, not ${y[at]}`;
}

/** All cases of the folder, by name. */
export const runBackendCases = (folder: string): BackendCase[] =>
  readdirSync(folder)
    .filter(name => existsSync(join(folder, name, 'model.onnx')))
    .sort()
    .map(name => runBackendCase(folder, name));

export interface BackendReport {
  readonly categories: Readonly<Record<Category, { passed: number; cases: number; share: number }>>;
  /** Reason to the cases that it stopped. */
  readonly refused: Readonly<Record<string, readonly string[]>>;
  readonly failed: Readonly<Record<string, string>>;
}

/** Shares by category, what was refused (by reason) and what failed. */
export function benchOnnxBackend(folder: string | undefined): BackendReport {
  if (!folder || !existsSync(folder))
    throw new GaslawError(
      `onnx-backend: --data ${folder ?? ''} is no folder; pass onnx/backend/test/data/node of the onnx package`,
    );
  const cases = runBackendCases(folder);
  const shares = CATEGORIES.map(category => {
    const own = cases.filter(c => c.category === category);
    const passed = own.filter(c => c.status === 'passed').length;
    return [category, { passed, cases: own.length, share: passed / Math.max(1, own.length) }] as const;
  });
  const refused: Record<string, string[]> = {};
  for (const c of cases.filter(one => one.status === 'refused')) {
    const reason = c.reason.replace(/^node "[^"]*"[^:]*: /, '').replace(/"[^"]*" is a/, 'a value is a');
    (refused[reason] ??= []).push(c.name);
  }
  const failed = Object.fromEntries(cases.filter(c => c.status === 'failed').map(c => [c.name, c.reason]));
  // The list above has every category once.
  return { categories: Object.fromEntries(shares) as BackendReport['categories'], refused, failed };
}
