/**
 * Entries of a vulnerability database in OSV format, schema 1.0 to 1.7
 * (https://ossf.github.io/osv-schema/), as the Go team, GitHub, OSSF's malicious-packages and
 * osv.dev publish them.
 *
 * What is used of an entry is checked strictly; other keys are kept in what is served, and mean
 * nothing here. Packages of other ecosystems than `Go` are left out.
 *
 * Limits: {@linkcode MAX_ENTRY_BYTES} and the numbers in the schema below.
 */
import { z } from "zod";
import { ProxyError } from "../errors.ts";
import { timePartsOf } from "../module/rfc3339.ts";
import { type Affected, eventText, lastFix, parseLoosely } from "./ranges.ts";
import { cvssScore, leastScore } from "./severity.ts";

/** The largest of 4,291 entries of the Go database has 12.9 KB. */
export const MAX_ENTRY_BYTES = 1024 * 1024;

/** An entry, or an index of entries, is not what it should be. */
export class InvalidAdvisoryError extends ProxyError {
  readonly meaning = "bad-upstream";
}

/** What is used of an entry. Plain data, so that it can be sent to other threads. */
export interface Advisory {
  readonly id: string;
  /** Names of the same vulnerability in other databases. */
  readonly aliases: readonly string[];
  readonly summary: string;
  /** RFC 3339, as the entry has it. */
  readonly modified: string;
  /** When it was, or will be, withdrawn, in milliseconds since 1970. */
  readonly withdrawnMs: number | null;
  /**
   * False where its database says that nobody has checked it. Databases that say nothing check all
   * of theirs.
   */
  readonly isReviewed: boolean;
  /** Whether the modules are malicious, and not only vulnerable. */
  readonly isMalicious: boolean;
  /** The base score of CVSS, 0 to 10; null where it is not known. */
  readonly severity: number | null;
  /** A page about it. */
  readonly url: string | null;
  readonly affected: readonly Affected[];
}

/** An id is also the name of a file. */
export const ADVISORY_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** A module path, `stdlib` or `toolchain`. That it is a valid path is of no importance. */
const NAME = /^[\x21-\x7e]{1,512}$/;
const SCHEMA_VERSION = /^1\.[0-9]+\.[0-9]+/;

const time = z.string().refine(
  (text) => timePartsOf(text) !== null && !Number.isNaN(Date.parse(text)),
  "not a time as in 2026-01-02T15:04:05Z",
);
const short = z.string().max(512);

/** Of a version, which may be anything otherwise. */
const bound = short.regex(/^[\x21-\x7e]+$/, "not a version");
const KINDS = ["introduced", "fixed", "last_affected"] as const;

const event = z.looseObject({
  introduced: bound.exactOptional(),
  fixed: bound.exactOptional(),
  last_affected: bound.exactOptional(),
  limit: bound.exactOptional(),
}).refine(
  (event) => [...KINDS, "limit"].filter((kind) => Object.hasOwn(event, kind)).length === 1,
  "an event has exactly one of introduced, fixed, last_affected and limit",
);

const range = z.looseObject({
  type: short,
  events: z.array(event).max(1000).nullish(),
});

const severity = z.array(z.looseObject({ type: short, score: short })).max(20).nullish();

const affected = z.looseObject({
  package: z.looseObject({ ecosystem: short, name: short }).nullish(),
  ranges: z.array(range).max(1000).nullish(),
  versions: z.array(short).max(20_000).nullish(),
  severity,
  ecosystem_specific: z.looseObject({
    custom_ranges: z.array(z.unknown()).max(1000).nullish(),
  }).nullish(),
});

const entry = z.looseObject({
  schema_version: z.string().regex(SCHEMA_VERSION, "not a version 1 of the schema")
    .exactOptional(),
  id: z.string().regex(ADVISORY_ID, "not the id of an advisory"),
  modified: time,
  withdrawn: time.nullish(),
  aliases: z.array(short).max(1000).nullish(),
  summary: z.string().max(64 * 1024).nullish(),
  severity,
  affected: z.array(affected).max(2000).nullish(),
  references: z.array(z.looseObject({ type: short, url: z.string().max(8192) })).max(5000)
    .nullish(),
  database_specific: z.looseObject({
    url: z.string().max(8192).nullish(),
    review_status: short.nullish(),
    github_reviewed: z.boolean().nullish(),
    severity: short.nullish(),
  }).nullish(),
});

