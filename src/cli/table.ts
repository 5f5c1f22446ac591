/** Aligned columns for people. */

export type Side = 'left' | 'right';

/** Rows as lines; every column as wide as its widest cell, two spaces apart. */
export function table(rows: readonly (readonly string[])[], sides: readonly Side[]): string[] {
  const width = (column: number) => Math.max(...rows.map(row => row[column]?.length ?? 0));
  const widths = sides.map((_, column) => width(column));
  return rows.map(row =>
    row
      .map((cell, column) =>
        sides[column] === 'right' ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** `label   value` lines. */
export const pairs = (rows: readonly (readonly [label: string, value: string])[]): string[] =>
  table(rows, ['left', 'left']);
