/**
 * Pictures of another size: bilinear with antialiasing, as Pillow's `resize` makes them.
 *
 * 1. One axis after the other; an output pixel is the mean of input pixels under a triangle whose width grows with the
 *    reduction: w(x) = 1 - |x| / max(1, scale), centred at (i + ½) · scale. Each axis rounds to 8 bits, as Pillow does.
 * 2. `crop` keeps the proportions: the largest centred window of the target's aspect is what is resized; `stretch` does not.
 */
import type { Picture } from './image.ts';

export type ResizeMode = 'crop' | 'stretch';

export function resized(picture: Picture, height: number, width: number, mode: ResizeMode): Picture {
  const from = mode === 'crop' ? centred(picture, height / width) : picture;
  if (from.height === height && from.width === width) return from;
  const { channels } = from;
  const wide = alongRows(from.data, from.height, from.width, channels, width);
  return { width, height, channels, data: alongColumns(wide, from.height, width * channels, height) };
}

/** The largest centred window whose height is `aspect` times its width. */
function centred(picture: Picture, aspect: number): Picture {
  const { width, height, channels, data } = picture;
  const w = Math.max(1, Math.min(width, Math.round(height / aspect)));
  const h = Math.max(1, Math.min(height, Math.round(width * aspect)));
  if (w === width && h === height) return picture;
  const [left, top] = [Math.floor((width - w) / 2), Math.floor((height - h) / 2)];
  const out = new Uint8Array(w * h * channels);
  for (let y = 0; y < h; y++) {
    const start = ((top + y) * width + left) * channels;
    out.set(data.subarray(start, start + w * channels), y * w * channels);
  }
  return { width: w, height: h, channels, data: out };
}

export interface Taps {
  readonly first: number;
  readonly weights: readonly number[];
}

/** Which of `from` elements make each of `to`, with weights that add up to 1. */
export function tapsOf(from: number, to: number): Taps[] {
  const scale = from / to;
  const support = Math.max(1, scale);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - support + 0.5));
    const end = Math.min(from, Math.floor(centre + support + 0.5));
    const raw = Array.from({ length: end - first }, (_, k) =>
      Math.max(0, 1 - Math.abs((first + k - centre + 0.5) / support)),
    );
    const sum = raw.reduce((a, b) => a + b, 0);
    return { first, weights: raw.map(w => w / sum) };
  });
}

function alongRows(
  data: Uint8Array,
  height: number,
  width: number,
  channels: number,
  to: number,
): Uint8Array {
  const taps = tapsOf(width, to);
  const out = new Uint8Array(height * to * channels);
  for (let y = 0; y < height; y++)
    taps.forEach(({ first, weights }, x) => {
      for (let c = 0; c < channels; c++) {
        const sum = weights.reduce((s, w, k) => s + w * data[(y * width + first + k) * channels + c], 0);
        out[(y * to + x) * channels + c] = Math.round(sum);
      }
    });
  return out;
}

function alongColumns(data: Uint8Array, height: number, row: number, to: number): Uint8Array {
  const out = new Uint8Array(to * row);
  tapsOf(height, to).forEach(({ first, weights }, y) => {
    for (let x = 0; x < row; x++) {
      const sum = weights.reduce((s, w, k) => s + w * data[(first + k) * row + x], 0);
      out[y * row + x] = Math.round(sum);
    }
  });
  return out;
}
