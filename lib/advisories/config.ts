/**
 * The section `advisories`: which databases of vulnerabilities and malware are mirrored.
 *
 * ```yaml
 * advisories:
 *   refreshEvery: 1h
 *   maxStale: 72h
 *   sources:
 *     - { name: go, url: https://vuln.example.com }                 # the Go team's protocol
 *     - { name: own, directory: ./advisories }                      # OSV files
 *     - { name: osv, kind: osv, url: https://osv.example.com/Go/all.zip }
 *     - { name: malware, kind: malware, file: ./malware.txt }       # a module on each line
 * ```
 *
 * Without a source there are no advisories, and nothing is done for them.
 */
import { z } from "zod";
import { parseDurationMs } from "../schema/duration.ts";
import { duplicateFaults, type Fault } from "../schema/fault.ts";
import {
  countKeys,
  faultOf,
  keysAreKnown,
  nonEmpty,
  parseHttpUrl,
  textFor,
} from "../schema/fields.ts";
import { textsAt } from "../schema/query.ts";

const MIN_REFRESH_MS = 60_000;
const PLACES = ["url", "directory", "file"];

/** Of http, https or a file. */
const feedUrl = textFor((text) => {
  if (URL.parse(text)?.protocol !== "file:") parseHttpUrl(text);
});

const source = z.strictObject({
  /** Of its own in the store: entries of another source are kept under another name. */
  name: z.string().regex(
    /^[a-z0-9][a-z0-9-]{0,31}$/,
    "not a name of at most 32 lower-case letters, digits and -",
  ),
  /**
   * `vulndb`: a database in the protocol of the Go team's. `osv`: entries in OSV format. `malware`:
   * a list of modules. Default: vulndb with a url, osv otherwise.
   */
  kind: z.enum(["vulndb", "osv", "malware"]).exactOptional(),
  url: feedUrl.exactOptional(),
  /** Relative to the configuration's directory; so is `file`. */
  directory: nonEmpty.exactOptional(),
  file: nonEmpty.exactOptional(),
  /** What is read is refused if more of the entries are gone. */
  maxLossPercent: z.int().min(0).max(100).default(10),
}).refine((value) => countKeys(value, PLACES) === 1, {
  message: "exactly one of url, directory, file is needed",
  when: keysAreKnown,
}).refine((value) => !("kind" in value && value.kind === "vulndb" && "file" in value), {
  message: "a vulndb is at a url or in a directory",
  when: keysAreKnown,
}).refine((value) => !("kind" in value && value.kind === "malware" && "directory" in value), {
  message: "a list of malware is at a url or in a file",
  when: keysAreKnown,
});

export type AdvisorySourceConfig = z.output<typeof source>;

const duration = textFor(parseDurationMs);

export const advisories = z.strictObject({
  /** From the end of one refresh to the beginning of the next. */
  refreshEvery: duration.check(
    faultOf((text) => millisecondsOf(text) < MIN_REFRESH_MS ? "must be at least 1m" : null),
  ).default("1h"),
  /** After so long without a successful refresh, the advisories count as stale. */
  maxStale: duration.default("72h"),
  sources: z.array(source).max(20).default([]),
});

export type AdvisoriesConfig = z.output<typeof advisories>;

/** What is no duration at all has been said. */
function millisecondsOf(text: string): number {
  try {
    return parseDurationMs(text);
  } catch {
    return Infinity;
  }
}

/** @param config anything */
export function advisoriesFaults(config: unknown): Fault[] {
  return duplicateFaults(textsAt(config, "advisories.sources.*.name"));
}

/** What is legal and likely wrong. */
export function advisoriesWarnings({ refreshEvery, maxStale }: AdvisoriesConfig): Fault[] {
  return parseDurationMs(maxStale) >= 2 * parseDurationMs(refreshEvery) ? [] : [{
    path: ["advisories", "maxStale"],
    message: "less than two refreshes: one that fails makes the advisories stale",
  }];
}
