/**
 * Reports of tests to the reader, on standard output: `deno test` shows them under the test's name.
 */

export function report(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

/** Rows of as many cells as the first one, the head; columns are as wide as their widest cell. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (widths, row) => row.map((cell, i) => Math.max(widths[i] ?? 0, cell.length)),
    [],
  );
  const [head = "", ...rest] = rows.map((row) =>
    row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd()
  );
  return [head, "-".repeat(head.length), ...rest].join("\n");
}
