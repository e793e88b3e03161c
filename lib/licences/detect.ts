/**
 * The licences of a module, from its zip. Only the entries that may say something are read
 * (licence_files.ts), and of those that have no licence file in the root the Go files there:
 * `// SPDX-License-Identifier: MIT`.
 *
 * All licences that are found in a text count: whether one may choose, or must heed all, a text
 * does not tell. `UNKNOWN` is among them where less than {@linkcode MIN_COVERAGE} percent of the
 * words are of licences, or where a licence has been changed (../spdx/edits.ts). So a text like the
 * MIT licence with a condition more is `MIT` and `UNKNOWN`: neither a list of allowed licences nor
 * one of denied ones overlooks it. A short text that only names a licence by its identifier is that
 * licence.
 */
import type { Steps } from "../async/pace.ts";
import { atPace, type Pace } from "../async/pace.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import { expressionText, parseExpression, UNKNOWN } from "../spdx/expression.ts";
import type { LicenceMatcher, TextMatches } from "../spdx/matcher.ts";
import type { Archive, ArchiveEntry } from "../zip/archive.ts";
import {
  directoryOf,
  isLicenceFile,
  isRootSource,
  MAX_LICENCE_FILE_BYTES,
  MAX_LICENCE_FILES,
  MAX_LICENCE_TOTAL_BYTES,
  MAX_SOURCE_FILE_BYTES,
  MAX_SOURCE_FILES,
} from "./licence_files.ts";
import type { LicenceFile } from "./record.ts";

/** How many percent of a file must be licences. */
export const MIN_COVERAGE = 75;

/** A text of more words is more than an identifier. */
const MAX_IDENTIFIER_WORDS = 60;
/** Where in a Go file an identifier may be. */
const MAX_HEAD_CHARS = 4 * 1024;
const IDENTIFIER = /SPDX-License-Identifier:[ \t]*([^\r\n]{1,500})/g;

export interface DetectOptions {
  readonly module: ModuleVersion;
  readonly matcher: LicenceMatcher;
  readonly pace: Pace;
}

/**
 * The files of a module that say something about its licence, those in the root first.
 *
 * @throws {ZipError} when the zip is damaged
 */
export async function detectLicences(
  archive: Archive,
  { module, matcher, pace }: DetectOptions,
): Promise<LicenceFile[]> {
  const prefix = `${nameOf(module)}/`;
  const named = archive.entries
    .filter(({ name }) => name.startsWith(prefix) && !name.endsWith("/"))
    .map((entry) => ({ entry, path: entry.name.slice(prefix.length) }));
  const files: LicenceFile[] = [];
  let readBytes = 0;
  for (const { entry, path } of inOrder(named.filter(({ path }) => isLicenceFile(path)))) {
    const fault = files.length >= MAX_LICENCE_FILES
      ? "too many files"
      : entry.sizeBytes > MAX_LICENCE_FILE_BYTES
      ? "too large"
      : readBytes + entry.sizeBytes > MAX_LICENCE_TOTAL_BYTES
      ? "too much text"
      : null;
    if (fault !== null) {
      // One such entry says that there are more.
      files.push({ path, licences: [UNKNOWN], coverage: 0, matches: [], fault });
      if (files.length > MAX_LICENCE_FILES) break;
      continue;
    }
    readBytes += entry.sizeBytes;
    const text = decodeText(await readEntry(archive, entry));
    files.push(await atPace(detectInText(text, { path, matcher }), pace));
  }
  if (files.some(({ path }) => directoryOf(path) === "")) return files;
  return [...await identifiersInSources(archive, named), ...files];
}

interface NamedEntry {
  readonly entry: ArchiveEntry;
  readonly path: string;
}

/** The root first, then by path: which files count does not depend on the writer of the zip. */
function inOrder(entries: readonly NamedEntry[]): NamedEntry[] {
  const depth = (path: string) => path.split("/").length;
  return entries.toSorted((a, b) =>
    depth(a.path) - depth(b.path) || (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)
  );
}

async function readEntry(archive: Archive, entry: ArchiveEntry): Promise<Uint8Array> {
  const bytes = new Uint8Array(entry.sizeBytes);
  let filledBytes = 0;
  await archive.read(entry, (chunk) => {
    bytes.set(chunk, filledBytes);
    filledBytes += chunk.length;
  });
  return bytes;
}

/** Licences are written in UTF-8, and some in UTF-16 by editors of Windows. */
function decodeText(bytes: Uint8Array): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe
    ? "utf-16le"
    : bytes[0] === 0xfe && bytes[1] === 0xff
    ? "utf-16be"
    : "utf-8";
  return new TextDecoder(encoding).decode(bytes);
}

/** What a text says about the licence. In steps. */
export function* detectInText(
  text: string,
  { path, matcher }: { readonly path: string; readonly matcher: LicenceMatcher },
): Steps<LicenceFile> {
  const found = yield* matcher.match(text);
  const { coverage, isLimited, words } = found;
  if (found.matches.length === 0 && words <= MAX_IDENTIFIER_WORDS) {
    const licences = identifiersIn(text);
    if (licences.length > 0) return { path, licences, coverage: null, matches: [] };
  }
  return {
    path,
    licences: licencesIn(found),
    coverage: round(coverage),
    matches: found.matches.map(({ id, kind, confidence, isFaithful }) => ({
      id,
      kind,
      confidence: round(confidence),
      isFaithful,
    })),
    ...isLimited && { fault: "too intricate" },
  };
}

function licencesIn({ matches, coverage, isLimited }: TextMatches): string[] {
  const isAll = matches.length > 0 && coverage >= MIN_COVERAGE && !isLimited &&
    matches.every(({ isFaithful }) => isFaithful);
  return unique([...matches.map(({ id }) => id), ...isAll ? [] : [UNKNOWN]]);
}

/** What the Go files of the root say, one entry for each of them that says something. */
async function identifiersInSources(
  archive: Archive,
  entries: readonly NamedEntry[],
): Promise<LicenceFile[]> {
  const sources = entries
    .filter(({ path, entry }) => isRootSource(path) && entry.sizeBytes <= MAX_SOURCE_FILE_BYTES);
  const files: LicenceFile[] = [];
  for (const { entry, path } of inOrder(sources).slice(0, MAX_SOURCE_FILES)) {
    const text = decodeText(await readEntry(archive, entry)).slice(0, MAX_HEAD_CHARS);
    const licences = identifiersIn(text);
    if (licences.length > 0) files.push({ path, licences, coverage: null, matches: [] });
  }
  return files;
}

/** The expressions behind `SPDX-License-Identifier:`; `UNKNOWN` for one that cannot be read. */
function identifiersIn(text: string): string[] {
  const expressions = Array.from(text.matchAll(IDENTIFIER), ([, rest = ""]) => {
    const expression = parseExpression(rest.replace(/\*\/.*$|-->.*$/, "").trim());
    return expression === null ? UNKNOWN : expressionText(expression);
  });
  return unique(expressions);
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}

/** To one decimal place. */
function round(percent: number): number {
  return Math.round(percent * 10) / 10;
}
