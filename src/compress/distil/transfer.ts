/**
 * What a student asks its teacher about: examples, changed and mixed so that few of them go a long way.
 *
 * 1. The teacher answers what comes out of here, so a mixture needs no label: any input on which both should agree serves
 *    (Beyer et al. 2022, "A good teacher is patient and consistent", arXiv:2106.05237).
 * 2. Images [N, C, H, W] are shifted, those in colour flipped, and three in five mixed with another one of the batch: evenly
 *    (MixUp, Zhang et al. 2018) or by a rectangle (CutMix, Yun et al. 2019). Other float inputs are mixed evenly, half of them.
 * 3. With `labels` nothing is mixed, since a mixture has no class. `augment` takes the place of shifts and flips, of inputs of any kind.
 *    Nor with `mixing` off, for a student so near that it should see what it will be asked (quantization).
 */
import { type Augment, augmentRows, crop, flip, inTurn } from '../../data/augment.ts';
import type { Examples } from '../../data/examples/examples.ts';
import { labelsOf } from '../../data/examples/examples.ts';
import { float32, int32, type Tensor } from '../../graph/ir.ts';
import type { Feeds } from '../../train/graph-learner.ts';
import type { Random } from '../../util/random.ts';

export interface TransferOptions {
  readonly batchSize: number;
  /** Give `labels` (int32 [N]) too, and mix nothing. */
  readonly labels?: boolean;
  /** Changes each float input of each example. */
  readonly augment?: Augment;
  /** Default: where there are no labels. */
  readonly mixing?: boolean;
}

/** One batch a step, drawn from the stream that it is given. */
export function transferBatches(
  examples: Examples,
  { batchSize, labels = false, mixing = !labels, augment }: TransferOptions,
): (index: number, random: Random) => Feeds[] {
  const classes = labels ? labelsOf(examples) : undefined;
  return (_, random) => {
    const chosen = Array.from({ length: batchSize }, () => random.int(examples.count));
    const inputs = Object.entries(examples.batch(chosen)).map(
      ([name, tensor]) => [name, changed(tensor, random.fork(name), mixing, augment)] as const,
    );
    const own = classes && {
      labels: int32(
        [batchSize],
        chosen.map(i => classes[i] as number),
      ),
    };
    return [{ ...Object.fromEntries(inputs), ...own }];
  };
}

const SHIFT = 4;

function changed(tensor: Tensor, random: Random, mixing: boolean, augment?: Augment): Tensor {
  if (tensor.dtype !== 'float32') return tensor;
  const [count, ...dims] = tensor.dims as [number, ...number[]];
  const isImage = dims.length === 3 && Math.min(dims[1] as number, dims[2] as number) > 2 * SHIFT;
  const usual = dims[0] === 3 ? inTurn(flip(), crop(SHIFT)) : crop(SHIFT);
  const change = augment ?? (isImage ? usual : undefined);
  const moved = change ? augmentRows(tensor, change, random) : tensor;
  if (!mixing) return moved;
  const values = moved.data as Float32Array;
  return float32(tensor.dims, mixed(values, count, isImage ? dims : undefined, random.fork('mixed')));
}

/** Each row kept or mixed with another one; `image` has its planes [C, H, W]. */
function mixed(
  rows: Float32Array,
  count: number,
  image: readonly number[] | undefined,
  random: Random,
): Float32Array {
  const out = rows.slice();
  const size = rows.length / count;
  const [evenly, byRectangle] = image ? [0.2, 0.4] : [0.5, 0];
  for (let i = 0; i < count; i++) {
    const [kind, share, other] = [random.uniform(), random.uniform(), random.int(count)];
    const of = (j: number) => rows[other * size + j] as number;
    if (kind < evenly) {
      for (let j = 0; j < size; j++)
        out[i * size + j] = share * of(j) + (1 - share) * (rows[i * size + j] as number);
    } else if (image && kind < evenly + byRectangle) {
      const inside = rectangle(image, share, random);
      for (let j = 0; j < size; j++) if (inside(j)) out[i * size + j] = of(j);
    }
  }
  return out;
}

/** Whether an element of planes [C, H, W] lies in a rectangle of a share of the area, somewhere. */
function rectangle([, h, w]: readonly number[], share: number, random: Random): (element: number) => boolean {
  const [height, width] = [h as number, w as number];
  const [high, wide] = [height, width].map(n => Math.round(n * Math.sqrt(share))) as [number, number];
  const [top, left] = [random.int(height - high + 1), random.int(width - wide + 1)];
  return element => {
    const [y, x] = [Math.floor(element / width) % height, element % width];
    return y >= top && y < top + high && x >= left && x < left + wide;
  };
}
