/** Size of a small convolutional classifier, and what it costs in closed form. */
import { GaslawError } from '../../util/errors.ts';

export interface ConvLayer {
  readonly channels: number;
  /** Of the 3 × 3 convolution; 1 when absent. */
  readonly stride?: 1 | 2;
  /** A depthwise 3 × 3 and a 1 × 1 convolution in place of a full one, each with norm and ReLU (MobileNet, DS-CNN). */
  readonly separable?: boolean;
}

export interface ConvNetConfig {
  /** Of an image: channels, height, width. */
  readonly input: readonly [channels: number, height: number, width: number];
  readonly classes: number;
  readonly layers: readonly ConvLayer[];
}

/** Pictures of fewer rows or columns are not halved any more. */
const SMALLEST = 14;

/**
 * A network for pictures of `input`: convolutions in pairs, of which the first takes half of the rows and columns and the channels
 * double, until the picture is small. For digits of 28 × 28 and 16 channels: 70,330 parameters that train, 5.5 million multiply-adds.
 */
export function networkFor(input: ConvNetConfig['input'], classes: number, channels: number): ConvNetConfig {
  const layers: ConvLayer[] = [{ channels }];
  const [, height, width] = input;
  for (let side = Math.min(height, width), wide = channels; side >= SMALLEST; side = Math.ceil(side / 2)) {
    wide *= 2;
    layers.push({ channels: wide, stride: 2 }, { channels: wide });
  }
  return { input, classes, layers };
}

/** Throws a GaslawError that names the field which makes no network. */
export function checkConfig({ input, classes, layers }: ConvNetConfig): void {
  const counts = [...input, classes, ...layers.map(l => l.channels)];
  const wrong = counts.find(n => !Number.isSafeInteger(n) || n < 1);
  if (wrong !== undefined)
    throw new GaslawError(
      `convolutional network: ${wrong} is no number of channels, rows or classes; give whole numbers of at least 1`,
    );
  if (layers.length === 0) throw new GaslawError('convolutional network: layers is empty; give one at least');
}

interface Cost {
  readonly parameters: number;
  readonly macs: number;
}

/** Weights that train: convolutions (no bias), norms' gains and shifts, the classifier. */
export const parametersOf = (config: ConvNetConfig): number => costOf(config).parameters;

/** Multiply-adds of convolutions and classifier for one image. */
export const macsOf = (config: ConvNetConfig): number => costOf(config).macs;

function costOf({ input: [channels, height, width], classes, layers }: ConvNetConfig): Cost {
  let [inside, rows, columns, parameters, macs] = [channels, height, width, 0, 0];
  for (const { channels: outside, stride = 1, separable } of layers) {
    [rows, columns] = [Math.ceil(rows / stride), Math.ceil(columns / stride)];
    const weights = separable ? 9 * inside + inside * outside : 9 * inside * outside;
    parameters += weights + 2 * outside + (separable ? 2 * inside : 0);
    macs += weights * rows * columns;
    inside = outside;
  }
  return { parameters: parameters + (inside + 1) * classes, macs: macs + inside * classes };
}
