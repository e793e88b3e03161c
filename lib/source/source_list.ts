/**
 * A list of sources with the semantics of `GOPROXY` (Go Modules Reference, "GOPROXY protocol"; `go help goproxy`):
 *
 * - entries are tried from left to right;
 * - after `,` the next one is tried only if this one knows that the thing does not exist (404 or 410);
 * - after `|` the next one is tried after any error;
 * - `direct` is the module's own repository, and `off` ends the list. Nothing behind either is ever reached.
 *
 * When all fail, the error is that of `direct`, else the first that is not "does not exist", else "does not exist".
 *
 * One call of {@linkcode SourceList.fetch} takes all three files from one entry: a copy is never mixed.
 */
import { NotFoundError } from "../errors.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type {
  DescribedCopy,
  FetchedCopy,
  FetchedZip,
  FetchOptions,
  KnownVersions,
  ModuleQuery,
  Source,
  VersionInfo,
} from "./source.ts";

/** One entry of a list as text: `url` as written, and whether `|` follows it. */
export type ListEntry =
  | { readonly kind: "proxy"; readonly url: URL; readonly onAnyError: boolean }
  | { readonly kind: "direct" }
  | { readonly kind: "off" };

/**
 * Takes a `GOPROXY` value apart. Empty entries are skipped; everything behind `direct` or `off` is left out.
 *
 * @throws {Error} saying which entry is not an http or https URL, `direct` or `off`; userinfo is never in the message
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

export class SourceList implements Source {
  readonly description: string;
  readonly #sources: readonly ListedSource[];

  /** @param sources none: every module is "not known to exist" ({@linkcode NotFoundError}), as with `GOPROXY=off` */
  constructor(sources: readonly ListedSource[]) {
    this.#sources = sources;
    this.description = sources.map(({ source }) => source.description).join(", ") || "off";
  }

  list(path: ModulePath, signal: AbortSignal): Promise<KnownVersions> {
    return this.#try((source) => source.list(path, signal), signal);
  }

  latest(path: ModulePath, signal: AbortSignal): Promise<VersionInfo> {
    return this.#try((source) => source.latest(path, signal), signal);
  }

  resolve(asked: ModuleQuery, signal: AbortSignal): Promise<VersionInfo> {
    return this.#try((source) => source.resolve(asked, signal), signal);
  }

  describe(module: ModuleVersion, signal: AbortSignal): Promise<DescribedCopy> {
    return this.#try((source) => source.describe(module, signal), signal);
  }

  fetchZip(module: ModuleVersion, options: FetchOptions): Promise<FetchedZip> {
    return this.#try((source) => source.fetchZip(module, options), options.signal);
  }

  fetch(module: ModuleVersion, options: FetchOptions): Promise<FetchedCopy> {
    return this.#try((source) => source.fetch(module, options), options.signal);
  }

  async #try<T>(ask: (source: Source) => Promise<T>, signal: AbortSignal): Promise<T> {
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