type Entry = z.output<typeof entry>;

/** An entry that was parsed. */
export interface ParsedEntry {
  /** With all its keys. */
  readonly value: Readonly<Record<string, unknown>>;
  readonly advisory: Advisory;
}

/**
 * @param text JSON
 * @throws {InvalidAdvisoryError} saying what is wrong with it
 */
export function parseEntry(text: string): ParsedEntry {
  const value = parseJson(text);
  const result = entry.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    const place = issue === undefined || issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
    throw new InvalidAdvisoryError(`Cannot use the entry: ${place}${issue?.message ?? "invalid"}`);
  }
  // Not what the schema has made of it: its keys stay in their order.
  return { value: value as ParsedEntry["value"], advisory: advisoryOf(result.data) };
}

/** @throws {InvalidAdvisoryError} */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidAdvisoryError("Cannot use the entry: it is not JSON", { cause });
  }
}

function advisoryOf(entry: Entry): Advisory {
  const { id, modified, withdrawn, database_specific: specific } = entry;
  const isMalicious = id.startsWith("MAL-");
  return {
    id,
    aliases: entry.aliases ?? [],
    summary: oneLine(entry.summary ?? ""),
    modified,
    withdrawnMs: withdrawn == null ? null : Date.parse(withdrawn),
    isReviewed: specific?.review_status !== "UNREVIEWED" && specific?.github_reviewed !== false,
    isMalicious,
    severity: severityOf(entry),
    url: urlOf(entry),
    affected: (entry.affected ?? []).flatMap((one) => affectedOf(one, id)),
  };
}

/** What terminals show of it; the full text is in what is served. */
const MAX_SUMMARY_LENGTH = 300;

function oneLine(text: string): string {
  return text.replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+/gu, " ").trim()
    .slice(0, MAX_SUMMARY_LENGTH);
}

function affectedOf(one: z.output<typeof affected>, id: string): Affected[] {
  if (one.package == null || one.package.ecosystem !== "Go") return [];
  const { name } = one.package;
  if (!NAME.test(name)) {
    throw new InvalidAdvisoryError(`Cannot use the entry "${id}": a module has an unusable name`);
  }
  // Commits are no versions.
  const ranges = (one.ranges ?? []).filter(({ type }) => type !== "GIT");
  const comparable = ranges.filter(({ type }) => type === "SEMVER");
  const listed = one.versions ?? [];
  const versions = listed.filter((version) => parseLoosely(version) !== null);
  const isIncomparable = comparable.length === 0 && (
    // Then they are not taken for a complete list.
    versions.length < listed.length || (ranges.length > 0 && versions.length === 0)
  );
  const compared = {
    ranges: comparable.map(({ events }) => eventsOf(events ?? [])),
    versions: isIncomparable ? [] : versions,
  };
  return [{
    path: name,
    ...compared,
    isRangeUnknown: isIncomparable || (one.ecosystem_specific?.custom_ranges ?? []).length > 0,
    lastFix: lastFix(compared),
  }];
}

/** `limit`, which is for commits, is left out. */
function eventsOf(events: readonly z.output<typeof event>[]): string {
  return events.flatMap((event) =>
    KINDS.flatMap((kind) => event[kind] === undefined ? [] : [eventText(kind, event[kind])])
  ).join(" ");
}

function severityOf(entry: Entry): number | null {
  const ratings = [entry, ...entry.affected ?? []].flatMap(({ severity }) => severity ?? []);
  const scores = ratings.map(({ score }) => cvssScore(score)).filter((score) => score !== null);
  if (scores.length > 0) return Math.max(...scores);
  const rating = entry.database_specific?.severity;
  return rating == null ? null : leastScore(rating);
}

function urlOf({ database_specific: specific, references }: Entry): string | null {
  const urls = [
    specific?.url,
    ...["ADVISORY", "ARTICLE"].map((kind) => references?.find(({ type }) => type === kind)?.url),
    references?.[0]?.url,
  ];
  return urls.find((url) => url != null && /^https?:\/\/[\x21-\x7e]+$/.test(url)) ?? null;
}
