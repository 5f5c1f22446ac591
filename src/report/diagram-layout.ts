/**
 * Where the boxes and arrows of the pipeline's diagram go: pure geometry, in the diagram's own units.
 *
 * 1. Wide: a zigzag. Reinforcement learning goes up from the model it starts from (down from a second base, so that arrows
 *    to the right of it stay free); whatever starts from a model's answers or copies a model goes one column to the right.
 *    Arrows keep to rows without boxes and to gaps: none runs behind a box.
 * 2. Narrow: one column in order of training; arrows that skip stages run through lanes in the margin.
 */
import type { Kind } from './story.ts';

export interface Node {
  readonly name: string;
  readonly kind: Kind;
  readonly from: readonly string[];
}

export interface Box {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Arrow {
  readonly from: string;
  readonly to: string;
  /** Path data. */
  readonly d: string;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
}

interface Cell {
  readonly column: number;
  readonly row: number;
}

/** Column and row of every node. Row 0 is reinforcement learning, row 1 the rest, further rows what finds no room. */
export function cellsOf(nodes: readonly Node[]): Map<string, Cell> {
  const cells = new Map<string, Cell>();
  for (const node of nodes) {
    const parents = node.from.map(name => cells.get(name)).filter(cell => cell !== undefined);
    const furthest = parents.reduce((column, cell) => Math.max(column, cell.column), -1);
    const stays = node.kind === 'rl' && parents.length > 0;
    const column = stays ? furthest : parents.length > 0 ? furthest + 1 : freeColumn(cells, node.kind);
    const down =
      stays && column > 0 && nodes.some(other => other.name === node.from[0] && other.kind === 'pretrain');
    const alone = node.kind === 'export' && nodes.filter(other => other.kind === 'export').length === 1;
    const rows = down ? [2, 3] : alone ? [1, 2, 3] : rowsFor(node.kind);
    cells.set(node.name, { column, row: freeRow(cells, column, rows) });
  }
  return cells;
}

type Cells = ReadonlyMap<string, Cell>;

const rowsFor = (kind: Kind): readonly number[] =>
  kind === 'rl' ? [0, 2, 3] : kind === 'export' ? [0, 1, 2, 3] : [1, 2, 3];

const rowsIn = (cells: Cells, column: number): number[] =>
  [...cells.values()].filter(cell => cell.column === column).map(cell => cell.row);

function freeRow(cells: Cells, column: number, rows: readonly number[]): number {
  const taken = rowsIn(cells, column);
  return rows.find(row => !taken.includes(row)) ?? Math.max(...taken) + 1;
}

/** For a stage that starts from nothing: the last column with room in its row, beside what it stands for comparison. */
function freeColumn(cells: Cells, kind: Kind): number {
  const last = [...cells.values()].reduce((column, cell) => Math.max(column, cell.column), 0);
  const columns = Array.from({ length: last + 1 }, (_, i) => last - i);
  return columns.find(column => !rowsIn(cells, column).includes(rowsFor(kind)[0] as number)) ?? last + 1;
}

export interface WideSize {
  readonly width: number;
  readonly boxHeight: number;
  readonly gapX: number;
  readonly gapY: number;
}

export function wideLayout(nodes: readonly Node[], size: WideSize): Layout {
  const cells = cellsOf(nodes);
  const columns = Math.max(4, ...[...cells.values()].map(cell => cell.column + 1));
  const rows = [...new Set([...cells.values()].map(cell => cell.row))].sort((a, b) => a - b);
  const width = (size.width - size.gapX * (columns - 1)) / columns;
  const boxes = nodes.map(({ name }): Box => {
    const { column, row } = cells.get(name) as Cell;
    const y = rows.indexOf(row) * (size.boxHeight + size.gapY);
    return { name, x: column * (width + size.gapX), y, width, height: size.boxHeight };
  });
  const arrows = edgesOf(nodes).map(([from, to]) =>
    wideArrow(boxOf(boxes, from), boxOf(boxes, to), boxes, size),
  );
  const bottom = rows.length * (size.boxHeight + size.gapY) - size.gapY;
  return { width: size.width, height: Math.max(bottom, ...arrows.map(arrow => arrow.bottom)), boxes, arrows };
}

/** How far an arrow goes below the boxes that it passes. */
const DIP = 30;

const edgesOf = (nodes: readonly Node[]): [string, string][] => {
  const names = new Set(nodes.map(node => node.name));
  return nodes.flatMap(node =>
    node.from.filter(name => names.has(name)).map((name): [string, string] => [name, node.name]),
  );
};

const boxOf = (boxes: readonly Box[], name: string): Box => boxes.find(box => box.name === name) as Box;

/** An arrow, with the lowest place that it needs. */
function wideArrow(
  a: Box,
  b: Box,
  boxes: readonly Box[],
  { gapX, gapY }: WideSize,
): Arrow & { bottom: number } {
  const arrow = (d: string, bottom = 0) => ({ from: a.name, to: b.name, d, bottom });
  if (a.x === b.x) return arrow(isBlocked(a, b, boxes) ? beside(a, b, gapX) : vertical(a, b));
  const [fromFree, toFree] = [a, b].map(row => !boxes.some(box => isInRow(box, row, a, b)));
  if (a.y === b.y) {
    if (!fromFree) return arrow(below(a, b), a.y + a.height + DIP + 6);
    return arrow(`M${a.x + a.width} ${a.y + a.height / 2}H${b.x - 2}`);
  }
  return arrow(slanted(a, b, gapX, fromFree ? 'from' : toFree ? 'to' : gapY));
}

/** Whether a box of `row`'s row stands between the columns of two others. */
const isInRow = (box: Box, row: Box, a: Box, b: Box): boolean =>
  box.y === row.y && box.x > a.x && box.x < b.x;

/** Whether a box stands between two others of one column. */
const isBlocked = (a: Box, b: Box, boxes: readonly Box[]): boolean =>
  boxes.some(box => box.x === a.x && box.y > Math.min(a.y, b.y) && box.y < Math.max(a.y, b.y));

/**
 * From the right of `a` to the left of `b` in another row, through gaps alone.
 * @param along the row in which columns are passed, or where both have boxes the height of the gap between rows
 */
function slanted(a: Box, b: Box, gapX: number, along: 'from' | 'to' | number): string {
  const [x1, x2] = [a.x + a.width, b.x - 2];
  const [y1, y2] = [a.y + a.height / 2, b.y + b.height * (a.y < b.y ? 0.28 : 0.72)];
  const curve = (from: number, ya: number, to: number, yb: number) => {
    const middle = (from + to) / 2;
    return `C${middle + 14} ${ya} ${middle - 14} ${yb} ${to} ${yb}`;
  };
  if (along === 'from') return `M${x1} ${y1}H${b.x - gapX}${curve(b.x - gapX, y1, x2, y2)}`;
  if (along === 'to') return `M${x1} ${y1}${curve(x1, y1, x1 + gapX, y2)}H${x2}`;
  const gap = a.y < b.y ? b.y - along / 2 : b.y + b.height + along / 2;
  return `M${x1} ${y1}${curve(x1, y1, x1 + gapX, gap)}H${b.x - gapX}${curve(b.x - gapX, gap, x2, y2)}`;
}

/** From the right of `a` past what stands between to the right of `b`, in one column. */
function beside(a: Box, b: Box, gapX: number): string {
  const x = a.x + a.width;
  return `M${x} ${a.y + a.height / 2}h${gapX / 3}V${b.y + b.height / 2}H${x + 2}`;
}

function vertical(a: Box, b: Box): string {
  const x = a.x + a.width / 2;
  return a.y > b.y ? `M${x} ${a.y}V${b.y + b.height + 2}` : `M${x} ${a.y + a.height}V${b.y - 2}`;
}

/** From the bottom of `a` under what lies between to the bottom of `b`. */
function below(a: Box, b: Box): string {
  const y = a.y + a.height;
  const [x1, x2] = [a.x + a.width / 2, b.x + b.width / 2];
  const r = 12;
  return `M${x1} ${y}V${y + DIP - r}q0 ${r} ${r} ${r}H${x2 - r}q${r} 0 ${r} -${r}V${y + 2}`;
}

export interface NarrowSize {
  readonly width: number;
  readonly boxHeight: number;
  readonly gap: number;
  /** Width of a lane in the margin. */
  readonly lane: number;
}

export function narrowLayout(nodes: readonly Node[], size: NarrowSize): Layout {
  const edges = edgesOf(nodes);
  const index = new Map(nodes.map((node, i) => [node.name, i]));
  const place = (name: string) => index.get(name) as number;
  const long = edges.filter(([a, b]) => place(b) - place(a) > 1);
  const lanes = lanesOf(long.map(([a, b]) => [place(a), place(b)]));
  const margin = lanes.length === 0 ? 0 : (Math.max(...lanes) + 1) * size.lane + 6;
  const boxes = nodes.map(({ name }, i): Box => {
    const y = i * (size.boxHeight + size.gap);
    return { name, x: margin, y, width: size.width - margin, height: size.boxHeight };
  });
  const arrows = edges.map(([from, to]): Arrow => {
    const [a, b] = [boxOf(boxes, from), boxOf(boxes, to)];
    const lane = lanes[long.findIndex(([f, t]) => f === from && t === to)];
    return {
      from,
      to,
      d: lane === undefined ? vertical(a, b) : aside(a, b, margin - (lane + 1) * size.lane),
    };
  });
  const height = nodes.length * (size.boxHeight + size.gap) - size.gap;
  return { width: size.width, height, boxes, arrows };
}

/** From the left of `a` through the lane at `x` to the left of `b`. */
function aside(a: Box, b: Box, x: number): string {
  const [y1, y2] = [a.y + a.height * 0.7, b.y + b.height * 0.3];
  const r = 9;
  return `M${a.x} ${y1}H${x + r}q-${r} 0 -${r} ${r}V${y2 - r}q0 ${r} ${r} ${r}H${b.x - 2}`;
}

/** The first lane in which a span crosses no earlier one; spans from the same start share a lane. */
export function lanesOf(spans: readonly (readonly [number, number])[]): number[] {
  const lanes: number[] = [];
  spans.forEach(([a, b], i) => {
    const meets = (j: number) => {
      const [c, d] = spans[j] as readonly [number, number];
      return c !== a && c < b && a < d;
    };
    let lane = 0;
    while (lanes.some((other, j) => j < i && other === lane && meets(j))) lane++;
    lanes.push(lane);
  });
  return lanes;
}
