/**
 * Shapes of RNN, GRU and LSTM. X [T,N,input], W [dirs,gates·H,input], R [dirs,gates·H,H];
 * Y [T,dirs,N,H], Y_h and Y_c [dirs,N,H]. With layout 1 the batch axis comes first everywhere.
 */
import type { Dim } from '../../graph/ir.ts';
import type { RuleContext, ShapeRule } from '../rule.ts';
import { requireKind, requireRank, type, unify } from './common.ts';
import { divDims, mulDims, showShape } from './dims.ts';

export const DIRECTIONS = ['forward', 'reverse', 'bidirectional'] as const;
export type Direction = (typeof DIRECTIONS)[number];

export function directionOf(c: Pick<RuleContext, 'attributes' | 'fail'>): Direction {
  const text = c.attributes.string('direction', 'forward');
  return (
    DIRECTIONS.find(d => d === text) ?? c.fail(`direction "${text}" is none of ${DIRECTIONS.join(', ')}`)
  );
}

const recurrent =
  (gates: number, states: number): ShapeRule =>
  c => {
    const dtype = requireKind(c, 0, 'float');
    const [x, w, r] = [requireRank(c, 0, 3), requireRank(c, 1, 3), requireRank(c, 2, 3)];
    if (!x || !w || !r) return Array.from({ length: 1 + states }, () => ({ dtype }));
    const directions = directionOf(c) === 'bidirectional' ? 2 : 1;
    const hidden = hiddenSize(c, gates, w[1] as Dim);
    const complaint = () => `weights ${showShape(w)} and ${showShape(r)} do not fit ${showShape(x)}`;
    unify(c, w[2] as Dim, x[2] as Dim, complaint);
    unify(c, r[1] as Dim, mulDims(hidden, gates), complaint);
    unify(c, w[0] as Dim, directions, complaint);
    const batchFirst = c.attributes.int('layout', 0) !== 0;
    const [time, batch] = batchFirst ? [x[1] as Dim, x[0] as Dim] : [x[0] as Dim, x[1] as Dim];
    const y = batchFirst ? [batch, time, directions, hidden] : [time, directions, batch, hidden];
    const state = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
    return [type(dtype, y), ...Array.from({ length: states }, () => type(dtype, state))];
  };

const hiddenSize = (c: RuleContext, gates: number, rows: Dim): Dim =>
  c.attributes.has('hidden_size') ? c.attributes.int('hidden_size', 0) : divDims(rows, gates);

export const RECURRENT = {
  RNN: recurrent(1, 1),
  GRU: recurrent(3, 1),
  LSTM: recurrent(4, 2),
} satisfies Record<string, ShapeRule>;
