/** Residual branches: found where they are, gone without a trace, ranked by what they change. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HAS_DATA, NEEDS_DATA, shared } from '../../../test/shared-data.ts';
import { float32, type Graph } from '../../graph/ir.ts';
import { decodeModel } from '../../graph/protobuf.ts';
import { verify } from '../../graph/verify.ts';
import { importModel } from '../../import/index.ts';
import { Builder, type Value } from '../../ops/builder.ts';
import { modelFor } from '../../ops/opset.ts';
import { nativeRuntime } from '../../runtime/native/native.ts';
import { evaluate } from '../../runtime/reference/index.ts';
import { branchInfluence, residualBranches, withoutBranches } from './depth.ts';

/** x + a·x, then + b·that; then a sum that is no branch: the same values on both sides come from elsewhere. */
function ladder(a: number, b: number): Graph {
  const builder = new Builder('ladder');
  const x = builder.input('x', 'float32', ['N', 4]);
  const other = builder.input('other', 'float32', ['N', 4]);
  const scaled = (v: Value, by: readonly number[]) => v.mul(builder.constant(float32([4], by)));
  const first = x.add(scaled(x, [a, a, a, a]));
  const second = first.add(scaled(first, [b, -b, b, -b]));
  builder.output(second.add(other).mul(1), 'y');
  return builder.graph;
}

const feeds = {
  x: float32([2, 4], [1, 2, 3, 4, 5, 6, 7, 8]),
  other: float32([2, 4], [1, 1, 1, 1, 0, 0, 0, 0]),
};

describe('residual branches', () => {
  it('are sums of a value and what is made of it alone', () => {
    const found = residualBranches(ladder(0.5, 2));
    expect(found.map(b => b.shortcut)).toEqual(['x', found[0]?.sum]);
  });

  it('leave their shortcut when they go, together or alone', () => {
    const graph = ladder(0.5, 2);
    const branches = residualBranches(graph);
    const bare = withoutBranches(graph, branches);
    verify(bare);
    expect(Array.from(evaluate(bare, feeds).y?.data as Float32Array)).toEqual([2, 3, 4, 5, 5, 6, 7, 8]);
    const one = withoutBranches(graph, branches.slice(1));
    expect(evaluate(one, feeds).y?.data[4]).toBe(7.5);
  });

  it('matter by the angle that they turn: 1 − cos', async () => {
    const graph = ladder(0.5, 2);
    const runtime = await nativeRuntime();
    const influence = await branchInfluence(runtime, modelFor(graph), residualBranches(graph), [feeds]);
    expect(influence[0]).toBeCloseTo(0, 6); // a multiple of x turns nothing
    const turned = [1, 2, 3, 4].map((v, i) => v * (i % 2 === 0 ? 3 : -1));
    const cos =
      [1, 2, 3, 4].reduce((s, v, i) => s + v * (turned[i] as number), 0) /
      Math.sqrt(30 * turned.reduce((s, v) => s + v * v, 0));
    const row = [5, 6, 7, 8];
    const other = row.map((v, i) => v * (i % 2 === 0 ? 3 : -1));
    const square = (vs: readonly number[]) => vs.reduce((s, v) => s + v * v, 0);
    const second =
      row.reduce((s, v, i) => s + v * (other[i] as number), 0) / Math.sqrt(square(row) * square(other));
    expect(influence[1]).toBeCloseTo(1 - (cos + second) / 2, 5);
  });

  it.runIf(HAS_DATA)(`of ResNet-20 are its seven blocks without a stride ${NEEDS_DATA}`, () => {
    const { model } = importModel(decodeModel(readFileSync(shared('cifar_resnet20.onnx'))));
    const branches = residualBranches(model.graph);
    expect(branches).toHaveLength(7);
    const shorter = withoutBranches(model.graph, branches.slice(0, 2));
    verify(shorter);
    const convolutions = (g: Graph) => g.nodes.filter(n => n.opType === 'Conv').length;
    expect(convolutions(model.graph) - convolutions(shorter)).toBe(4);
  });
});
