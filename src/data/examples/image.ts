/**
 * PNG and JPEG pictures as 8-bit pixels with the channels that a model reads.
 *
 * 1. 16-bit pictures keep their upper byte, palettes become colours, transparency is dropped.
 * 2. Grey from colour is ITU-R BT.601's luma, as Pillow's `convert('L')` has it: (19595 R + 38470 G + 7471 B + 2¹⁵) >> 16.
 */
import { convertIndexedToRgb, type DecodedPng, decode as decodePng } from 'fast-png';
import { decode as decodeJpeg } from 'jpeg-js';
import { GaslawError } from '../../util/errors.ts';

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 1 or 3. */
  readonly channels: number;
  /** [height, width, channels] */
  readonly data: Uint8Array;
}

export const isPicture = (name: string): boolean => /\.(png|jpe?g)$/i.test(name);

/** The picture in a file. Throws a GaslawError naming the file when it is none. */
export function decodePicture(bytes: Uint8Array, name: string): Picture {
  try {
    if (bytes[0] === 0x89) return ofPng(decodePng(bytes));
    const { width, height, data } = decodeJpeg(bytes, { useTArray: true, formatAsRGBA: false });
    return { width, height, channels: 3, data };
  } catch (error) {
    throw new GaslawError(
      `${name}: not a PNG or JPEG picture that can be read (${(error as Error).message})`,
    );
  }
}

function ofPng(png: DecodedPng): Picture {
  const { width, height } = png;
  if (png.palette) return chosen(width, height, png.palette[0].length, convertIndexedToRgb(png));
  return chosen(width, height, png.channels, bytesOf(png));
}

/** Samples of any depth as 0 to 255. */
function bytesOf({ data, depth, width, height, channels }: DecodedPng): Uint8Array {
  if (depth === 16) return Uint8Array.from(data, v => v >> 8);
  if (depth === 8) return Uint8Array.from(data);
  const perByte = 8 / depth;
  const rowBytes = Math.ceil((width * channels) / perByte);
  const most = 2 ** depth - 1;
  return Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const [y, x] = [Math.floor(i / (width * channels)), i % (width * channels)];
    const byte = data[y * rowBytes + Math.floor(x / perByte)];
    return (255 * ((byte >> (8 - depth * ((x % perByte) + 1))) & most)) / most;
  });
}

/** Without the transparency of 2- and 4-channel pictures. */
function chosen(width: number, height: number, channels: number, data: Uint8Array): Picture {
  if (channels === 1 || channels === 3) return { width, height, channels, data };
  const kept = channels - 1;
  const out = Uint8Array.from({ length: width * height * kept }, (_, i) => {
    return data[Math.floor(i / kept) * channels + (i % kept)];
  });
  return { width, height, channels: kept, data: out };
}

/** The picture in grey or in colour. */
export function withChannels(picture: Picture, channels: number): Picture {
  const { data, width, height } = picture;
  if (channels === picture.channels) return picture;
  const pixels = width * height;
  if (channels === 3)
    return {
      width,
      height,
      channels,
      data: Uint8Array.from({ length: pixels * 3 }, (_, i) => data[Math.floor(i / 3)]),
    };
  const luma = (i: number): number =>
    (19595 * data[3 * i] + 38470 * data[3 * i + 1] + 7471 * data[3 * i + 2] + 0x8000) >> 16;
  return { width, height, channels, data: Uint8Array.from({ length: pixels }, (_, i) => luma(i)) };
}
