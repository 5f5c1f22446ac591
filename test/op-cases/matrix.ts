/** Cases of matrix products. */
import { type CaseFamily, x } from './types.ts';

export const MATRIX = {
  MatMul: [
    { name: 'matrices', inputs: [x(3, 4), x(4, 2)] },
    { name: 'batch by weight', inputs: [x(2, 3, 4), x(4, 2)] },
    { name: 'weight by batch', inputs: [x(3, 4), x(2, 4, 2)] },
    { name: 'batches that broadcast', inputs: [x(2, 1, 2, 3), x(3, 3, 2)] },
    { name: 'vector by matrix', inputs: [x(4), x(4, 3)] },
    { name: 'batch by vector', inputs: [x(2, 3, 4), x(4)] },
    { name: 'vectors', inputs: [x(4), x(4)] },
    { name: 'vector by batch', inputs: [x(3), x(2, 3, 2)] },
  ],
  Gemm: [
    { name: 'plain', inputs: [x(3, 4), x(4, 2)] },
    {
      name: 'everything',
      inputs: [x(4, 3), x(2, 4), x(2)],
      attributes: { alpha: 0.5, beta: 1.5, transA: 1, transB: 1 },
    },
    { name: 'column bias', inputs: [x(3, 4), x(2, 4), x(3, 1)], attributes: { transB: 1 } },
  ],
  Einsum: [
    { name: 'product', inputs: [x(2, 2, 3), x(2, 3, 3)], attributes: { equation: 'bij,bkj->bik' } },
    { name: 'three operands', inputs: [x(2, 3), x(3, 2), x(2)], attributes: { equation: 'ij,jk,k->i' } },
    { name: 'summed away', inputs: [x(2, 3), x(2)], attributes: { equation: 'ij,i->i' } },
    { name: 'diagonal', inputs: [x(3, 3)], attributes: { equation: 'ii->i' } },
    { name: 'diagonal in a batch', inputs: [x(2, 3, 3), x(3)], attributes: { equation: 'bii,i->bi' } },
    { name: 'trace', inputs: [x(3, 3)], attributes: { equation: 'ii' } },
    { name: 'ellipsis', inputs: [x(2, 4, 3), x(2, 4, 3)], attributes: { equation: '...i,...i->...' } },
    {
      name: 'ellipsis over unequal ranks',
      inputs: [x(2, 1, 3), x(4, 3)],
      attributes: { equation: '...i,...i->...' },
      except: {
        native: 'ONNX Runtime wants the ellipses of all operands to have one shape',
        web: 'ONNX Runtime wants the ellipses of all operands to have one shape',
      },
    },
    { name: 'implicit output', inputs: [x(2, 3), x(3, 2)], attributes: { equation: 'ba,ac' } },
  ],
  Det: [{ name: 'batch', inputs: [x(2, 3, 3)] }],
  'com.microsoft.FusedMatMul': [
    { name: 'transB', inputs: [x(2, 3, 4), x(2, 2, 4)], attributes: { alpha: 0.5, transB: 1 } },
    { name: 'transA', inputs: [x(2, 4, 3), x(2, 4, 2)], attributes: { alpha: 0.25, transA: 1 } },
    { name: 'both', inputs: [x(4, 3), x(2, 4)], attributes: { transA: 1, transB: 1 } },
    { name: 'batch by transposed weight', inputs: [x(2, 3, 4), x(2, 4)], attributes: { transB: 1 } },
    { name: 'batch by weight, scaled', inputs: [x(2, 3, 4), x(4, 2)], attributes: { alpha: 2 } },
  ],
} satisfies CaseFamily;
