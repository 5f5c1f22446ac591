/** Small models and tensors for the runtime tests. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { float32, type Model, type Tensor } from '../src/graph/ir.ts';
import { Builder, type Value } from '../src/ops/builder.ts';
import { modelFor } from '../src/ops/opset.ts';
import { Random } from '../src/util/random.ts';

/** The model that `body` writes. */
export function modelOfBody(body: (b: Builder) => void): Model {
  const b = new Builder('test');
  body(b);
  return modelFor(b.graph);
}

/** `c = a + b` over vectors of any length. */
export const addition = (): Model =>
  modelOfBody(b => {
    const [x, y] = ['a', 'b'].map(name => b.input(name, 'float32', ['n'])) as [Value, Value];
    b.output(x.add(y), 'c');
  });

/** `y = relu(x · w) · w` over rows of `size` with the weight as an initializer. */
export const perceptron = (weight: Tensor): Model =>
  modelOfBody(b => {
    const size = weight.dims[0] as number;
    const w = b.initializer('w', weight);
    const hidden = b.op('Relu', [b.op('MatMul', [b.input('x', 'float32', ['rows', size]), w], {})], {});
    b.output(b.op('MatMul', [hidden, w], {}), 'y');
  });

/** Uniform in [−0.5, 0.5). */
export function noise(dims: readonly number[], seed = 0): Tensor {
  const random = new Random(seed);
  const count = dims.reduce((a, b) => a * b, 1);
  return float32(
    dims,
    Float32Array.from({ length: count }, () => random.uniform() - 0.5),
  );
}

/** `factor` on the diagonal of a square matrix. */
export const diagonal = (size: number, factor: number): Tensor =>
  float32(
    [size, size],
    Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? factor : 0)),
  );

setFlagsFromString('--expose-gc');
/** Collects garbage now. */
export const collectGarbage = runInNewContext('gc') as () => void;
