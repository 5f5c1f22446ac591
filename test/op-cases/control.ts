/** Cases of control flow: bodies of a few nodes. Their values take the dtype that goes in. */
import { float32, type Graph, type Node } from '../../src/graph/ir.ts';
import { type CaseFamily, fed, scalar, x } from './types.ts';

type Step = readonly [opType: string, inputs: readonly string[], output: string];

/** A body with these inputs, nodes and outputs; types are open until they are inferred. */
function body(
  name: string,
  inputs: readonly string[],
  steps: readonly Step[],
  outputs: readonly string[],
): Graph {
  const info = (value: string) => ({ name: `${name}.${value}`, dtype: 'float32' as const });
  const full = (value: string) => `${name}.${value}`;
  const nodes = steps.map(
    ([opType, ins, out]): Node => ({
      name: full(`${opType}-${out}`),
      domain: '',
      opType,
      inputs: ins.map(full),
      outputs: [full(out)],
      attributes: {},
    }),
  );
  return {
    name,
    inputs: inputs.map(info),
    outputs: outputs.map(info),
    initializers: new Map(),
    nodes,
    types: new Map(),
  };
}

/** A branch that gives a constant. */
function branch(name: string, values: readonly number[]): Graph {
  const graph = body(name, [], [], ['y']);
  graph.nodes.push({
    name: `${name}.constant`,
    domain: '',
    opType: 'Constant',
    inputs: [],
    outputs: [`${name}.y`],
    attributes: { value: { type: 'tensor', value: float32([values.length], values) } },
  });
  return graph;
}

const accumulate = (name: string) =>
  body(
    name,
    ['i', 'going', 'sum'],
    [
      ['Identity', ['going'], 'on'],
      ['Add', ['sum', 'sum'], 'twice'],
      ['Identity', ['twice'], 'seen'],
    ],
    ['on', 'twice', 'seen'],
  );

const running = (name: string) =>
  body(
    name,
    ['sum', 'next'],
    [
      ['Add', ['sum', 'next'], 'total'],
      ['Identity', ['total'], 'seen'],
    ],
    ['total', 'seen'],
  );

export const CONTROL = {
  If: [
    {
      name: 'then',
      inputs: [fed('bool', [1], [])],
      attributes: { then_branch: branch('yes', [1, 2]), else_branch: branch('no', [3, 4]) },
    },
    {
      name: 'else, of another length',
      inputs: [fed('bool', [0], [])],
      attributes: { then_branch: branch('yes', [1, 2]), else_branch: branch('no', [3]) },
    },
  ],
  Loop: [
    {
      name: 'three rounds',
      inputs: [scalar(3), undefined, x(2)],
      attributes: { body: accumulate('round') },
      outputs: 2,
    },
  ],
  Scan: [
    {
      name: 'forwards',
      inputs: [x(2), x(3, 2)],
      attributes: { body: running('step'), num_scan_inputs: 1 },
      outputs: 2,
    },
    {
      name: 'backwards, along axis 1',
      inputs: [x(2), x(2, 3)],
      attributes: {
        body: running('step'),
        num_scan_inputs: 1,
        scan_input_axes: [1],
        scan_input_directions: [1],
        scan_output_axes: [1],
        scan_output_directions: [1],
      },
      outputs: 2,
    },
  ],
} satisfies CaseFamily;
