/**
 * Any graph in the form that trains: weights as inputs, norms that measure, dropout that drops.
 *
 * 1. The graph is an imported one (`importModel` with `foldNorms: false`), or one that was rewritten since: quantized in
 *    simulation, pruned. Its shapes must be fixed but for the batch.
 * 2. BatchNormalization trains on the statistics of the batch; running ones are inputs, and outputs `next:NAME`.
 *    They are ONNX's: with the population's variance, where PyTorch keeps the sample's.
 * 3. Dropout multiplies by a mask made of an input of uniform numbers, so that a resumed run drops the same elements.
 */
import {
  float32,
  type Graph,
  type Node,
  opKey,
  type Shape,
  sizeOf,
  staticDims,
  typeOf,
} from '../graph/ir.ts';
import { cloneGraph, FreshNames } from '../graph/walk.ts';
import { attributesOf, Writer } from '../import/writer.ts';
import type { ParameterSpec } from '../nn/parameters.ts';
import { zeroInit } from '../nn/parameters.ts';
import { inferShapes } from '../ops/infer.ts';
import { Attributes } from '../ops/rule.ts';
import { GaslawError } from '../util/errors.ts';
import { weightsOf } from './weights-of.ts';

export interface TrainableOptions {
  /** Initializers that train, by name: all weights when absent. Names that are not listed stay constants. */
  readonly parameters?: readonly string[];
  /** Whether BatchNormalization takes statistics of the batch (default true), or keeps the running ones. */
  readonly trainNorms?: boolean;
  /** Share that Dropout drops in place of the graph's own; 0 switches it off. */
  readonly dropout?: number;
}

export interface TrainableGraph {
  /** Inputs: those of the model, then parameters, statistics and uniform numbers. */
  readonly graph: Graph;
  readonly parameters: readonly ParameterSpec[];
  /** Running statistics: each has an output `next:NAME`. */
  readonly statistics: readonly string[];
  /** Inputs that a step fills with uniform numbers in [0, 1). */
  readonly uniforms: readonly { readonly name: string; readonly dims: readonly number[] }[];
}

/** The training form of `graph`, which stays as it was. Throws a GaslawError for a name that is no float32 initializer. */
export function trainable(graph: Graph, options: TrainableOptions = {}): TrainableGraph {
  const form = cloneGraph(graph);
  const parameters = (options.parameters ?? weightsOf(form)).map(name => parameterOf(form, name));
  if (parameters.length === 0)
    throw new GaslawError(
      `graph "${graph.name}": it has no weights to train; name them, or import the model with its weights`,
    );
  inferShapes(form);
  const statistics = options.trainNorms === false ? [] : trainNorms(form);
  const uniforms = activateDropout(form, options.dropout);
  for (const { name } of parameters) toInput(form, name);
  inferShapes(form);
  return { graph: form, parameters, statistics, uniforms };
}

function parameterOf(graph: Graph, name: string): ParameterSpec {
  const tensor = graph.initializers.get(name);
  if (tensor?.dtype === 'float32') return { name, dims: tensor.dims, init: zeroInit };
  throw new GaslawError(
    tensor
      ? `graph "${graph.name}": "${name}" is ${tensor.dtype}; only float32 weights train: dequantize it first`
      : `graph "${graph.name}": it has no initializer "${name}"`,
  );
}

function toInput(graph: Graph, name: string): void {
  const tensor = graph.initializers.get(name);
  if (!tensor) return;
  graph.initializers.delete(name);
  graph.inputs.push({ name, dtype: tensor.dtype, shape: tensor.dims });
}

/** Puts norms into training mode; returns the names of their running statistics. */
function trainNorms(graph: Graph): string[] {
  const names: string[] = [];
  const writer = new Writer(graph, new FreshNames(graph));
  graph.nodes = graph.nodes.flatMap(node => {
    if (opKey(node) !== 'BatchNormalization' || node.inputs.length < 5) return [node];
    const own = node.inputs.slice(3, 5);
    const free = own.every(name => graph.initializers.has(name) && !names.includes(name));
    const attributes = new Attributes(node.attributes);
    if (!free || own[0] === own[1] || attributes.int('training_mode', 0) === 1) return [node];
    names.push(...own);
    return trainedNorm(graph, node, own, attributes.float('momentum', 0.9), writer);
  });
  return names;
}

