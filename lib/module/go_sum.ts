/**
 * go.sum files: https://go.dev/ref/mod#go-sum-files
 *
 * ```text
 * example.com/m v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
 * example.com/m v1.0.0/go.mod h1:fpu2YBs8Cn+uPELS7pdczZmF9hlK1PibTkwahffYMfo=
 * ```
 *
 * The first line is about the module zip, the second about its go.mod; versions that were only
 * looked at for the module graph have no first line. Hashes of other kinds than `h1:` are passed
 * over, as the `go` command does.
 */
import { InvalidRequestError } from "../errors.ts";
import { type H1, isH1 } from "./h1.ts";
import { type ModuleVersion, moduleVersion, nameOf } from "./module_version.ts";
import { quoted } from "./quoted.ts";

/** Ten times the largest that are known. */
export const MAX_GO_SUM_SIZE_BYTES = 32 * 1024 * 1024;

/** What go.sum knows of a version. */
export interface GoSumEntry extends ModuleVersion {
  /** The zip's hash; null where go.mod alone was needed. */
  readonly zipH1: H1 | null;
  readonly goModH1: H1 | null;
}

const GO_MOD = "/go.mod";

/**
 * The versions in the texts of go.sum files, in the order in which they come first.
 *
 * @throws {InvalidRequestError} when a line is malformed, or two lines contradict each other
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const h1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
 * const [entry] = parseGoSums([`example.com/m v1.0.0/go.mod ${h1}\n`]);
 * assert.deepEqual(entry, { path: "example.com/m", version: "v1.0.0", zipH1: null, goModH1: h1 });
 * ```
 */
export function parseGoSums(texts: readonly string[]): GoSumEntry[] {
  const entries = new Map<string, GoSumEntry>();
  for (const text of texts) {
    for (const line of text.split("\n")) {
      const fields = line.split(/[ \t\r]+/).filter((field) => field !== "");
      if (fields.length > 0) addLine(entries, fields);
    }
  }
  return [...entries.values()];
}

function addLine(entries: Map<string, GoSumEntry>, fields: readonly string[]): void {
  const [pathText = "", versionText = "", hash = ""] = fields;
  const refuse = (fault: string, cause?: unknown) =>
    new InvalidRequestError(`Cannot use line ${quoted(fields.join(" "))} of go.sum: ${fault}`, {
      cause,
    });
  if (fields.length !== 3) throw refuse("it has not three fields");
  if (!hash.startsWith("h1:")) return;
  if (!isH1(hash)) throw refuse("it has no hash");
  const isGoMod = versionText.endsWith(GO_MOD);
  const module = parseNames(
    { pathText, versionText: isGoMod ? versionText.slice(0, -GO_MOD.length) : versionText },
    refuse,
  );
  const name = nameOf(module);
  const known = entries.get(name) ?? { ...module, zipH1: null, goModH1: null };
  const other = isGoMod ? known.goModH1 : known.zipH1;
  if (other !== null && other !== hash) throw refuse(`another line has ${other}`);
  entries.set(name, isGoMod ? { ...known, goModH1: hash } : { ...known, zipH1: hash });
}

function parseNames(
  { pathText, versionText }: { pathText: string; versionText: string },
  refuse: (fault: string, cause: unknown) => InvalidRequestError,
): ModuleVersion {
  try {
    return moduleVersion(pathText, versionText);
  } catch (cause) {
    if (!(cause instanceof InvalidRequestError)) throw cause;
    throw refuse("it names no module version", cause);
  }
}
