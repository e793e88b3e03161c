/**
 * What was detected about the licences of a copy, as it is kept beside the copy:
 *
 * ```text
 * d1/1/licences/example.com/hello/@v/v1.0.0/<h1 hex of the zip>
 *
 * {"format":1,"path":"example.com/hello","version":"v1.0.0","zip":"h1:47DEQp…=","files":[
 * {"path":"LICENSE","licences":["MIT"],"coverage":100,
 * "matches":[{"id":"MIT","kind":"text","confidence":100,"isFaithful":true}]}]}
 * ```
 *
 * It follows from the zip alone, so that every replica writes the same. Another way of detecting,
 * or another list of licences, is another {@linkcode LICENCE_FORMAT} and so another key; a record
 * of an older format stays where it is and is not read.
 */
import { z } from "zod";
import { type H1, isH1 } from "../module/h1.ts";
import { parseJson } from "../module/json.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import { NONE } from "../spdx/expression.ts";
import { directoryOf } from "./licence_files.ts";

/**
 * Counts the ways of detecting. To be raised with every change of lib/spdx/ or of this folder that
 * changes a result; tests/licence_format_test.ts notices.
 */
export const LICENCE_FORMAT = 1;

/** Much more than the records of {@linkcode MAX_LICENCE_FILES} files take. */
export const MAX_RECORD_BYTES = 4 * 1024 * 1024;

const FILE = z.object({
  /** In the module. */
  path: z.string(),
  /** SPDX expressions, or `UNKNOWN`; at least one. All of them count. */
  licences: z.array(z.string()).min(1).readonly(),
  /** How many percent of the words are of licences; null where identifiers alone are counted. */
  coverage: z.number().nullable(),
  matches: z.array(z.object({
    id: z.string(),
    /** The text of the licence, or a notice that names it. */
    kind: z.enum(["text", "notice"]),
    /** How many percent of the words are the same. */
    confidence: z.number(),
    /** Whether it says what the licence says, as far as rules can tell. */
    isFaithful: z.boolean(),
  })).readonly(),
  /** Why the file was not read, or not to its end. */
  fault: z.string().exactOptional(),
});

/** A file that says something about the licence. */
export type LicenceFile = Readonly<z.infer<typeof FILE>>;

const RECORD = z.object({
  format: z.literal(LICENCE_FORMAT),
  path: z.string(),
  version: z.string(),
  zip: z.string().refine(isH1, "not h1: and base64").transform((text) => text as H1),
  files: z.array(FILE).readonly(),
});

/** What was detected in a copy. */
export interface ModuleLicences {
  readonly files: readonly LicenceFile[];
}

/** Which copy it is about. */
export interface RecordOf {
  readonly module: ModuleVersion;
  readonly h1: H1;
}

export function encodeRecord(
  { files }: ModuleLicences,
  { module: { path, version }, h1 }: RecordOf,
): Uint8Array<ArrayBuffer> {
  const record = { format: LICENCE_FORMAT, path, version, zip: h1, files };
  return new TextEncoder().encode(`${JSON.stringify(record)}\n`);
}

/** Null for what is damaged or about another copy: it is detected again. */
export function decodeRecord(bytes: Uint8Array, { module, h1 }: RecordOf): ModuleLicences | null {
  const { success, data } = RECORD.safeParse(parseJson(bytes));
  if (!success) return null;
  const { path, version, zip, files } = data;
  return path === module.path && version === module.version && zip === h1 ? { files } : null;
}

/** The licences of a package, or of the module as a whole. */
export interface FoundLicences {
  /** SPDX expressions, `UNKNOWN` or `NONE`; at least one. All of them count. */
  readonly found: readonly string[];
  /** Which files say so, in words. */
  readonly basis: string;
}

/** How many files the basis names. */
const MAX_NAMED_FILES = 3;

/**
 * The licences of the package in `directory` of the module: what the files there and in the
 * directories above say. The root, for the module as a whole, is `""`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const file = (path: string, id: string) => ({ path, licences: [id], coverage: 98, matches: [] });
 * const module = { files: [file("LICENSE", "MIT"), file("fonts/LICENSE", "OFL-1.1")] };
 * assert.deepEqual(licencesOf(module), { found: ["MIT"], basis: "LICENSE, 98 %" });
 * assert.deepEqual(licencesOf(module, "fonts/sans").found, ["MIT", "OFL-1.1"]);
 * assert.deepEqual(licencesOf({ files: [] }), { found: ["NONE"], basis: "no licence file" });
 * ```
 */
export function licencesOf({ files }: ModuleLicences, directory = ""): FoundLicences {
  const applying = files.filter(({ path }) => {
    const above = directoryOf(path);
    return above === "" || directory === above || directory.startsWith(`${above}/`);
  });
  if (applying.length === 0) return { found: [NONE], basis: "no licence file" };
  const found = [...new Set(applying.flatMap(({ licences }) => licences))].sort();
  const named = applying.slice(0, MAX_NAMED_FILES).map(fileText);
  const more = applying.length - named.length;
  return { found, basis: named.join("; ") + (more > 0 ? `; and ${more} more` : "") };
}

function fileText({ path, coverage, matches, fault }: LicenceFile): string {
  if (fault !== undefined) return `${path}, ${fault}`;
  if (coverage === null) return `${path}, by identifier`;
  const changed = matches.find(({ isFaithful }) => !isFaithful);
  return `${path}, ${coverage} %${changed === undefined ? "" : `, like ${changed.id}`}`;
}
