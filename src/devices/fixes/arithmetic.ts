/** Rewrites that write one op by others, or fold its constants. */
import { float32, type Node, type Tensor } from '../../graph/ir.ts';
import { attributesOf, changed, type Rewrite, type Writer } from '../../import/writer.ts';
import { Attributes } from '../../ops/rule.ts';

const floats = (tensor: Tensor | undefined): Float32Array | undefined =>
  tensor?.dtype === 'float32' && tensor.data instanceof Float32Array ? tensor.data : undefined;

const scalar = (w: Writer, node: Node, what: string, x: number): string =>
  w.constant(node, what, float32([], [x]));

/** x - c = x + (-c); x / c = x (1/c); x² = x x. */
export const constantArithmetic: Rewrite = (node, w) => {
  const constant = w.tensorOf(node.inputs[1] ?? '');
  const values = floats(constant);
  if (!constant || !values) return [node];
  const [x] = node.inputs as [string];
  if (node.opType === 'Pow')
    return values.every(v => v === 2) ? [changed(node, { opType: 'Mul', inputs: [x, x] })] : [node];
  const [opType, f] = node.opType === 'Sub' ? (['Add', -1] as const) : (['Mul', 0] as const);
  const data = values.map(v => (f === -1 ? -v : 1 / v));
  return [changed(node, { opType, inputs: [x, w.constant(node, 'constant', float32(constant.dims, data))] })];
};

/** alpha op(A) op(B) + beta C with constant B and C: alpha goes into B, beta into C; A is transposed before it. */
export const plainGemm: Rewrite = (node, w) => {
  const a = new Attributes(node.attributes);
  const [alpha, beta] = [a.float('alpha', 1), a.float('beta', 1)];
  const [x, weight, bias] = node.inputs as [string, string, string | undefined];
  const [b, c] = [w.tensorOf(weight), w.tensorOf(bias ?? '')];
  if ((alpha !== 1 && !floats(b)) || (beta !== 1 && bias && !floats(c))) return [node];
  const times = (what: string, tensor: Tensor | undefined, name: string, factor: number): string =>
    factor === 1
      ? name
      : w.constant(
          node,
          what,
          float32(
            tensor?.dims ?? [],
            (floats(tensor) as Float32Array).map(v => v * factor),
          ),
        );
  const before = a.int('transA', 0) ? [w.beside(node, 'Transpose', [x], attributesOf({ perm: [1, 0] }))] : [];
  const inputs = [
    before[0]?.outputs[0] ?? x,
    times('weight', b, weight, alpha),
    ...(bias ? [times('bias', c, bias, beta)] : []),
  ];
  return [
    ...before,
    changed(node, { inputs, attributes: { transA: undefined, alpha: undefined, beta: undefined } }),
  ];
};

/**
 * HardSigmoid: clip(αx + β, 0, 1); HardSwish: x clip(x/6 + 1/2, 0, 1); Swish: x sigmoid(αx).
 * Mish, Softplus and Softsign stay: their plain forms need Exp and Log, which no accelerator here has.
 */
export const decomposeActivation: Rewrite = (node, w) => {
  const a = new Attributes(node.attributes);
  const [x] = node.inputs as [string];
  const [output] = node.outputs as [string];
  switch (node.opType) {
    case 'HardSigmoid':
      return hardSigmoid(node, w, a.float('alpha', 0.2), a.float('beta', 0.5), output);
    case 'HardSwish': {
      const gate = hardSigmoid(node, w, 1 / 6, 0.5, w.fresh(`${node.name}/gate`));
      return [...gate, w.beside(node, 'Mul', [x, gate.at(-1)?.outputs[0] as string], {}, [output])];
    }
    case 'Swish': {
      const scaled =
        a.float('alpha', 1) === 1
          ? []
          : [w.beside(node, 'Mul', [x, scalar(w, node, 'alpha', a.float('alpha', 1))])];
      const gate = w.beside(node, 'Sigmoid', [scaled[0]?.outputs[0] ?? x]);
      return [...scaled, gate, w.beside(node, 'Mul', [x, gate.outputs[0] as string], {}, [output])];
    }
    default:
      return [node];
  }
};

function hardSigmoid(node: Node, w: Writer, alpha: number, beta: number, output: string): Node[] {
  const scaled = w.beside(node, 'Mul', [node.inputs[0] as string, scalar(w, node, 'alpha', alpha)]);
  const shifted = w.beside(node, 'Add', [scaled.outputs[0] as string, scalar(w, node, 'beta', beta)]);
  const bounds = [scalar(w, node, 'low', 0), scalar(w, node, 'high', 1)];
  return [scaled, shifted, w.beside(node, 'Clip', [shifted.outputs[0] as string, ...bounds], {}, [output])];
}
