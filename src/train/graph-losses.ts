/** Losses of graphs that are fine-tuned. Distillation adds its own beside them. */
import { int32 } from '../graph/ir.ts';
import type { Value } from '../ops/builder.ts';
import type { GraphLoss, GraphLossContext } from './graph-learner.ts';

export interface ClassificationOptions {
  /** Name of the labels' input: int32 [N], or float32 [N, classes] with `soft`. */
  readonly labels?: string;
  /** Labels are distributions over classes, as mixup makes them. */
  readonly soft?: boolean;
  /** Share of the label that is spread over all classes (Szegedy et al. 2016). */
  readonly smoothing?: number;
  readonly output?: number;
}

/** Mean cross-entropy of logits [N, classes], in nats, with the share of right answers as metric `accuracy`. */
export const classification =
  (options: ClassificationOptions = {}): GraphLoss =>
  c => {
    const logits = flatLogits(c, options.output);
    const [n, classes] = logits.shape as readonly [number, number];
    const { labels = 'labels', smoothing = 0 } = options;
    const given = options.soft ? c.input(labels, 'float32', [n, classes]) : c.input(labels, 'int32', [n]);
    const target = options.soft ? given : oneHot(given, classes);
    const smooth = smoothing === 0 ? target : target.mul(1 - smoothing).add(smoothing / classes);
    const loss = logits.logSoftmax(-1).mul(smooth).sum([1], false).mean(undefined, false).neg();
    return { loss, metrics: { accuracy: accuracy(logits, target) } };
  };

/** Logits [N, classes], whatever axes of length 1 the graph leaves behind the classes. */
export function flatLogits(c: GraphLossContext, output = 0): Value {
  const logits = c.logits(output);
  return logits.rank === 2 ? logits : c.b.op('Flatten', [logits], { axis: 1 });
}

/** ONNX Runtime has no OneHot of int32. */
function oneHot(labels: Value, classes: number): Value {
  const ids = int32([classes], [...Array(classes).keys()]);
  return labels.unsqueeze([1]).equal(labels.builder.constant(ids)).cast('float32');
}

/** Share of rows whose largest logit and largest target stand in the same place. */
function accuracy(logits: Value, target: Value): Value {
  const at = (x: Value) => x.builder.op('ArgMax', [x], { axis: -1, keepdims: 0 });
  return at(logits).equal(at(target)).cast('float32').mean(undefined, false);
}
