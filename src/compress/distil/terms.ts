/**
 * The loss of a student that has a teacher: a weighted sum of terms over labels, logits and features.
 *
 * 1. Teacher and student are graphs with the same names for the same values, as compression leaves them: a feature is named once
 *    and found in both. The default feature is what the last layer with weights reads.
 * 2. What a term needs of the teacher arrives as inputs `teacher` (logits) and `teacher:NAME` (features).
 * 3. Features of other widths go through a learned projection, which is a parameter of the loss and is not deployed.
 */
import { type Graph, opKey, typeOf } from '../../graph/ir.ts';
import {
  attentionTransfer,
  contrastive,
  decoupledDistillation,
  featureHint,
  logitDistillation,
  projection,
  relationalAngle,
  relationalDistance,
} from '../../nn/distillation.ts';
import type { Value } from '../../ops/builder.ts';
import type { GraphLoss, GraphLossContext } from '../../train/graph-learner.ts';
import { classification, flatLogits } from '../../train/graph-losses.ts';
import { GaslawError } from '../../util/errors.ts';

export const TERM_KINDS = [
  'labels',
  'logits',
  'decoupled',
  'hint',
  'attention',
  'distance',
  'angle',
  'contrastive',
] as const;
export type TermKind = (typeof TERM_KINDS)[number];

/** Weights at which the terms are of a size with cross-entropy (those of RepDistiller and mdistiller for CIFAR). */
const USUAL_WEIGHTS: Readonly<Record<TermKind, number>> = {
  labels: 1,
  logits: 1,
  decoupled: 1,
  hint: 100,
  attention: 1000,
  distance: 25,
  angle: 50,
  contrastive: 0.8,
};

export interface Term {
  readonly kind: TermKind;
  readonly weight?: number;
  /** Of logits (default 4) and of contrastive similarities (0.07). */
  readonly temperature?: number;
  /** Name of the value that a feature term looks at. */
  readonly at?: string;
  /** Hints: in units of the power of the teacher's feature, so that one weight serves all depths. */
  readonly relative?: boolean;
}

export interface TeacherValues {
  readonly logits: boolean;
  /** Names of features, each once. */
  readonly features: readonly string[];
}

const ON_LOGITS: ReadonlySet<TermKind> = new Set(['logits', 'decoupled']);
const ON_LABELS: ReadonlySet<TermKind> = new Set(['labels', 'decoupled']);

export const needsLabels = (terms: readonly Term[]): boolean => terms.some(t => ON_LABELS.has(t.kind));

/** What the terms ask of a teacher. Throws when a feature is not in its graph. */
export function teacherValues(terms: readonly Term[], teacher: Graph): TeacherValues {
  const features = terms
    .filter(t => t.kind !== 'labels' && !ON_LOGITS.has(t.kind))
    .map(t => featureOf(t, teacher));
  for (const name of features)
    if (!typeOf(teacher, name))
      throw new GaslawError(`the teacher has no value "${name}" to learn from; name one of its graph`);
  return { logits: terms.some(t => ON_LOGITS.has(t.kind)), features: [...new Set(features)] };
}

const LAYERS: ReadonlySet<string> = new Set(['Conv', 'Gemm', 'MatMul']);

/** What the last layer with weights reads. */
export function lastFeature(graph: Graph): string {
  const last = [...graph.nodes]
    .reverse()
    .find(node => LAYERS.has(opKey(node)) && graph.initializers.has(node.inputs[1] ?? ''));
  if (last) return last.inputs[0] as string;
  throw new GaslawError(`graph "${graph.name}" has no layer with weights; name the value to learn from`);
}

/** The last value with positions: where attention is read. */
export function lastMap(graph: Graph): string {
  const values = graph.nodes.flatMap(node => node.outputs);
  const last = values.reverse().find(name => (typeOf(graph, name)?.shape?.length ?? 0) > 3);
  if (last) return last;
  throw new GaslawError(`graph "${graph.name}" has no feature maps; attention transfer needs some`);
}

