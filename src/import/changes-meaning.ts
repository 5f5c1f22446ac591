/** Changes of meaning: defaults, semantics, and ops that others replaced. */
import { DTYPE_CODES } from '../graph/dtype.ts';
import { type Attribute, float32, type Node, sizeOf, type Tensor } from '../graph/ir.ts';
import type { Change } from './upgrade.ts';
import { attributesOf, changed, type Rewrite, type Writer } from './writer.ts';

const text = (a: Attribute | undefined): string | undefined => (a?.type === 'string' ? a.value : undefined);
const whole = (a: Attribute | undefined): number | undefined =>
  a?.type === 'int' ? Number(a.value) : undefined;

/** Dropout-7 and -10 never drop in inference; Dropout-7's mask has the input's dtype. */
const dropout: Rewrite = (node, w) => {
  const plain = changed(node, { attributes: { ratio: undefined, is_test: undefined } });
  const mask = node.outputs[1];
  const dtype = w.typeOf(node.inputs[0] as string)?.dtype;
  if (!mask || !dtype || w.typeOf(mask)?.dtype !== dtype) return [plain];
  const bool = w.fresh(`${node.name}/mask`);
  plain.outputs = [node.outputs[0] as string, bool];
  return [plain, w.beside(node, 'Cast', [bool], attributesOf({ to: DTYPE_CODES[dtype] }), [mask])];
};

/**
 * Before opset 13 the input was flattened to [before axis, from axis on] (axis 1 by default), and the second of these
 * axes was taken: the same as today's op where `axis` is the last one.
 */
const flattened: Rewrite = (node, w) => {
  const axis = whole(node.attributes.axis) ?? 1;
  const [x] = node.inputs as [string];
  const rank = w.typeOf(x)?.shape?.length;
  const last = attributesOf({ axis: -1 });
  if (axis === -1 || (rank !== undefined && axis === rank - 1)) return [changed(node, { attributes: last })];
  const shape = w.beside(node, 'Shape', [x]);
  const flat = w.beside(node, 'Flatten', [x], attributesOf({ axis }));
  const y = w.beside(node, node.opType, flat.outputs, last);
  const inputs = [y.outputs[0] as string, shape.outputs[0] as string];
  return [shape, flat, y, w.beside(node, 'Reshape', inputs, {}, node.outputs)];
};

/** BatchNormalization before 14 trained when statistics were asked for, and could normalize per activation. */
const batchNormalization: Rewrite = (node, w) => {
  if (whole(node.attributes.spatial) === 0)
    w.fail(node, 'normalizes every activation by itself (spatial = 0), which no opset from 9 on can express');
  const statistics = node.outputs.slice(1).some(name => name !== '');
  if (node.outputs.slice(3).some(name => name !== ''))
    w.fail(node, 'puts out saved_mean or saved_var, which no opset from 14 on does');
  return [
    changed(node, {
      attributes: { spatial: undefined, ...(statistics ? attributesOf({ training_mode: 1 }) : {}) },
    }),
  ];
};

/** A vector of one entry a group, each repeated for every channel of its group. */
function perChannel(node: Node, w: Writer, name: string, channels: number): string {
  const t = w.tensorOf(name) ?? w.fail(node, 'has scales by group that are not constant');
  const groups = sizeOf(t.dims);
  if (t.dtype !== 'float32' && t.dtype !== 'float64') w.fail(node, `has scales by group of dtype ${t.dtype}`);
  const data = (t.data as Float32Array).slice();
  const repeated = Array.from(
    { length: channels },
    (_, c) => data[Math.floor((c * groups) / channels)] as number,
  );
  const tensor: Tensor =
    t.dtype === 'float64'
      ? { dtype: 'float64', dims: [channels], data: Float64Array.from(repeated) }
      : float32([channels], repeated);
  return w.constant(node, 'perChannel', tensor);
}

