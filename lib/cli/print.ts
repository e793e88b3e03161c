/** Text for the person who typed a command. */
export function printLine(line: string): void {
  console.log(line);
}
