/**
 * An entry of the index: that a version was published, in the format of the public Go index, one
 * JSON object a line, oldest first:
 *
 * ```text
 * {"Path":"example.com/hello","Version":"v1.0.0","Timestamp":"2026-01-02T03:04:05.678Z"}
 * ```
 *
 * Times are in RFC 3339, with milliseconds here; a client may write more digits or another time
 * zone.
 */
import { z } from "zod";
import { InvalidRequestError } from "../errors.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import { parseModulePath } from "../module/path.ts";
import { timePartsOf } from "../module/rfc3339.ts";
import { isVersionOf } from "../module/version.ts";

export interface IndexEntry extends ModuleVersion {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
}

/**
 * Entries that the store holds and that must not be served. No ProxyError: the fault is ours, and
 * no retry helps.
 */
export class InvalidIndexError extends Error {
  override readonly name = "InvalidIndexError";
}

export function formatEntries(entries: readonly IndexEntry[]): string {
  return entries.map(({ path, version, timeMs }) => {
    const entry = { Path: path, Version: version, Timestamp: new Date(timeMs).toISOString() };
    return `${JSON.stringify(entry)}\n`;
  }).join("");
}

/** @throws {InvalidIndexError} for a text that {@linkcode formatEntries} has not made */
export function parseEntries(text: string): IndexEntry[] {
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new InvalidIndexError("Cannot use entries: the last is cut off");
  return lines.map(parseEntry);
}

const LINE = z.object({ Path: z.string(), Version: z.string(), Timestamp: z.iso.datetime() });

function parseEntry(line: string): IndexEntry {
  try {
    const { Path, Version, Timestamp } = LINE.parse(JSON.parse(line));
    const path = parseModulePath(Path);
    if (!isVersionOf(path, Version)) {
      throw new InvalidIndexError(`"${Version}" is no version of it`);
    }
    return { path, version: Version, timeMs: Date.parse(Timestamp) };
  } catch (cause) {
    throw new InvalidIndexError(`Cannot use the entry ${JSON.stringify(line)}`, { cause });
  }
}

/** Nanoseconds. */
const MAX_DECIMALS = 9;

/**
 * The first millisecond that is not before a time in RFC 3339, which may have nine digits behind
 * the point.
 *
 * @throws {InvalidRequestError}
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseSince("1970-01-01T01:00:01.5+01:00"), 1500);
 * assert.equal(parseSince("1970-01-01T00:00:00.000000001Z"), 1);
 * ```
 */
export function parseSince(text: string): number {
  const { local, fraction, zone } = timePartsOf(text) ?? { local: "", fraction: "", zone: "" };
  const timeMs = Date.parse(`${local}${zone}`);
  if (Number.isNaN(timeMs) || fraction.length > MAX_DECIMALS) {
    throw new InvalidRequestError(
      `Cannot read since "${text}": not a time as in 2026-01-02T03:04:05.678Z`,
    );
  }
  return timeMs + Math.ceil(Number(fraction.padEnd(MAX_DECIMALS, "0")) / 1e6);
}
