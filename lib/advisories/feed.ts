/**
 * A source of entries. Each kind is a file that implements {@linkcode Feed}: vulndb_feed.ts,
 * osv_feed.ts, malware_feed.ts; open.ts makes them of the configuration. A feed reads and checks;
 * mirror.ts decides whether what was read replaces what was known.
 */
import type { EntrySet } from "./entry_set.ts";
import type { FeedState } from "./feed_log.ts";
import type { ReadLimits } from "../async/budget.ts";

export interface Feed {
  /** How messages name it: `https://vuln.example.com`. */
  readonly description: string;
  /**
   * What the source has now.
   *
   * @param known what it had before, so that only what has changed is read
   * @throws {ProxyError} when it cannot be read, or is not what it should be
   */
  read(known: FeedState, context: FeedContext): Promise<FeedReading>;
}

export interface FeedContext {
  readonly signal: AbortSignal;
  /** The time in milliseconds since 1970. */
  readonly nowMs: number;
}

/** Everything, or that nothing has changed. */
export type FeedReading = "unchanged" | {
  readonly entries: EntrySet;
  /** The source's own time of its last change, if it has one. */
  readonly modified: string | null;
  /** An ETag, if there is one. */
  readonly validator: string | null;
};

export type FileLimits = ReadLimits & { readonly timeoutMs: number };

/** Of one file of a source: an index, an entry, a list. */
export const FILE_LIMITS: FileLimits = {
  name: "advisories",
  maxBytes: 16 * 1024 * 1024,
  timeoutMs: 60_000,
};

/** Of a zip of entries. */
export const ZIP_LIMITS: FileLimits = {
  name: "zip of advisories",
  maxBytes: 256 * 1024 * 1024,
  timeoutMs: 10 * 60_000,
  minBytesPerSecond: 1024,
};
