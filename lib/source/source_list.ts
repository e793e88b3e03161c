/**
 * A list of sources with the semantics of `GOPROXY` (Go Modules Reference, "GOPROXY protocol";
 * `go help goproxy`):
 *
 * - entries are tried from left to right;
 * - after `,` the next one is tried only if this one knows that the thing does not exist (404 or
 *   410);
 * - after `|` the next one is tried after any error;
 * - `direct` is the module's own repository, and `off` ends the list. Entries after either are
 *   never reached.
 *
 * When all fail, the error is that of `direct`, else the first that is not "does not exist", else
 * "does not exist".
 *
 * One call of `fetch` takes all three files from one entry: files of different entries are never
 * mixed.
 */
import { NotFoundError } from "../errors.ts";
import type { Source } from "./source.ts";
import { type Question, SourceDecorator } from "./source_decorator.ts";

/** One entry of a list as text: `url` as written, and whether `|` follows it. */
export type ListEntry =
  | { readonly kind: "proxy"; readonly url: URL; readonly onAnyError: boolean }
  | { readonly kind: "direct" }
  | { readonly kind: "off" };

/**
 * Parses a `GOPROXY` value. Skips empty entries and everything after `direct` or `off`.
 *
 * @throws {Error} saying which entry is not an http or https URL, `direct` or `off`; userinfo is
 *   never in the message
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const list = parseSourceList("https://proxy.example.com|direct");
 * assert.deepEqual(list.map((entry) => entry.kind), ["proxy", "direct"]);
 * ```
 */
export function parseSourceList(text: string): ListEntry[] {
  const entries: ListEntry[] = [];
  for (const [, word = "", separator = ""] of text.matchAll(/([^,|]+)([,|]?)/g)) {
    const name = word.trim();
    if (name === "") continue;
    if (name === "direct" || name === "off") {
      entries.push({ kind: name });
      break;
    }
    entries.push({ kind: "proxy", url: parseProxyUrl(name), onAnyError: separator === "|" });
  }
  if (entries.length === 0) throw new Error("an upstream list needs at least one entry");
  return entries;
}

function parseProxyUrl(text: string): URL {
  if (!URL.canParse(text)) {
    throw new Error(`"${hideUserinfo(text)}" is not a URL, "direct" or "off"`);
  }
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new Error(`"${hideUserinfo(text)}" is neither an http nor an https URL`);
  }
  if (url.search !== "" || url.hash !== "") {
    throw new Error(`"${url.origin}${url.pathname}" may not have a query or a fragment`);
  }
  return url;
}

function hideUserinfo(text: string): string {
  return text.replace(/^([^/]*\/\/)?[^/]*@/, "$1");
}

/** A source, and whether the next one is tried after any error or only after "does not exist". */
export interface ListedSource {
  readonly source: Source;
  readonly onAnyError: boolean;
}

export class SourceList extends SourceDecorator {
  override readonly description: string;
  readonly #sources: readonly ListedSource[];

  /**
   * @param sources none: every module is "not known to exist" ({@linkcode NotFoundError}), as with
   *   `GOPROXY=off`
   */
  constructor(sources: readonly ListedSource[]) {
    super();
    this.#sources = sources;
    this.description = sources.map(({ source }) => source.description).join(", ") || "off";
  }

  protected override async around<T>(
    { signal }: Question,
    ask: (source: Source) => Promise<T>,
  ): Promise<T> {
    let notFound: unknown = new NotFoundError("Cannot look up modules: the upstream list is off");
    let failure: unknown;
    for (const { source, onAnyError } of this.#sources) {
      try {
        return await ask(source);
      } catch (error) {
        if (signal.aborted) throw error;
        if (error instanceof NotFoundError) {
          notFound = error;
          continue;
        }
        failure ??= error;
        if (!onAnyError) break;
      }
    }
    throw failure ?? notFound;
  }
}
