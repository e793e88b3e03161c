/** Prints a line of a command's output. */
export function printLine(line: string): void {
  console.log(line);
}

/** `0 zips`, `1 zip`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
