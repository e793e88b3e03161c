/**
 * Runs that serve everyone who asked before they began: of those who ask while one is under way,
 * all wait for the next, and share it. So any number of callers at a time takes two runs. A
 * database calls it group commit.
 *
 * Single flight (single_flight.ts) also lets those join who come later, which is right for what
 * only reads, and wrong for "write to the disk what I have done".
 */

/** A run, and the one after it if somebody waits for that. */
interface Line {
  readonly running: Promise<void>;
  next: Promise<void> | null;
}

export class JointRuns {
  readonly #lines = new Map<string, Line>();

  /**
   * Resolves when a run of `work` under `key` has ended that began after this call.
   *
   * @throws what that run throws
   */
  run(key: string, work: () => Promise<void>): Promise<void> {
    const line = this.#lines.get(key);
    if (line === undefined) return this.#begin(key, work);
    const begin = () => this.#begin(key, work);
    return line.next ??= line.running.then(begin, begin);
  }

  #begin(key: string, work: () => Promise<void>): Promise<void> {
    const running = work().finally(() => {
      if (line.next === null) this.#lines.delete(key);
    });
    const line: Line = { running, next: null };
    this.#lines.set(key, line);
    return running;
  }
}