const featureOf = ({ kind, at }: Term, graph: Graph): string =>
  at ?? (kind === 'attention' ? lastMap(graph) : lastFeature(graph));

/** The sum of the terms; `teacher` says which features terms without a name look at. */
export function distillation(terms: readonly Term[], teacher: Graph): GraphLoss {
  if (terms.length === 0) throw new GaslawError('distillation needs at least one term');
  return c => {
    const metrics: Record<string, Value> = {};
    const parts = terms.map(term => {
      const value = termOf(c, term, teacher, metrics);
      const metric = `distil/${term.kind}`;
      metrics[metric] = metrics[metric]?.add(value) ?? value;
      return value.mul(term.weight ?? USUAL_WEIGHTS[term.kind]);
    });
    return { loss: parts.reduce((a, b) => a.add(b)), metrics };
  };
}

function termOf(c: GraphLossContext, term: Term, teacher: Graph, metrics: Record<string, Value>): Value {
  if (term.kind === 'labels') {
    const { loss, metrics: own } = classification()(c);
    Object.assign(metrics, own);
    return loss;
  }
  return ON_LOGITS.has(term.kind) ? onLogits(c, term) : onFeatures(c, term, teacher);
}

function onLogits(c: GraphLossContext, { kind, temperature }: Term): Value {
  const student = rowsOf(c.logits()) ?? flatLogits(c);
  const teacher = c.input('teacher', 'float32', student.shape);
  const options = { temperature };
  const rows =
    kind === 'logits'
      ? logitDistillation(student, teacher, options)
      : decoupledDistillation(
          student,
          teacher,
          c.input('labels', 'int32', [student.shape[0] as number]),
          options,
        );
  return rows.mean(undefined, false);
}

/** [N T, V] of the logits [N, T, V] of sequences. */
const rowsOf = (logits: Value): Value | undefined =>
  logits.rank === 3 ? logits.reshape([-1, logits.shape[2] as number]) : undefined;

function onFeatures(c: GraphLossContext, term: Term, graph: Graph): Value {
  const { kind, temperature } = term;
  const name = featureOf(term, graph);
  const student = c.value(name);
  const [, ...own] = typeOf(graph, name)?.shape ?? [];
  // dims that only a batch gives numbers to are the student's
  const dims = own.map((dim, i) => (typeof dim === 'string' ? (student.shape[i + 1] as number) : dim));
  const teacher = c.input(`teacher:${name}`, 'float32', [student.shape[0] as number, ...dims]);
  switch (kind) {
    case 'attention':
      return attentionTransfer(student, teacher).mean(undefined, false);
    case 'distance':
      return relationalDistance(vectors(student), vectors(teacher));
    case 'angle':
      return relationalAngle(vectors(student), vectors(teacher));
    case 'contrastive':
      return contrastive(alike(c, name, vectors(student), vectors(teacher)), vectors(teacher), {
        temperature,
      }).mean(undefined, false);
    default: {
      const hint = featureHint(alike(c, name, student, teacher), teacher).mean(undefined, false);
      return term.relative ? hint.div(teacher.mul(teacher).mean(undefined, false).add(1e-12)) : hint;
    }
  }
}

/** [N, d]: an image's channels averaged over positions, anything else flattened. */
const vectors = (x: Value): Value =>
  x.rank > 3
    ? x.mean(
        Array.from({ length: x.rank - 2 }, (_, i) => i + 2),
        false,
      )
    : x.reshape([0, -1]);

/** The student's feature in the teacher's width. */
function alike(c: GraphLossContext, name: string, student: Value, teacher: Value): Value {
  const axis = teacher.rank > 3 ? 1 : teacher.rank - 1;
  const width = teacher.shape[axis] as number;
  if (student.shape[axis] === width) return student;
  return projection(student, width, (dims, init) => c.parameter(`projection:${name}`, dims, init));
}
