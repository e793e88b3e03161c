/**
 * The output of `git ls-remote`, and the names that count: HEAD, `refs/heads/*` and `refs/tags/*`.
 *
 * ```text
 * <hash>\tHEAD
 * <hash>\trefs/heads/main
 * <hash>\trefs/tags/v1.0.0          an annotated tag: the hash of the tag object …
 * <hash>\trefs/tags/v1.0.0^{}       … and of what it points to, which is what we keep
 * <hash>\trefs/pull/7/head          ignored, like everything else
 * ```
 *
 * Hashes have 40 (SHA-1) or 64 (SHA-256) lower-case hex digits, all of one length. `HEAD` is absent
 * in an empty repository and where it points to a branch that does not exist.
 */
import { createHash } from "node:crypto";
import { UpstreamError } from "../errors.ts";
import { LimitExceededError } from "./errors.ts";

/** A full object hash: 40 or 64 lower-case hex digits. */
export type Hash = string & { readonly __brand: "Hash" };

/** The commit that each full ref name leads to: `HEAD`, `refs/heads/…`, `refs/tags/…` (peeled). */
export type Refs = ReadonlyMap<string, Hash>;

export function isHash(text: string): text is Hash {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/** The hash algorithm of a repository with these refs, of which there is at least one. */
export function objectFormatOf(refs: Refs): "sha1" | "sha256" {
  const [first = ""] = refs.values();
  return first.length === 64 ? "sha256" : "sha1";
}

/** The same text for the same refs in any order, and another text for other refs. */
export function refsDigest(refs: Refs): string {
  const lines = [...refs].map(([name, hash]) => `${hash} ${name}\n`).sort();
  return createHash("sha256").update(lines.join("")).digest("hex");
}

/**
 * The refs that count, and nothing that git's rules for ref names forbid: in a refspec it would
 * mean something else.
 */
// deno-lint-ignore no-control-regex -- control characters are among the forbidden
const REF_NAME = /^(?:HEAD|refs\/(?:heads|tags)\/[^\x00-\x20\x7f~^:?*[\\]+)$/;
const PEELED = "^{}";

/**
 * @throws {LimitExceededError} when there are more than `maxRefs` refs that count
 * @throws {UpstreamError} when the output is not that of ls-remote
 */
export function parseRefs(output: string, { maxRefs }: { maxRefs: number }): Refs {
  const refs = new Map<string, Hash>();
  let hashChars = 0;
  for (const line of output.split("\n")) {
    if (line === "") continue;
    const tab = line.indexOf("\t");
    const hash = line.slice(0, Math.max(tab, 0));
    hashChars ||= hash.length;
    if (!isHash(hash) || hash.length !== hashChars) {
      throw new UpstreamError("Cannot read the refs: git printed an unexpected line");
    }
    const printed = line.slice(tab + 1);
    const name = printed.endsWith(PEELED) ? printed.slice(0, -PEELED.length) : printed;
    if (!REF_NAME.test(name)) continue;
    refs.set(name, hash);
    if (refs.size > maxRefs) {
      throw new LimitExceededError(`Cannot read the refs: there are more than ${maxRefs}`);
    }
  }
  return refs;
}
