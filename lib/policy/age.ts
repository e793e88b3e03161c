/**
 * The age of versions by evidence: how long a version is proven to have existed. A commit's time
 * proves nothing, because whoever makes the commit chooses it.
 */
import { ProxyError } from "../errors.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ClockLog, Tree } from "./clock_log.ts";
import { type Age, UnknownFactError } from "./facts.ts";

/** Where the record of a version is in a checksum database. */
export interface Position {
  readonly database: string;
  readonly id: number;
  /** A tree that the database is known to have, and that has the record. */
  readonly tree: Tree;
}

export interface AgesOptions {
  /** "unrecorded": the database has no record of it; null: no database knows it. */
  readonly positionOf: (
    module: ModuleVersion,
    signal: AbortSignal,
  ) => Promise<Position | "unrecorded" | null>;
  readonly clockOf: (database: string) => ClockLog;
  /** When the version was first published here, in milliseconds since 1970; null if unknown. */
  readonly firstSeenMs: (module: ModuleVersion, signal: AbortSignal) => Promise<number | null>;
}

export class Ages {
  readonly #options: AgesOptions;

  constructor(options: AgesOptions) {
    this.#options = options;
  }

  /** @throws {UnknownFactError} */
  async of(module: ModuleVersion, signal: AbortSignal): Promise<Age> {
    try {
      return await this.#find(module, signal);
    } catch (cause) {
      if (signal.aborted || !(cause instanceof ProxyError)) throw cause;
      throw new UnknownFactError("age", "the checksum database cannot be asked", { cause });
    }
  }

  async #find(module: ModuleVersion, signal: AbortSignal): Promise<Age> {
    const { positionOf, clockOf, firstSeenMs } = this.#options;
    const position = await positionOf(module, signal);
    const seenMs = await firstSeenMs(module, signal);
    const bySight = seenMs === null
      ? null
      : { provenAtMs: seenMs, basis: `first published here on ${dateText(seenMs)}` };
    if (position === "unrecorded" || position === null) {
      return bySight ?? { provenAtMs: null, basis: "nothing proves that it existed before" };
    }
    const { database, id, tree } = position;
    const clock = clockOf(database);
    let proven = await clock.provenAt(id, signal);
    if (proven === null) {
      // Whoever asks begins the time, even if no tree has been seen since the record was stored.
      clock.see(tree);
      await clock.drain();
      proven = await clock.provenAt(id, signal);
    }
    if (proven === null) {
      return bySight ?? { provenAtMs: clock.expectedAt(id), basis: `new in ${database}` };
    }
    if (bySight !== null && bySight.provenAtMs < proven.atMs) return bySight;
    return {
      provenAtMs: proven.atMs,
      basis: `${database} had it on ${dateText(proven.atMs)}` +
        (proven.isKnown ? ", by the table of this program" : ""),
    };
  }
}

function dateText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
