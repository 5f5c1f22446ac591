/**
 * What a device profile holds. Profiles are data: one file a family in `families/`.
 *
 * 1. Every figure carries where it was read and how far it can be trusted; what nobody publishes is absent, not guessed.
 * 2. Rates are multiply-adds a second of the dense unit (1 TOPS = 0.5e12), bytes are bytes, clocks are hertz.
 * 3. What a device does with a node is in `rules/`, what a model costs there in `latency/`: both refer to profiles by id.
 */
import { z } from 'zod';
import { SOURCES, type SourceKey } from './sources.ts';

/**
 * published: a measurement or table that its author published; vendor-doc: documentation of the maker;
 * derived: computed from such figures; low: from press or memory of the literature, not read at its source.
 */
export const CONFIDENCES = ['published', 'vendor-doc', 'derived', 'low'] as const;
export type Confidence = (typeof CONFIDENCES)[number];

const confidence = z.enum(CONFIDENCES);
const source = z.string().refine(key => Object.hasOwn(SOURCES, key), { error: 'no such source' });

const figureOf = <T extends z.ZodType>(value: T) => z.object({ value, source, confidence });
const quantity = figureOf(z.number().positive());

export const FAMILIES = [
  'cpu',
  'gpu',
  'qualcomm',
  'texas-instruments',
  'ambarella',
  'arm',
  'intel',
  'stmicroelectronics',
] as const;
export type FamilyId = (typeof FAMILIES)[number];

export const FORMATS = [
  'onnx',
  'onnx-qdq',
  'onnx-qoperator',
  'tflite',
  'tflite-int8',
  'c-array',
  'gguf',
] as const;
export type Format = (typeof FORMATS)[number];

const PRECISIONS = ['float32', 'float16', 'int16', 'int8', 'int4'] as const;
export type Precision = (typeof PRECISIONS)[number];

const granularity = z.enum(['per-tensor', 'per-channel', 'per-block']);

/** How integers must look. `granularity` is what weights of an op may have at most. */
const quantization = z.object({
  activations: z.array(z.enum(['int8', 'uint8', 'int16', 'uint16'])).readonly(),
  weights: z.array(z.enum(['int8', 'uint8', 'int4'])).readonly(),
  granularity: z.object({ conv: granularity, matmul: granularity }),
  /** `zero-in-int16`: kernels of 16 bits ignore it, those of 8 take any. */
  activationZeroPoint: z.enum(['any', 'zero', 'zero-in-int16']),
  weightZeroPoint: z.enum(['any', 'zero']),
  scale: z.enum(['any', 'power-of-two']),
  /** Ops whose inputs and output must have one scale. */
  unifiedScaleOps: z.array(z.string()).readonly(),
  source,
  confidence,
});

const peak = z.object({ int8: quantity, int16: quantity, float16: quantity, float32: quantity }).partial();

const memory = z
  .object({
    /** Writable memory that holds activations: SRAM of a microcontroller, DRAM of a larger system. */
    ramBytes: quantity,
    /** Where weights are stored on a microcontroller. */
    flashBytes: quantity,
    /** Memory of the accelerator itself. */
    onChipBytes: quantity,
    dramBytesPerSecond: quantity,
    sramBytesPerSecond: quantity,
    flashBytesPerSecond: quantity,
  })
  .partial();

export const deviceSchema = z.object({
  id: z.string().regex(/^[a-z0-9-]+$/),
  family: z.enum(FAMILIES),
  name: z.string(),
  /** What computes, for example `Hexagon HTP v75`. */
  engine: z.string(),
  /** The rule set and latency model it belongs to: devices of one engine kind share both. */
  kind: z.string().regex(/^[a-z0-9-]+$/),
  formats: figureOf(z.array(z.enum(FORMATS)).min(1).readonly()),
  precisions: figureOf(z.array(z.enum(PRECISIONS)).min(1).readonly()),
  opset: figureOf(z.object({ min: z.number().int(), max: z.number().int() })).optional(),
  staticShapes: figureOf(z.boolean()),
  maxRank: figureOf(z.number().int()).optional(),
  /** Channels are stored rounded up to a multiple of this: others cost without computing. */
  channelAlignment: figureOf(z.number().int().positive()).optional(),
  quantization: quantization.optional(),
  sparsity: figureOf(z.enum(['none', '2:4', 'unstructured', 'compressed-weights'])).optional(),
  clockHz: quantity.optional(),
  peakMacsPerSecond: peak,
  memory,
  /** What a reader should know, each with its source. */
  notes: z.array(figureOf(z.string())).readonly(),
  /** Of the profile as a whole. */
  confidence,
});

export type DeviceProfile = z.infer<typeof deviceSchema>;
export type Quantization = z.infer<typeof quantization>;

export interface Figure<T> {
  readonly value: T;
  readonly source: string;
  readonly confidence: Confidence;
}

/** A figure, shortly. */
export const figure = <T>(value: T, source: SourceKey, confidence: Confidence): Figure<T> => ({
  value,
  source,
  confidence,
});

/** Every figure of a profile with its path, in the order of the profile. */
export function figuresOf(
  profile: DeviceProfile,
): { readonly path: string; readonly figure: Figure<unknown> }[] {
  return walk('', profile);
}

function walk(path: string, node: unknown): { path: string; figure: Figure<unknown> }[] {
  if (typeof node !== 'object' || node === null) return [];
  if (isFigure(node)) return [{ path, figure: node }];
  if ('source' in node && 'confidence' in node) {
    const { source, confidence, ...value } = node as { source: string; confidence: Confidence };
    return [{ path, figure: { value, source, confidence } }];
  }
  return Object.entries(node).flatMap(([key, child]) => walk(path === '' ? key : `${path}.${key}`, child));
}

const isFigure = (node: object): node is Figure<unknown> =>
  'value' in node && 'source' in node && 'confidence' in node;
