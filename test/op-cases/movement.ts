/** Cases of ops that move, make and index elements. */
import { float32 } from '../../src/graph/ir.ts';
import { type CaseFamily, fed, floats, held, scalar, x } from './types.ts';

const ids = (values: readonly number[], shape: readonly number[] = [values.length]) =>
  fed('int64', values, shape);
const FLOAT32 = 1;

export const MOVEMENT = {
  Shape: [
    { name: 'all', inputs: [x(2, 3, 4)] },
    { name: 'part', inputs: [x(2, 3, 4)], attributes: { start: 1, end: -1 } },
  ],
  Size: [{ name: 'plain', inputs: [x(2, 3)] }],
  Reshape: [
    { name: 'keep and infer', inputs: [x(2, 3, 2), held([0, -1])] },
    { name: 'to a scalar', inputs: [x(1, 1), held([])] },
  ],
  Flatten: [
    { name: 'default', inputs: [x(2, 3, 2)] },
    { name: 'axis 0', inputs: [x(2, 3)], attributes: { axis: 0 } },
  ],
  Squeeze: [
    { name: 'one axis', inputs: [x(2, 1, 3), held([1])] },
    { name: 'all', inputs: [x(1, 3, 1)] },
  ],
  Unsqueeze: [{ name: 'two axes', inputs: [x(2, 3), held([1, -1])] }],
  Transpose: [
    { name: 'perm', inputs: [x(2, 3, 4)], attributes: { perm: [2, 0, 1] } },
    { name: 'reverse', inputs: [x(2, 3, 4)] },
  ],
  Expand: [
    { name: 'new and stretched axes', inputs: [x(3, 1), held([2, 1, 4])] },
    { name: 'nothing to do', inputs: [x(2, 3), held([1, 3])] },
  ],
  Tile: [{ name: 'both axes', inputs: [x(2, 2), held([2, 3])] }],
  Concat: [
    { name: 'axis 1', inputs: [x(2, 1), x(2, 3), x(2, 2)], attributes: { axis: 1 } },
    { name: 'negative axis', inputs: [x(2, 1, 2), x(2, 2, 2)], attributes: { axis: -2 } },
  ],
  Split: [
    {
      name: 'sizes',
      inputs: [x(2, 6), held([1, 3, 2])],
      attributes: { axis: 1 },
      outputs: 3,
      through: [0, 1, 2],
    },
    {
      name: 'one part used',
      inputs: [x(2, 6), held([1, 3, 2])],
      attributes: { axis: -1 },
      outputs: 3,
      through: [1],
    },
    { name: 'uneven', inputs: [x(5, 2)], attributes: { num_outputs: 3 }, outputs: 3, through: [0, 2] },
  ],
  Slice: [
    { name: 'default axes', inputs: [x(4, 3), held([1, 0]), held([3, 2])] },
    { name: 'from the end', inputs: [x(2, 6), held([-4]), held([-1]), held([1]), held([1])] },
    { name: 'past the end', inputs: [x(2, 6), held([2]), held([2 ** 31]), held([-1])] },
    { name: 'step 2', inputs: [x(2, 7), held([1]), held([7]), held([1]), held([2])] },
    { name: 'backwards', inputs: [x(2, 6), held([-1]), held([-(2 ** 31)]), held([1]), held([-2])] },
    {
      name: 'two axes, one stepped',
      inputs: [x(4, 5), held([1, 0]), held([4, 5]), held([0, 1]), held([1, 2])],
    },
    { name: 'bounds at run time', inputs: [x(4, 3), ids([1]), ids([3]), held([0])] },
  ],
  Pad: [
    { name: 'constant', inputs: [x(2, 3), held([1, 0, 0, 3]), floats([0.7], [])] },
    { name: 'axes', inputs: [x(2, 3), held([1, 2]), undefined, held([1])] },
    { name: 'crop', inputs: [x(2, 4), held([0, -1, 0, 2])] },
    { name: 'reflect', inputs: [x(2, 4), held([0, 1, 0, 2])], attributes: { mode: 'reflect' } },
    { name: 'edge', inputs: [x(2, 3), held([1, 2, 0, 1])], attributes: { mode: 'edge' } },
    { name: 'wrap', inputs: [x(2, 3), held([0, 1, 0, 2])], attributes: { mode: 'wrap' } },
  ],
  ReverseSequence: [
    { name: 'time first', inputs: [x(4, 2, 3), ids([2, 4])] },
    { name: 'batch first', inputs: [x(2, 4), ids([3, 1])], attributes: { batch_axis: 0, time_axis: 1 } },
  ],
  CenterCropPad: [
    { name: 'crop and pad', inputs: [x(2, 5, 3), held([3, 6])], attributes: { axes: [1, 2] }, free: [0] },
    { name: 'all axes', inputs: [x(3, 4), held([2, 4])], free: [] },
  ],
  DepthToSpace: [
    { name: 'DCR', inputs: [x(1, 8, 2, 3)], attributes: { blocksize: 2 }, free: [0, 2, 3] },
    { name: 'CRD', inputs: [x(2, 8, 1, 2)], attributes: { blocksize: 2, mode: 'CRD' }, free: [0, 2, 3] },
  ],
  SpaceToDepth: [{ name: 'plain', inputs: [x(2, 2, 4, 2)], attributes: { blocksize: 2 }, free: [0, 1] }],
  Constant: [{ name: 'tensor', inputs: [], attributes: { value: float32([2], [1, 2]) } }],
  ConstantOfShape: [
    { name: 'zeros', inputs: [held([2, 3])] },
    { name: 'value', inputs: [held([2])], attributes: { value: float32([1], [1.5]) } },
  ],
  Range: [{ name: 'floats', inputs: [floats([1], []), floats([2.2], []), floats([0.25], [])] }],
  EyeLike: [
    { name: 'plain', inputs: [x(3, 4)], attributes: { dtype: FLOAT32 }, wrt: [] },
    { name: 'above the diagonal', inputs: [x(3, 3)], attributes: { dtype: FLOAT32, k: 1 }, wrt: [] },
  ],
  OneHot: [
    { name: 'last axis', inputs: [ids([0, 2, -1]), scalar(3), floats([0.25, 2])] },
    { name: 'first axis', inputs: [ids([0, 2, 1]), scalar(4), floats([0, 1])], attributes: { axis: 0 } },
  ],
  Gather: [
    { name: 'rows, repeated', inputs: [x(4, 3), ids([3, 0, 3])] },
    { name: 'from the end', inputs: [x(4, 3), ids([-1, 1])] },
    {
      name: 'axis 1, index matrix',
      inputs: [x(2, 4, 2), ids([0, 3, 1, 1], [2, 2])],
      attributes: { axis: 1 },
    },
    { name: 'one row', inputs: [x(4, 2), fed('int32', [2], [])] },
    { name: 'one known column', inputs: [x(3, 4), scalar(-2)], attributes: { axis: 1 } },
    { name: 'more rows than a one-hot serves', inputs: [x(140, 1), ids([1, 1, 139, -2])] },
  ],
  GatherElements: [
    { name: 'axis 1', inputs: [x(2, 3), ids([2, 0, 0, 1, 1, 1], [2, 3])], attributes: { axis: 1 } },
    { name: 'axis 0, fewer rows', inputs: [x(3, 3), ids([2, 0, 1, 1, -1, 0], [2, 3])] },
  ],
  GatherND: [
    { name: 'elements', inputs: [x(2, 3, 2), ids([0, 1, 1, 2, 0, 1], [3, 2])] },
    { name: 'one batch dim', inputs: [x(2, 3, 2), ids([2, 1], [2, 1])], attributes: { batch_dims: 1 } },
    {
      name: 'two batch dims',
      inputs: [x(2, 2, 3), ids([2, 1, 0, 2], [2, 2, 1])],
      attributes: { batch_dims: 2 },
    },
  ],
  ScatterElements: [
    {
      name: 'axis 1',
      inputs: [x(2, 4), ids([3, 0, 1, 2], [2, 2]), x(2, 2)],
      attributes: { axis: 1 },
    },
    {
      name: 'add',
      inputs: [x(3, 3), ids([1, 1, 0, 1, 2, 0], [2, 3]), x(2, 3)],
      attributes: { reduction: 'add' },
    },
  ],
  ScatterND: [
    { name: 'rows', inputs: [x(4, 3), ids([2, 0], [2, 1]), x(2, 3)] },
    {
      name: 'add, repeated rows',
      inputs: [x(4, 3), ids([2, 0, 2], [3, 1]), x(3, 3)],
      attributes: { reduction: 'add' },
    },
    {
      name: 'add, elements',
      inputs: [x(3, 3), ids([0, 1, 2, 2, 0, 1], [3, 2]), x(3)],
      attributes: { reduction: 'add' },
    },
  ],
  TensorScatter: [
    { name: 'at an index', inputs: [x(2, 4, 3), x(2, 1, 3), ids([1, 3])], attributes: { axis: 1 } },
  ],
  Compress: [
    { name: 'axis 1', inputs: [x(2, 4), fed('bool', [0, 1, 1])], attributes: { axis: 1 } },
    { name: 'elements', inputs: [x(2, 3), fed('bool', [1, 0, 0, 1, 1])] },
  ],
  Unique: [
    { name: 'sorted', inputs: [floats([2, 1, 1, 3, 4, 3])], outputs: 4 },
    { name: 'in order', inputs: [floats([2, 1, 1, 3, 4, 3])], attributes: { sorted: 0 }, outputs: 4 },
    {
      name: 'rows',
      inputs: [floats([1, 0, 0, 1, 0, 0, 2, 3, 4], [3, 3])],
      attributes: { axis: 0 },
      outputs: 4,
    },
  ],
  NonZero: [{ name: 'plain', inputs: [floats([1, 0, 0, 2], [2, 2])] }],
  'gaslaw.StopGradient': [
    { name: 'plain', inputs: [x(2, 3)], except: { gradient: 'forward and backward differ by design' } },
  ],
  'gaslaw.StraightThrough': [
    {
      name: 'plain',
      inputs: [x(2, 3), x(2, 3)],
      except: { gradient: 'forward and backward differ by design' },
    },
  ],
} satisfies CaseFamily;
