/** Shapes of Fourier transforms and the tables that go with them. */
import { type DType, dtypeOfCode } from '../../graph/dtype.ts';
import type { Dim } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import { axisOf, input, requireRank, type, unknownDim, withDim } from './common.ts';
import { addDims, divDims, showShape, subDims } from './dims.ts';

/** Frequencies that a real signal of this length needs: length/2 + 1. */
const half = (length: Dim): Dim => addDims(divDims(length, 2), 1);

/** DFT(x [.., 1 or 2], length?, axis?): the last axis holds real and imaginary parts. */
const dft: ShapeRule = c => {
  const { dtype } = input(c, 0);
  const x = requireRank(c, 0, 2, Infinity);
  const at = c.inputs[2] ? c.shapeValue(2)?.[0] : -2;
  if (!x || typeof at !== 'number') return [{ dtype }];
  const axis = axisOf(c, at, x.length);
  if (axis === x.length - 1) c.fail(`axis ${at} of ${showShape(x)} holds the parts of complex numbers`);
  const length = c.inputs[1] ? (c.shapeValue(1)?.[0] ?? unknownDim(c, 'length')) : (x[axis] as Dim);
  const onesided = c.attributes.int('onesided', 0) !== 0;
  const inverse = c.attributes.int('inverse', 0) !== 0;
  const out =
    onesided && !inverse ? half(length) : onesided ? onesidedLength(c, x[axis] as Dim, length) : length;
  return [type(dtype, withDim(withDim(x, axis, out), x.length - 1, onesided && inverse ? 1 : 2))];
};

/** Signal length behind `count` one-sided frequencies: 2(count − 1), or the length that is given. */
const onesidedLength = (c: RuleContext, count: Dim, given: Dim): Dim =>
  c.inputs[1] ? given : addDims(subDims(count, 1), subDims(count, 1));

/** STFT(signal [N,L,..], step, window?, frame_length?) -> [N, frames, frequencies, 2]. */
const stft: ShapeRule = c => {
  const { dtype } = input(c, 0);
  const x = requireRank(c, 0, 2, 3);
  const step = c.shapeValue(1)?.[0];
  const width = c.shapeValue(3)?.[0] ?? c.inputs[2]?.shape?.[0];
  if (!x) return [{ dtype }];
  const frames =
    typeof step === 'number' && width !== undefined
      ? addDims(divDims(subDims(x[1] as Dim, width), step), 1)
      : unknownDim(c, 'frames');
  const onesided = c.attributes.int('onesided', 1) !== 0;
  const bins = width === undefined ? unknownDim(c, 'bins') : onesided ? half(width) : width;
  return [type(dtype, [x[0] as Dim, frames, bins, 2])];
};

export function outputDType(c: Pick<RuleContext, 'attributes' | 'fail'>): DType {
  const code = c.attributes.int('output_datatype', 1);
  return dtypeOfCode(code) ?? c.fail(`output_datatype ${code} is no ONNX dtype`);
}

const window: ShapeRule = c => [type(outputDType(c), [c.shapeValue(0)?.[0] ?? unknownDim(c, 'size')])];

/** MelWeightMatrix(bins, dft_length, sample_rate, low, high) -> [dft_length/2 + 1, bins]. */
const mel: ShapeRule = c => {
  const [bins, length] = [c.shapeValue(0)?.[0], c.shapeValue(1)?.[0]];
  const rows = length === undefined ? unknownDim(c, 'frequencies') : half(length);
  return [type(outputDType(c), [rows, bins ?? unknownDim(c, 'bins')])];
};

export const SIGNAL = {
  DFT: dft,
  STFT: stft,
  HannWindow: window,
  HammingWindow: window,
  BlackmanWindow: window,
  MelWeightMatrix: mel,
} satisfies Record<string, ShapeRule>;
