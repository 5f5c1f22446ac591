/**
 * Contrib ops of `com.microsoft` that name plain ONNX ops or fuse some: written as those.
 *
 * FusedConv = activation(Conv(x, w, b) + z); FusedGemm = activation(Gemm); QuantizeLinear and DequantizeLinear are
 * ONNX's own since they take 16 bits; a Gelu or a Conv of ONNX's own under the domain's name keeps its meaning.
 */
import { type Attribute, float32, type Node } from '../graph/ir.ts';
import { attributesOf, changed, type Rewrite, type Writer } from './writer.ts';

const text = (a: Attribute | undefined): string => (a?.type === 'string' ? a.value : '');
const floats = (a: Attribute | undefined): readonly number[] => (a?.type === 'floats' ? a.value : []);
const float = (a: Attribute | undefined): number | undefined => (a?.type === 'float' ? a.value : undefined);

/** The node that applies `activation` to `x` and makes `outputs`. */
function activation(
  node: Node,
  w: Writer,
  name: string,
  [alpha, beta]: readonly (number | undefined)[],
  x: string,
): Node[] {
  const made = (opType: string, attributes = {}, more: readonly string[] = []) => [
    w.beside(node, opType, [x, ...more], attributes, node.outputs),
  ];
  const real = (value: number | undefined) => (value === undefined ? undefined : { float: value });
  switch (name) {
    case 'Relu':
    case 'Tanh':
    case 'Sigmoid':
      return made(name);
    case 'LeakyRelu':
      return made(name, attributesOf({ alpha: real(alpha) }));
    case 'HardSigmoid':
      return made(name, attributesOf({ alpha: real(alpha), beta: real(beta) }));
    case 'Clip':
      return made(name, {}, [
        w.constant(node, 'min', float32([], [alpha ?? -Infinity])),
        w.constant(node, 'max', float32([], [beta ?? Infinity])),
      ]);
    default:
      return w.fail(node, `fuses the activation "${name}", which is not known`);
  }
}

/** `plain` followed by an addend and an activation, where there are some. */
function followed(
  node: Node,
  w: Writer,
  plain: Node,
  addend: string | undefined,
  parameters: readonly (number | undefined)[],
): Node[] {
  const name = text(node.attributes.activation);
  const nodes = [plain];
  const make = (next: Node) => {
    nodes.push(next);
    return next.outputs[0] as string;
  };
  plain.outputs = [w.fresh(`${node.name}/${plain.opType}`)];
  const x = addend
    ? make(w.beside(node, 'Add', [plain.outputs[0] as string, addend]))
    : (plain.outputs[0] as string);
  if (name !== '') return [...nodes, ...activation(node, w, name, parameters, x)];
  (nodes.at(-1) as Node).outputs = node.outputs;
  return nodes;
}

const fusedConv: Rewrite = (node, w) => {
  const plain = changed(node, {
    domain: '',
    opType: 'Conv',
    inputs: node.inputs.slice(0, 3),
    attributes: { activation: undefined, activation_params: undefined },
  });
  return followed(node, w, plain, node.inputs[3] || undefined, floats(node.attributes.activation_params));
};

const fusedGemm: Rewrite = (node, w) => {
  const names = ['activation_alpha', 'activation_beta', 'activation_gamma'];
  const plain = changed(node, {
    domain: '',
    opType: 'Gemm',
    attributes: { activation: undefined, ...Object.fromEntries(names.map(name => [name, undefined])) },
  });
  return followed(
    node,
    w,
    plain,
    undefined,
    names.map(name => float(node.attributes[name])),
  );
};

const standard: Rewrite = node => [changed(node, { domain: '' })];

export const FUSED: Readonly<Record<string, Rewrite>> = {
  'com.microsoft.FusedConv': fusedConv,
  'com.microsoft.FusedGemm': fusedGemm,
  'com.microsoft.QuantizeLinear': standard,
  'com.microsoft.DequantizeLinear': standard,
};
