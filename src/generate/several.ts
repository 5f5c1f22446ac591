/**
 * Several new positions in each of several rows, to check the drafts of a batch in one pass.
 *
 * 1. GroupQueryAttention takes more than one new position over a past for a single row only (ONNX Runtime 1.30 on CPU). So
 *    each attention becomes as many as there are positions, one after the other; all else is computed for all positions at once.
 * 2. Each takes the cache from the one before it, in the same buffers: the caches in between are outputs that are bound to
 *    them as well.
 * Shapes: B rows, S positions, W width of all heads.
 */
import { type Graph, type Node, opKey } from '../graph/ir.ts';
import { replaceUses, sortTopologically } from '../graph/walk.ts';
import { Builder } from '../ops/builder.ts';

/** Places among the inputs; query and key stand before the value. */
const [VALUE, PAST_KEY, PAST_VALUE, LAST_POSITION] = [2, 3, 4, 5];

/** The name of a cache after position `i` of a pass, which is not the last. */
export const betweenName = (present: string, i: number): string => `${present}.${i}`;

/** Makes `graph`, a `decodeGraph`, read exactly `positions` new positions a row, of any number of rows. */
export function severalPositions(graph: Graph, positions: number): void {
  const b = new Builder(graph);
  const attentions = graph.nodes.filter(node => opKey(node) === 'com.microsoft.GroupQueryAttention');
  for (const node of attentions) inTurn(b, node, positions);
  sortTopologically(graph);
}

/** The attention `node` becomes that of the last position; those before it are added. */
function inTurn(b: Builder, node: Node, positions: number): void {
  const { graph } = b;
  const whole = b.value(node.outputs[0] as string);
  const [before, lastPosition] = [[...node.inputs], b.value(node.inputs[LAST_POSITION] as string)];
  const out = Array.from({ length: positions }, () => b.fresh(`${node.name}.position`));
  const presents = node.outputs.slice(1);
  for (let i = 0; i < positions; i++) {
    const last = i === positions - 1;
    const own = last ? presents : presents.map(name => betweenName(name, i));
    const inputs = before.map((name, at) =>
      at > VALUE || name === '' ? name : b.value(name).slice(1, i, i + 1).name,
    );
    if (i > 0) [inputs[PAST_KEY], inputs[PAST_VALUE]] = presents.map(name => betweenName(name, i - 1));
    inputs[LAST_POSITION] = lastPosition.sub(positions - 1 - i).name;
    graph.types.set(out[i] as string, {
      dtype: whole.dtype,
      shape: [whole.shape[0] ?? 'B', 1, ...whole.shape.slice(2)],
    });
    const outputs = [out[i] as string, ...own];
    if (last) Object.assign(node, { inputs, outputs });
    else addBetween(b, node, { inputs, outputs }, presents);
  }
  const joined = b.concat(
    out.map(name => b.value(name)),
    1,
  );
  replaceUses(graph, whole.name, joined.name);
}

function addBetween(
  { graph }: Builder,
  node: Node,
  { inputs, outputs }: Pick<Node, 'inputs' | 'outputs'>,
  presents: readonly string[],
): void {
  graph.nodes.push({ ...node, name: `${node.name}.${outputs[0]}`, inputs, outputs });
  presents.forEach((present, k) => {
    const type = graph.types.get(present);
    if (!type) throw new Error(`the type of "${present}" is not known`);
    const name = outputs[k + 1] as string;
    graph.types.set(name, type);
    graph.outputs.push({ name, ...type });
  });
}
