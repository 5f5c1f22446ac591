/**
 * A small convolutional classifier: 3 × 3 convolutions with norm and ReLU, an average over places, a linear layer.
 *
 *   x [batch, C, H, W] → logits [batch, classes]
 *
 * 1. Only ops that every device family takes with 8-bit integers: Conv, BatchNormalization (folded into the Conv when the
 *    model is imported), Relu, GlobalAveragePool, Flatten, Gemm.
 * 2. Weights begin as in He et al. 2015: normal with variance 2 / fan-in. Names are PyTorch's.
 */
import { float32, type Model, modelOf } from '../../graph/ir.ts';
import { normal, ones, ParameterStore, ParameterTrace, type Scope, zeroInit } from '../../nn/parameters.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import type { Random } from '../../util/random.ts';
import { type ConvLayer, type ConvNetConfig, checkConfig } from './config.ts';

/** The network with random weights, ready to be trained (`fineTuning` takes its graph as it is). */
export function convNet(config: ConvNetConfig, random: Random): Model {
  checkConfig(config);
  const shapes = new ParameterTrace(new Builder('shapes'));
  trace(shapes, config);
  const store = new ParameterStore(shapes.specs).initialize(random);
  const b = new Builder('conv-net');
  trace(new ParameterTrace(b, name => store.tensor(name)), config);
  return modelOf(b.graph);
}

function trace(parameters: ParameterTrace, { input, classes, layers }: ConvNetConfig): void {
  const b = parameters.builder;
  const root = parameters.scope();
  let x = b.input('image', 'float32', ['batch', ...input]);
  layers.forEach((layer, i) => {
    x = root.within(`layers.${i}`, scope => convLayer(scope, x, layer));
  });
  const pooled = b.op('Flatten', [b.op('GlobalAveragePool', [x], {})], {});
  b.output(
    root.within('classifier', scope => classifier(scope, pooled, classes)),
    'logits',
  );
}

/** y = x Wᵀ + b. */
function classifier(scope: Scope, x: Value, classes: number): Value {
  const inside = depthOf(x);
  const weight = scope.parameter('weight', [classes, inside], normal(Math.sqrt(1 / inside)));
  return x.builder.op('Gemm', [x, weight, scope.parameter('bias', [classes], zeroInit)], { transB: 1 });
}

function convLayer(scope: Scope, x: Value, { channels, stride = 1, separable }: ConvLayer): Value {
  if (!separable) return convolution(scope, x, { channels, size: 3, stride });
  const spread = convolution(scope.child('depthwise'), x, {
    channels: depthOf(x),
    size: 3,
    stride,
    depthwise: true,
  });
  return convolution(scope.child('pointwise'), spread, { channels, size: 1, stride: 1 });
}

interface Convolution {
  readonly channels: number;
  readonly size: 1 | 3;
  readonly stride: number;
  readonly depthwise?: boolean;
}

const depthOf = (x: Value): number => x.shape[1] as number; // channels are numbers: the config has them

/** Conv, BatchNormalization, Relu; the plane shrinks by the stride alone. */
function convolution(scope: Scope, x: Value, { channels, size, stride, depthwise }: Convolution): Value {
  const group = depthwise ? channels : 1;
  const fanIn = (depthOf(x) / group) * size * size;
  const weight = scope.parameter(
    'conv.weight',
    [channels, depthOf(x) / group, size, size],
    normal(Math.sqrt(2 / fanIn)),
  );
  const pads = new Array<number>(4).fill((size - 1) / 2);
  const y = x.builder.op('Conv', [x, weight], {
    kernel_shape: [size, size],
    strides: [stride, stride],
    pads,
    group,
  });
  return x.builder.op('Relu', [batchNorm(scope.child('norm'), y, channels)], {});
}

/** Running mean 0 and variance 1 until training has measured them. */
function batchNorm(scope: Scope, x: Value, channels: number): Value {
  const [gain, shift] = [
    scope.parameter('weight', [channels], ones),
    scope.parameter('bias', [channels], zeroInit),
  ];
  const running = (name: string, value: number): Value =>
    scope.trace.frozen(
      `${scope.prefix}.${name}`,
      float32([channels], new Float32Array(channels).fill(value)),
    );
  return x.builder.op(
    'BatchNormalization',
    [x, gain, shift, running('running_mean', 0), running('running_var', 1)],
    {},
  );
}
