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
import type { Budget } from "../async/budget.ts";
import { eachStep, Pace, sortSteps, type Steps } from "../async/pace.ts";
import { LimitExceededError, UpstreamError } from "../errors.ts";

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

/** The same text for the same refs in any order, and another text for other refs; in steps. */
export function* refsDigest(refs: Refs): Steps<string> {
  const lines: string[] = [];
  yield* eachStep(refs, ([name, hash]) => void lines.push(`${hash} ${name}\n`));
  const digest = createHash("sha256");
  const inOrder = yield* sortSteps(lines, (a, b) => a < b ? -1 : a > b ? 1 : 0);
  yield* eachStep(inOrder, (line) => void digest.update(line));
  return digest.digest("hex");
}

/**
 * The refs that count, and nothing that git's rules for ref names forbid: in a refspec it would
 * mean something else.
 */
// deno-lint-ignore no-control-regex -- control characters are among the forbidden
const REF_NAME = /^(?:HEAD|refs\/(?:heads|tags)\/[^\x00-\x20\x7f~^:?*[\\]+)$/;
const PEELED = "^{}";

/** Takes in refs one by one, as they are listed. */
export class RefsBuilder {
  readonly refs: Map<string, Hash> = new Map();
  readonly #maxRefs: number;
  #hashChars = 0;

  constructor({ maxRefs }: { readonly maxRefs: number }) {
    this.#maxRefs = maxRefs;
  }

  /**
   * @param printed the name, with `^{}` for what a tag points to
   * @throws {LimitExceededError} when there are more than `maxRefs` refs that count
   * @throws {UpstreamError} when it is not a ref
   */
  add(hash: string, printed: string): void {
    this.#hashChars ||= hash.length;
    if (!isHash(hash) || hash.length !== this.#hashChars) {
      throw unexpectedLine();
    }
    const name = printed.endsWith(PEELED) ? printed.slice(0, -PEELED.length) : printed;
    if (!REF_NAME.test(name)) return;
    this.refs.set(name, hash);
    if (this.refs.size > this.#maxRefs) {
      throw new LimitExceededError(`Cannot read the refs: there are more than ${this.#maxRefs}`);
    }
  }
}

/** How long a line may be that lists a ref. */
export const MAX_REF_LINE_BYTES = 64 * 1024;

/**
 * The refs in the output of `git ls-remote`, as it comes.
 *
 * @throws {LimitExceededError} when there is more of something than there may be
 * @throws {UpstreamError} when the output is not that of ls-remote
 */
export async function readLsRemote(
  chunks: AsyncIterable<Uint8Array>,
  { maxRefs, budget }: { readonly maxRefs: number; readonly budget: Budget },
): Promise<Refs> {
  const builder = new RefsBuilder({ maxRefs });
  const decoder = new TextDecoder();
  const pace = new Pace(undefined);
  let rest = "";
  for await (const chunk of chunks) {
    budget.spendBytes(chunk.length);
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_REF_LINE_BYTES) throw unexpectedLine();
    budget.spendItems(lines.length);
    for (const line of lines) addLine(builder, line);
    await pace.spend(chunk.length * LINE_COST);
  }
  addLine(builder, rest + decoder.decode());
  return builder.refs;
}

/** How much longer it takes to read refs than to inflate as many bytes. */
const LINE_COST = 4;

function addLine(builder: RefsBuilder, line: string): void {
  if (line === "") return;
  const tab = line.indexOf("\t");
  if (tab < 0) throw unexpectedLine();
  builder.add(line.slice(0, tab), line.slice(tab + 1));
}

function unexpectedLine(): UpstreamError {
  return new UpstreamError("Cannot read the refs: git printed an unexpected line");
}
