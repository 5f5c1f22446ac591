/**
 * Einsum in full: repeated labels, ellipses, implicit outputs, any number of operands.
 *
 * 1. Each operand gets one stride per label (a repeated label adds its strides, a broadcast one has 0); the result is
 *    out[o] = Σ_s Π_k x_k[base_k(o) + step_k(s)].
 * 2. Ellipsis axes become labels numbered from the right, so that they broadcast as shapes do.
 */
import type { Tensor } from '../../../graph/ir.ts';
import type { Kernel, KernelContext, KernelFamily } from '../kernel.ts';
import { offsets, range, stridesOf } from '../layout.ts';
import { doubles, store } from '../tensor.ts';

interface Operand {
  readonly values: Float64Array;
  readonly bases: Int32Array;
  readonly steps: Int32Array;
}

const ellipsisLabel = (fromRight: number): string => `.${fromRight}`;

/** The labels of one term; `dots` axes stand where it says `...`. */
function labelsOf(term: string, dots: number): string[] {
  return [...term.replace('...', '.')].flatMap(letter =>
    letter === '.' ? range(dots).map(i => ellipsisLabel(dots - i)) : [letter],
  );
}

const lettersIn = (term: string): number => term.replace('...', '').length;

/** Every label's size. Throws where two operands disagree. */
function sizesOf(
  c: KernelContext,
  inputs: readonly Tensor[],
  labels: readonly string[][],
): Map<string, number> {
  const sizes = new Map<string, number>();
  inputs.forEach(({ dims }, k) => {
    if (dims.length !== labels[k].length)
      c.fail(`operand ${k} has rank ${dims.length}, not ${labels[k].length}`);
    labels[k].forEach((label, axis) => {
      const known = sizes.get(label) ?? 1;
      if (known !== 1 && dims[axis] !== 1 && known !== dims[axis]) {
        c.fail(`label "${label}" is both ${known} and ${dims[axis]}`);
      }
      sizes.set(label, known === 1 ? dims[axis] : known);
    });
  });
  return sizes;
}

/** Ellipsis axes first, then the letters that occur once, in alphabetical order. */
function implicitOutput(labels: readonly string[][], dots: number): string[] {
  const all = labels.flat().filter(label => !label.startsWith('.'));
  const once = all.filter(label => all.indexOf(label) === all.lastIndexOf(label)).sort();
  return [...range(dots).map(i => ellipsisLabel(dots - i)), ...once];
}

const strideFor = (label: string, labels: readonly string[], dims: readonly number[]): number =>
  stridesOf(dims).reduce((sum, s, axis) => sum + (labels[axis] === label && dims[axis] !== 1 ? s : 0), 0);

const einsum: Kernel = c => {
  const inputs = c.inputs.map((_, i) => c.input(i));
  const [left, right] = c.attributes.string('equation', '').replaceAll(' ', '').split('->');
  const terms = left.split(',');
  if (terms.length !== inputs.length)
    c.fail(`the equation has ${terms.length} operands, the node ${inputs.length}`);
  const dotsOf = terms.map((term, k) => (term.includes('...') ? inputs[k].dims.length - lettersIn(term) : 0));
  const dots = Math.max(...dotsOf);
  const labels = terms.map((term, k) => labelsOf(term, dotsOf[k]));
  const sizes = sizesOf(c, inputs, labels);
  const kept = right === undefined ? implicitOutput(labels, dots) : labelsOf(right, dots);
  const summed = [...sizes.keys()].filter(label => !kept.includes(label));
  const size = (label: string) => sizes.get(label) ?? c.fail(`label "${label}" is in no operand`);
  const dims = kept.map(size);
  const operands = inputs.map((t, k): Operand => {
    const strides = (list: readonly string[]) => list.map(label => strideFor(label, labels[k], t.dims));
    return {
      values: doubles(t),
      bases: offsets(dims, strides(kept)),
      steps: offsets(summed.map(size), strides(summed)),
    };
  });
  return [store(inputs[0].dtype, dims, contract(operands))];
};

function contract(operands: readonly Operand[]): Float64Array {
  const out = new Float64Array(operands[0].bases.length);
  const count = operands[0].steps.length;
  for (let o = 0; o < out.length; o++) {
    for (let s = 0; s < count; s++) {
      let term = 1;
      for (const { values, bases, steps } of operands) term *= values[bases[o] + steps[s]];
      out[o] += term;
    }
  }
  return out;
}

export const EINSUM = { Einsum: einsum } as const satisfies KernelFamily;
