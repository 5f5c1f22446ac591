/** What firmware has to know of a TFLite file: the shapes, types and scales of its inputs and outputs. */
import { decodeTflite } from './decode.ts';
import type { TfliteTensor } from './model.ts';

/** `input image: int8 [1, 28, 28, 1], scale 0.0039, zero point -128`, a line each: real = scale (code - zero point). */
export function signatureOf(tflite: Uint8Array): string[] {
  const { tensors, inputs, outputs } = decodeTflite(tflite);
  const line = (what: string) => (i: number) => {
    const { name, dtype, shape, quantization: q } = tensors[i] as TfliteTensor; // checked by the decoder
    const real = q ? `, scale ${q.scale[0]}, zero point ${q.zeroPoint[0]}` : '';
    return `${what} ${name}: ${dtype} [${shape.join(', ')}]${real}`;
  };
  return [...inputs.map(line('input')), ...outputs.map(line('output'))];
}