/** GroupNormalization-18 scaled by group, today's scales by channel. */
const groupNormalization: Rewrite = (node, w) => {
  const channels = w.typeOf(node.inputs[0] as string)?.shape?.[1];
  if (typeof channels !== 'number')
    return w.fail(node, 'scales by group and its number of channels is not known');
  const [x, ...tables] = node.inputs as [string, ...string[]];
  return [changed(node, { inputs: [x, ...tables.map(name => perChannel(node, w, name, channels))] })];
};

/** Upsample-7 (scales as attribute), -9 (as input) and Resize-10: asymmetric positions, nearest rounds down. */
const upsample: Rewrite = (node, w) => {
  const given = node.attributes.scales;
  const scales =
    given?.type === 'floats'
      ? w.constant(node, 'scales', float32([given.value.length], given.value))
      : (node.inputs[1] as string);
  const mode = text(node.attributes.mode) ?? 'nearest';
  return [
    changed(node, {
      opType: 'Resize',
      inputs: [node.inputs[0] as string, '', scales],
      attributes: {
        scales: undefined,
        ...attributesOf({
          mode: mode === 'bilinear' || mode === 'trilinear' ? 'linear' : mode,
          coordinate_transformation_mode: 'asymmetric',
          nearest_mode: 'floor',
        }),
      },
    }),
  ];
};

/** Resize-11 knew tf_half_pixel_for_nn: floor((x + 0.5)/scale), which is half_pixel rounded up at halves. */
const resize: Rewrite = (node, w) => {
  if (text(node.attributes.coordinate_transformation_mode) !== 'tf_half_pixel_for_nn') return [node];
  if (
    text(node.attributes.nearest_mode) !== 'floor' ||
    (text(node.attributes.mode) ?? 'nearest') !== 'nearest'
  )
    w.fail(node, 'uses tf_half_pixel_for_nn with another rounding than floor, which no later opset has');
  return [
    changed(node, {
      attributes: attributesOf({
        coordinate_transformation_mode: 'half_pixel',
        nearest_mode: 'round_prefer_ceil',
      }),
    }),
  ];
};

/** An attribute's default before it changed, written out. */
const formerDefault =
  (name: string, value: string): Rewrite =>
  node => [changed(node, { attributes: node.attributes[name] ? {} : attributesOf({ [name]: value }) })];

const GRID_MODES: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' };

/** GridSample-16 named its modes after two dimensions. */
const gridSample: Rewrite = node => {
  const mode = text(node.attributes.mode) ?? 'bilinear';
  return [changed(node, { attributes: attributesOf({ mode: GRID_MODES[mode] ?? mode }) })];
};

const renamed =
  (opType: string): Rewrite =>
  node => [changed(node, { opType })];

/** Scan-8 had a batch axis and sequence lengths. */
const oldScan: Rewrite = (node, w) =>
  w.fail(
    node,
    'is a Scan of opset 8 (batched, with sequence lengths); later opsets have another op of that name',
  );

/** `since` of an op that only ever had the old meaning. */
const ALWAYS = Infinity;

export const MEANING_CHANGES: Readonly<Record<string, readonly Change[]>> = {
  Dropout: [{ since: 12, rewrite: dropout }],
  Softmax: [{ since: 13, rewrite: flattened }],
  LogSoftmax: [{ since: 13, rewrite: flattened }],
  Hardmax: [{ since: 13, rewrite: flattened }],
  BatchNormalization: [{ since: 14, rewrite: batchNormalization }],
  GroupNormalization: [{ since: 21, rewrite: groupNormalization }],
  Upsample: [{ since: ALWAYS, rewrite: upsample }],
  Resize: [
    { since: 11, rewrite: upsample },
    { since: 13, rewrite: resize },
  ],
  RoiAlign: [{ since: 16, rewrite: formerDefault('coordinate_transformation_mode', 'output_half_pixel') }],
  GridSample: [{ since: 20, rewrite: gridSample }],
  Scatter: [{ since: ALWAYS, rewrite: renamed('ScatterElements') }],
  Scan: [{ since: 9, rewrite: oldScan }],
};
