/**
 * Lines that are written together: a system call for each would be a tenth of the work of a small
 * request.
 *
 * They are written after {@linkcode MAX_DELAY_MS}, and before they are more than
 * {@linkcode MAX_GATHERED_BYTES}, the most that a pipe takes in one piece (PIPE_BUF of Linux): so
 * lines of several threads do not mix. A line that is longer is written by itself.
 *
 * Limits: a process that is killed by SIGKILL loses what is not written yet. An orderly exit calls
 * `flush`.
 */
export const MAX_DELAY_MS = 10;
export const MAX_GATHERED_BYTES = 4096;

export class GatheredLines {
  readonly #print: (bytes: Uint8Array) => void;
  readonly #encoder = new TextEncoder();
  readonly #buffer = new Uint8Array(MAX_GATHERED_BYTES);
  #sizeBytes = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #hasEnded = false;

  constructor(print: (bytes: Uint8Array) => void) {
    this.#print = print;
  }

  /** @param line with its end */
  write(line: string): void {
    if (!this.#hasEnded && this.#take(line)) return;
    this.flush();
    if (this.#hasEnded || !this.#take(line)) this.#print(this.#encoder.encode(line));
  }

  /** Writes what there is; a line that comes later is written at once. */
  end(): void {
    this.flush();
    this.#hasEnded = true;
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#sizeBytes > 0) this.#print(this.#buffer.subarray(0, this.#sizeBytes));
    this.#sizeBytes = 0;
  }

  /** Whether there is room for the whole line. */
  #take(line: string): boolean {
    const { read, written } = this.#encoder.encodeInto(
      line,
      this.#buffer.subarray(this.#sizeBytes),
    );
    if (read < line.length) return false;
    this.#sizeBytes += written;
    if (this.#timer === null) {
      const timer = setTimeout(() => this.flush(), MAX_DELAY_MS);
      Deno.unrefTimer(timer);
      this.#timer = timer;
    }
    return true;
  }
}
