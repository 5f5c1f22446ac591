/** Cases of Fourier transforms and the tables that go with them. */
import { type CaseFamily, fed, scalar, x } from './types.ts';

const windows = [
  { name: 'periodic', inputs: [scalar(6)] },
  { name: 'symmetric', inputs: [scalar(5)], attributes: { periodic: 0 } },
];
const f32 = (value: number) => ({ ...fed('float32', [value], []), constant: true });

export const SIGNAL = {
  DFT: [
    { name: 'real', inputs: [x(2, 5, 1)] },
    { name: 'one-sided, cut', inputs: [x(1, 6, 1), scalar(4)], attributes: { onesided: 1 } },
    { name: 'inverse, axis 0', inputs: [x(4, 2, 2), undefined, scalar(0)], attributes: { inverse: 1 } },
  ],
  STFT: [
    { name: 'windowed', inputs: [x(2, 10, 1), scalar(3), x(4)] },
    { name: 'two-sided', inputs: [x(1, 8, 1), scalar(2), undefined, scalar(4)], attributes: { onesided: 0 } },
  ],
  HannWindow: windows,
  HammingWindow: windows,
  BlackmanWindow: windows,
  MelWeightMatrix: [{ name: 'plain', inputs: [scalar(4), scalar(16), scalar(8000), f32(0), f32(4000)] }],
} satisfies CaseFamily;
