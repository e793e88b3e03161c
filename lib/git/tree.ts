/**
 * The output of `git ls-tree -z -l`: entries `<mode> <type> <hash> <size>\t<path>\0`, the size
 * padded with spaces, or `-` for a submodule.
 *
 * ```text
 * 100644 blob 9ea7b93195232f6ba70b3b56dffc69e89d31f292     178\tgo.mod\0
 * 120000 blob d00491fd7e5bb6fa28c517a0bb32b8b506539d4d       7\tlink\0
 * 160000 commit 6c8db01657c92af3d3d27c15e6e2c04055fba851       -\tsub\0
 * ```
 */
import type { Budget } from "../async/budget.ts";
import { LimitExceededError, UpstreamError } from "../errors.ts";
import { isHash } from "./refs.ts";
import type { TreeEntry, TreeEntryKind } from "./repository.ts";

/** No module may have a longer path, and we do not want to buffer one. */
const ENTRY_MAX_BYTES = 64 * 1024;

/**
 * All entries except directories.
 *
 * @throws {LimitExceededError} when the budget is spent, or one is very long
 */
export async function* parseTree(
  chunks: AsyncIterable<Uint8Array>,
  budget: Budget,
): AsyncGenerator<TreeEntry> {
  let rest = new Uint8Array(0);
  for await (const chunk of chunks) {
    budget.spendBytes(chunk.length);
    const bytes = new Uint8Array(rest.length + chunk.length);
    bytes.set(rest);
    bytes.set(chunk, rest.length);
    let start = 0;
    for (let end; (end = bytes.indexOf(0, start)) >= 0; start = end + 1) {
      budget.spendItems(1);
      const entry = parseEntry(bytes.subarray(start, end));
      if (entry !== null) yield entry;
    }
    rest = bytes.slice(start);
    if (rest.length > ENTRY_MAX_BYTES) {
      throw new LimitExceededError(`Cannot list a tree: a path has over ${ENTRY_MAX_BYTES} bytes`);
    }
  }
  if (rest.length > 0) throw unexpected();
}

/**
 * Null for a directory, which `-r` does not list.
 *
 * @throws {UpstreamError} when it is not an entry of ls-tree
 */
function parseEntry(bytes: Uint8Array): TreeEntry | null {
  const tab = bytes.indexOf("\t".charCodeAt(0));
  const [mode = "", , hash = "", size = ""] = decoder.decode(bytes.subarray(0, Math.max(tab, 0)))
    .split(/ +/);
  if (mode === DIRECTORY) return null;
  const kind = KINDS.get(mode);
  const sizeBytes = size === "-" ? 0 : Number(size);
  if (kind === undefined || !isHash(hash) || !Number.isSafeInteger(sizeBytes)) throw unexpected();
  return { kind, hash, sizeBytes, path: decoder.decode(bytes.subarray(tab + 1)) };
}

const DIRECTORY = "040000";

/** By mode. Very old versions of git wrote 100664. */
const KINDS: ReadonlyMap<string, TreeEntryKind> = new Map([
  ["100644", "file"],
  ["100664", "file"],
  ["100755", "executable"],
  ["120000", "symlink"],
  ["160000", "submodule"],
]);

function unexpected(): UpstreamError {
  return new UpstreamError("Cannot list a tree: git printed an unexpected line");
}

/** A byte order mark at the start of a name is part of the name. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
