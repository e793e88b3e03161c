/**
 * The published version of a commit. A hash names the same commit for ever, so a hash of a
 * published version can be answered without its source.
 */
import { parsePseudoVersion } from "../module/pseudo_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { Query, Version } from "../module/version.ts";
import type { Copies } from "../store/copies.ts";
import type { Copy } from "../store/manifest.ts";

/** What the `go` command takes for the beginning of a commit's hash. */
const HASH = /^[0-9a-f]{7,64}$/;
/** How many manifests are read for the hashes of their commits, the highest versions first. */
const MAX_READ = 1000;

/**
 * Of several versions of the commit, a tagged one before pseudo-versions, and then the highest, as
 * the `go` command would choose.
 *
 * @returns null where no published version is known to be of this commit, where published versions
 *   of two commits fit, and where `query` is not a hash
 * @throws {StorageError | DeadlineError} when the store cannot say
 */
export async function findStoredCommit(
  copies: Pick<Copies, "list" | "listPseudo" | "read">,
  { path, query, signal }: {
    readonly path: ModulePath;
    readonly query: Query;
    readonly signal: AbortSignal;
  },
): Promise<Copy | null> {
  if (!HASH.test(query)) return null;
  const options = { signal };
  const tagged = await copies.list(path, options);
  const pseudo = (await copies.listPseudo(path, options)).filter((version) =>
    startTogether(revisionOf(version), query)
  );
  let found: { readonly copy: Copy; readonly hash: string } | null = null;
  for (const version of [...tagged.toReversed(), ...pseudo.toReversed()].slice(0, MAX_READ)) {
    const copy = await copies.read({ path, version }, options);
    const hash = copy?.manifest.origin?.hash ?? revisionOf(version);
    if (copy === null || !hash.startsWith(query)) continue;
    if (found === null) found = { copy, hash };
    else if (!startTogether(found.hash, hash)) return null;
  }
  return found?.copy ?? null;
}

/** The beginning of a pseudo-version's commit; empty for a tagged version. */
function revisionOf(version: Version): string {
  return parsePseudoVersion(version)?.revision ?? "";
}

/** Whether one may be the beginning of the other. */
function startTogether(a: string, b: string): boolean {
  return a !== "" && (a.startsWith(b) || b.startsWith(a));
}
