/**
 * How much of the disk fetches may take. What is under way is measured, not added up: whatever lies
 * in the directory counts, whichever process has left it there. Git mirrors lie elsewhere and have
 * a limit of their own.
 *
 * The measure is at most {@linkcode MAX_AGE_MS} old, and fetches that have begun go on: what is
 * taken may grow beyond the limit by what these write, each at most the size of a module zip.
 */
import { OverloadedError } from "../errors.ts";
import { directorySizeBytes } from "./folders.ts";

/** A burst of fetches measures once. */
const MAX_AGE_MS = 1_000;

export interface ScratchQuotaOptions {
  readonly directory: string;
  readonly maxBytes: number;
  /** Milliseconds since any moment. */
  readonly now: () => number;
}

export class ScratchQuota {
  readonly #options: ScratchQuotaOptions;
  #measured: { readonly atMs: number; readonly sizeBytes: Promise<number> } | null = null;

  constructor(options: ScratchQuotaOptions) {
    this.#options = options;
  }

  /** What is taken now. */
  sizeBytes(): Promise<number> {
    const { directory, now } = this.#options;
    if (this.#measured === null || now() - this.#measured.atMs > MAX_AGE_MS) {
      this.#measured = { atMs: now(), sizeBytes: directorySizeBytes(directory) };
    }
    return this.#measured.sizeBytes;
  }

  /** @throws {OverloadedError} when the room is used up */
  check(): Promise<void> {
    return this.#check(this.#options.maxBytes);
  }

  /** As {@linkcode check}, for what may wait. @throws {OverloadedError} when half is used up */
  checkAmple(): Promise<void> {
    return this.#check(this.#options.maxBytes / 2);
  }

  async #check(maxBytes: number): Promise<void> {
    const sizeBytes = await this.sizeBytes();
    if (sizeBytes < maxBytes) return;
    throw new OverloadedError(
      `Cannot fetch: ${sizeBytes} of ${maxBytes} bytes of scratch space are taken`,
    );
  }
}
