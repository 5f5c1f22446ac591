/**
 * The factor that GPTQ and SparseGPT sweep columns with: U of the inverse of a product's damped Hessian.
 *
 * 1. λ is a hundredth of the mean diagonal, as in both papers.
 * Source: Frantar et al. 2023 (arXiv:2210.17323 and arXiv:2301.00774).
 */
import type { InputStatistics } from './index.ts';

const DAMPING = 0.01;

/** Upper triangular U with (E[x xᵀ] + λ I)⁻¹ = Uᵀ U. */
export const inverseFactor = (inputs: InputStatistics, damping: number = DAMPING): Float64Array =>
  transposed(cholesky(dampedInverse(inputs, damping), inputs.columns), inputs.columns);

/** (E[x xᵀ] + λ I)⁻¹ with λ = `damping` times the mean diagonal. */
export function dampedInverse({ columns: n, gram }: InputStatistics, damping: number): Float64Array {
  const h = Float64Array.from(gram);
  let trace = 0;
  for (let i = 0; i < n; i++) trace += gram[i * n + i] as number;
  const lambda = trace === 0 ? 1 : (damping * trace) / n;
  for (let i = 0; i < n; i++) h[i * n + i] = (h[i * n + i] as number) + lambda;
  return inverse(cholesky(h, n), n);
}

/** Lower triangular L with A = L Lᵀ. A must be positive definite. */
function cholesky(a: Float64Array, n: number): Float64Array {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j] as number;
      for (let k = 0; k < j; k++) sum -= (l[i * n + k] as number) * (l[j * n + k] as number);
      l[i * n + j] = i === j ? Math.sqrt(Math.max(sum, 1e-30)) : sum / (l[j * n + j] as number);
    }
  }
  return l;
}

/** (L Lᵀ)⁻¹ = L⁻ᵀ L⁻¹. */
function inverse(l: Float64Array, n: number): Float64Array {
  const inv = new Float64Array(n * n);
  for (let column = 0; column < n; column++) {
    for (let i = column; i < n; i++) {
      let sum = i === column ? 1 : 0;
      for (let k = column; k < i; k++) sum -= (l[i * n + k] as number) * (inv[k * n + column] as number);
      inv[i * n + column] = sum / (l[i * n + i] as number);
    }
  }
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = i; k < n; k++) sum += (inv[k * n + i] as number) * (inv[k * n + j] as number);
      out[i * n + j] = sum;
      out[j * n + i] = sum;
    }
  }
  return out;
}

function transposed(a: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) out[j * n + i] = a[i * n + j] as number;
  return out;
}
