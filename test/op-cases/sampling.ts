/** Cases of ops that sample images. */
import { type CaseFamily, fed, floats, held, scalar, within, x } from './types.ts';

/** Float32 scales that the graph holds, whatever dtype the case runs in. */
const scales = (...values: number[]) => ({ ...fed('float32', values), constant: true });
const FREE = [0, 1];

export const SAMPLING = {
  Resize: [
    { name: 'nearest, doubled', inputs: [x(1, 2, 2, 3), undefined, scales(1, 1, 2, 2)], free: [0, 1, 2, 3] },
    {
      name: 'nearest, tripled from the corner',
      inputs: [x(1, 1, 2, 2), undefined, scales(1, 1, 3, 1)],
      attributes: { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
      free: [0, 1, 2, 3],
    },
    {
      name: 'nearest, to sizes',
      inputs: [x(1, 1, 3, 4), undefined, undefined, held([1, 1, 5, 3])],
      free: FREE,
    },
    {
      name: 'linear, half pixel',
      inputs: [x(2, 1, 3, 3), undefined, scales(1, 1, 2, 1.5)],
      attributes: { mode: 'linear' },
      free: FREE,
    },
    {
      name: 'linear, corners aligned',
      inputs: [x(1, 2, 3, 2), undefined, undefined, held([1, 2, 5, 4])],
      attributes: { mode: 'linear', coordinate_transformation_mode: 'align_corners' },
      free: [],
    },
    {
      name: 'linear, smaller',
      inputs: [x(1, 1, 5, 6), undefined, undefined, held([1, 1, 3, 3])],
      attributes: { mode: 'linear', coordinate_transformation_mode: 'pytorch_half_pixel' },
      free: FREE,
    },
    {
      name: 'linear, antialiased',
      inputs: [x(1, 1, 6, 6), undefined, scales(1, 1, 0.5, 0.5)],
      attributes: { mode: 'linear', antialias: 1 },
      free: FREE,
    },
    {
      name: 'cubic',
      inputs: [x(1, 1, 4, 4), undefined, scales(1, 1, 1.5, 2)],
      attributes: { mode: 'cubic' },
      free: FREE,
    },
    {
      name: 'cubic, outside excluded',
      inputs: [x(1, 1, 4, 4), undefined, scales(1, 1, 2, 1)],
      attributes: { mode: 'cubic', exclude_outside: 1, cubic_coeff_a: -0.5 },
      free: FREE,
    },
  ],
  GridSample: [
    { name: 'linear, zeros', inputs: [x(2, 2, 3, 3), within(-1.2, 1.2, [2, 2, 2, 2])], free: [0, 1] },
    {
      name: 'linear, border, corners aligned',
      inputs: [x(1, 1, 3, 4), floats([-0.9, 0.3, 0.55, -0.4, 0.1, 0.8, -0.35, -0.75], [1, 2, 2, 2])],
      attributes: { padding_mode: 'border', align_corners: 1 },
      free: [0, 1],
    },
    {
      name: 'nearest',
      inputs: [x(1, 1, 3, 4), within(-1, 1, [1, 2, 2, 2])],
      attributes: { mode: 'nearest' },
      except: { gradient: 'only linear sampling has a gradient' },
    },
    {
      name: 'cubic, reflected',
      inputs: [x(1, 1, 4, 4), within(-1.5, 1.5, [1, 2, 2, 2])],
      attributes: { mode: 'cubic', padding_mode: 'reflection' },
      except: { gradient: 'only linear sampling has a gradient' },
    },
  ],
  AffineGrid: [
    { name: 'two axes', inputs: [x(2, 2, 3), held([2, 1, 2, 3])], free: [] },
    {
      name: 'three axes, corners aligned',
      inputs: [x(1, 3, 4), held([1, 1, 2, 2, 3])],
      attributes: { align_corners: 1 },
      free: [],
    },
  ],
  RoiAlign: [
    {
      name: 'mean',
      inputs: [x(2, 2, 6, 6), floats([0.5, 1, 4, 4.5, 1, 0, 5, 3], [2, 4]), fed('int64', [1, 0])],
      attributes: { output_height: 2, output_width: 2, sampling_ratio: 2 },
    },
    {
      name: 'maximum, scaled',
      inputs: [x(1, 1, 5, 5), floats([1, 1, 7, 9], [1, 4]), fed('int64', [0])],
      attributes: {
        output_height: 2,
        output_width: 3,
        spatial_scale: 0.5,
        mode: 'max',
        coordinate_transformation_mode: 'output_half_pixel',
      },
    },
  ],
  NonMaxSuppression: [
    {
      name: 'two classes',
      inputs: [
        floats32(
          [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, -0.1, 1, 0.9, 0, 10, 1, 11, 0, 10.1, 1, 11.1, 0, 100, 1, 101],
          [1, 6, 4],
        ),
        floats32([0.9, 0.75, 0.6, 0.95, 0.5, 0.3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [1, 2, 6]),
        scalar(2),
        { ...floats32([0.5], []), constant: true },
        { ...floats32([0.2], []), constant: true },
      ],
    },
  ],
} satisfies CaseFamily;

function floats32(values: readonly number[], shape: readonly number[]) {
  return fed('float32', values, shape);
}
