/**
 * GPTQ into GGUF's blocks: scales as the type's writer finds them with the columns' importance, codes by the sweep. Columns go
 * the strongest first; a file needs no index of them, since each keeps its place.
 */
import { type CodedType, gridOf, isCoded, putCodes } from '../../formats/gguf/codes.ts';
import { quantize, type WritableType } from '../../formats/gguf/quantize.ts';
import { GGML_TYPES } from '../../formats/gguf/types.ts';
import { assert } from '../../util/errors.ts';
import type { Matrix } from './blocks.ts';
import { importanceOf, type ParameterStatistics } from './language-model/fold.ts';
import { PANEL, permuted, strongestFirst } from './methods/gptq.ts';
import { inverseFactor } from './methods/hessian.ts';
import type { InputStatistics } from './methods/index.ts';
import { sweepColumns } from './methods/sweep.ts';

/** The bytes of a matrix whose rows are whole blocks of `type`. */
export function gptqBlocks(type: CodedType, matrix: Matrix, inputs: InputStatistics): Uint8Array {
  const { columns, data } = matrix;
  assert(
    inputs.columns === columns && columns % GGML_TYPES[type].elements === 0,
    `${type} blocks of rows of ${columns} values, with statistics of ${inputs.columns}`,
  );
  const importance = Float64Array.from({ length: columns }, (_, i) => inputs.gram[i * columns + i] as number);
  const bytes = quantize(type, data, columns, importance);
  const { base, step, levels } = gridOf(type, bytes);
  const codes = new Uint8Array(data.length);
  const order = strongestFirst(inputs);
  sweepColumns(
    matrix,
    inverseFactor(permuted(inputs, order)),
    {
      round(row, column, w) {
        const at = row * columns + column;
        const [from, unit] = [base[at] as number, step[at] as number];
        const code = unit === 0 ? 0 : Math.min(levels - 1, Math.max(0, Math.round((w - from) / unit)));
        codes[at] = code;
        return from + unit * code;
      },
    },
    { panel: PANEL, order },
  );
  putCodes(type, codes, bytes);
  return bytes;
}

/** How the matrix of a parameter is stored: by GPTQ where it was calibrated and the type has codes, else as it is nearest. */
export function quantizerOf(
  statistics: ParameterStatistics,
  { gptq = true } = {},
): (parameter: string, type: WritableType, values: Float32Array, columns: number) => Uint8Array {
  const importance = importanceOf(statistics);
  return (parameter, type, values, columns) => {
    const inputs = statistics.get(parameter);
    if (gptq && inputs?.columns === columns && isCoded(type))
      return gptqBlocks(type, { rows: values.length / columns, columns, data: values }, inputs);
    return quantize(type, values, columns, importance.get(parameter));
  };
}