/**
 * At momentum 0 a norm puts out the statistics of the batch, which its gradient reads: next = m·old + (1 − m)·batch.
 * ONNX Runtime writes them over the vectors that it is given as running ones, whoever else reads those: it gets copies.
 */
function trainedNorm(graph: Graph, node: Node, own: readonly string[], momentum: number, w: Writer): Node[] {
  const batch = own.map(name => w.fresh(`${node.name}/${name}`));
  const number = (what: string, value: number) => w.constant(node, what, float32([], [value]));
  const [keep, take, none] = [number('momentum', momentum), number('rest', 1 - momentum), number('none', 0)];
  const copies = own.map(name => w.beside(node, 'Mul', [name, none]));
  const next = own.flatMap((name, i) => {
    const dims = graph.initializers.get(name)?.dims as readonly number[];
    toInput(graph, name);
    graph.outputs.push({ name: `next:${name}`, dtype: 'float32', shape: dims });
    const [kept, taken] = [
      w.beside(node, 'Mul', [name, keep]),
      w.beside(node, 'Mul', [batch[i] as string, take]),
    ];
    const sum = [kept, taken].map(made => made.outputs[0] as string);
    return [kept, taken, w.beside(node, 'Add', sum, {}, [`next:${name}`])];
  });
  const attributes = { ...node.attributes, ...attributesOf({ training_mode: 1, momentum: { float: 0 } }) };
  const inputs = [...node.inputs.slice(0, 3), ...copies.map(copy => copy.outputs[0] as string)];
  return [
    ...copies,
    { ...node, attributes, inputs, outputs: [node.outputs[0] as string, ...batch] },
    ...next,
  ];
}

/** x · (u ≥ ratio) / (1 − ratio) in place of each Dropout(x). */
function activateDropout(graph: Graph, given: number | undefined): TrainableGraph['uniforms'] {
  const uniforms: { name: string; dims: readonly number[] }[] = [];
  const writer = new Writer(graph, new FreshNames(graph));
  graph.nodes = graph.nodes.flatMap(node => {
    if (opKey(node) !== 'Dropout') return [node];
    const ratio = given ?? ratioOf(graph, node);
    const [x, y] = [node.inputs[0] as string, node.outputs[0] as string];
    if (ratio === 0) return [writer.beside(node, 'Identity', [x], {}, [y])];
    const dims = fixedDims(typeOf(graph, x)?.shape, node);
    const name = writer.fresh(`${node.name}/uniform`);
    uniforms.push({ name, dims });
    graph.inputs.push({ name, dtype: 'float32', shape: dims });
    const bound = writer.constant(node, 'ratio', {
      dtype: 'float32',
      dims: [],
      data: Float32Array.of(ratio),
    });
    const scale = writer.constant(node, 'scale', {
      dtype: 'float32',
      dims: [],
      data: Float32Array.of(1 / (1 - ratio)),
    });
    const kept = writer.beside(node, 'GreaterOrEqual', [name, bound]);
    const mask = writer.beside(node, 'Cast', kept.outputs, attributesOf({ to: 1 }));
    const scaled = writer.beside(node, 'Mul', [mask.outputs[0] as string, scale]);
    return [kept, mask, scaled, writer.beside(node, 'Mul', [x, scaled.outputs[0] as string], {}, [y])];
  });
  return uniforms;
}

function ratioOf(graph: Graph, node: Node): number {
  const tensor = graph.initializers.get(node.inputs[1] ?? '');
  return tensor ? Number(tensor.data[0]) : 0.5;
}

function fixedDims(shape: Shape | undefined, node: Node): readonly number[] {
  const dims = staticDims(shape);
  if (!dims || sizeOf(dims) === 0)
    throw new GaslawError(
      `node "${node.name}" (Dropout): the shape [${shape ?? '?'}] is not fixed; bind the symbolic dims first`,
    );
  return dims;
}
