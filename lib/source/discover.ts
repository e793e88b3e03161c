/**
 * Finds where the code of a module is (https://go.dev/ref/mod#vcs-find). The first of these that
 * knows decides:
 *
 * 1. the configuration, which may name the repository of a path prefix;
 * 2. the path itself (repo_root.ts);
 * 3. the page at `https://<path>?go-get=1` (go_import.ts). If its tag is for a prefix of the path,
 *    the page at the prefix must have the same tag, so that no page can claim another owner's
 *    paths.
 *
 * A page with the tag counts whatever its status. Without the tag, 200, 404 and 410 mean "does not
 * exist"; any other status, and a host that cannot be reached, is an {@linkcode UpstreamError}: it
 * is unknown.
 *
 * For private paths it is unknown in more cases. Servers hide what they have behind login pages and
 * 404, and what a page names may exist and not be readable, such as another version control system.
 * A page without a tag then means "does not exist" only if the page of a shorter private path says
 * where the code is: the repository is known, and the path is no module of it.
 *
 * Pages are fetched by https, by http only from hosts for which the configuration allows it, and
 * cached for a minute.
 */
import { LRUCache } from "lru-cache";
import type { ReadLimits } from "../async/budget.ts";
import { withDeadline } from "../async/deadline.ts";
import { SingleFlight } from "../async/single_flight.ts";
import {
  DeadlineError,
  InvalidRequestError,
  NotFoundError,
  type ProxyError,
  UpstreamError,
} from "../errors.ts";
import { parseRemoteUrl, type RemoteUrl } from "../git/remote_url.ts";
import { display, type Fetch } from "../http/client.ts";
import { hasPathPrefix, type ModulePath } from "../module/path.ts";
import { atPace, Pace } from "../async/pace.ts";
import { type GoImport, matchGoImport, parseGoImports, sameGoImport } from "./go_import.ts";
import { findRepoRoot } from "./repo_root.ts";

export type ModuleLocation =
  /**
   * In a git repository: `root` is the path of its root, `subdir` a directory that a go-import tag
   * adds.
   */
  | {
    readonly kind: "git";
    readonly root: string;
    readonly remote: RemoteUrl;
    readonly subdir: string;
  }
  /** At a module proxy. */
  | { readonly kind: "proxy"; readonly url: URL };

export interface ConfiguredRepository {
  /** This path is the repository's root. */
  readonly pathPrefix: string;
  readonly remote: RemoteUrl;
}

export interface DiscoveryOptions {
  readonly fetch: Fetch;
  readonly repositories?: readonly ConfiguredRepository[];
  /** All paths that are asked for have this private prefix. Default: they are public. */
  readonly privatePrefix?: string | undefined;
  /**
   * Whether pages and repositories of this host (`host` or `host:port`) may be fetched by plain
   * http. Default: none.
   */
  readonly isHttpAllowed?: (host: string) => boolean;
  /** Milliseconds since any moment. */
  readonly now?: () => number;
  /** Default: that of {@linkcode PAGE_LIMITS}. */
  readonly pageTimeoutMs?: number;
}

/** What the `go` command reads besides git. */
const OTHER_VCS: ReadonlySet<string> = new Set(["bzr", "fossil", "hg", "svn"]);
/** For one page, redirects included. The rest is not read: a tag that counts is in its head. */
export const PAGE_LIMITS = {
  name: "go-get page",
  maxBytes: 512 * 1024,
  timeoutMs: 20_000,
} satisfies ReadLimits;
const MAX_PAGES_AT_ONCE = 256;
const CACHE_TTL_MS = 60_000;
const CACHE_MAX_CHARS = 4 * 1024 * 1024;

export class Discovery {
  readonly #fetch: Fetch;
  readonly #pageTimeoutMs: number;
  readonly #repositories: readonly ConfiguredRepository[];
  readonly #privatePrefix: string | null;
  readonly #isHttpAllowed: (host: string) => boolean;
  /** The tags of pages that have any, by the page's path. */
  readonly #pages: LRUCache<string, readonly GoImport[]>;
  readonly #fetches = new SingleFlight<readonly GoImport[]>(MAX_PAGES_AT_ONCE);

  constructor(options: DiscoveryOptions) {
    this.#fetch = options.fetch;
    this.#pageTimeoutMs = options.pageTimeoutMs ?? PAGE_LIMITS.timeoutMs;
    // The longest prefix first.
    this.#repositories = (options.repositories ?? [])
      .toSorted((a, b) => b.pathPrefix.length - a.pathPrefix.length);
    this.#privatePrefix = options.privatePrefix ?? null;
    this.#isHttpAllowed = options.isHttpAllowed ?? (() => false);
    this.#pages = new LRUCache<string, readonly GoImport[]>({
      ttl: CACHE_TTL_MS,
      ttlResolution: 0,
      maxSize: CACHE_MAX_CHARS,
      sizeCalculation: (imports, path) => path.length + JSON.stringify(imports).length,
      perf: { now: options.now ?? (() => performance.now()) },
    });
  }

  /**
   * @throws {NotFoundError} when the path has no code that this server can read
   * @throws {UpstreamError | DeadlineError} when that could not be found out
   */
  async locate(path: ModulePath, signal: AbortSignal): Promise<ModuleLocation> {
    const configured = this.#repositories.find((r) => hasPathPrefix(path, r.pathPrefix));
    if (configured !== undefined) {
      return { kind: "git", root: configured.pathPrefix, remote: configured.remote, subdir: "" };
    }
    const found = findRepoRoot(path);
    if (found === null) return this.#locationOf(path, await this.#lookUp(path, signal));
    const [host = ""] = found.repository.split("/", 1);
    const scheme = this.#isHttpAllowed(host) ? "http" : "https";
    const url = `${scheme}://${found.repository}`;
    return this.#locationOf(path, { prefix: found.root, vcs: found.vcs, url, subdir: "" });
  }

  /** The go-import tag for the path. */
  async #lookUp(path: ModulePath, signal: AbortSignal): Promise<GoImport> {
    const found = matchGoImport(await this.#ownPage(path, signal), path);
    if (found === null) {
      throw this.#unrecognized(path, "no go-import meta tag of its page matches it");
    }
    if (found.prefix !== path) {
      const imports = await this.#page(found.prefix, signal).catch((error) => {
        if (error instanceof NoTagError) throw this.#unrecognized(path, error.reason);
        throw error;
      });
      const confirmed = matchGoImport(imports, path);
      if (confirmed === null || !sameGoImport(found, confirmed)) {
        const pages = `https://${path} and https://${found.prefix}`;
        throw this.#unrecognized(path, `${pages} disagree about go-import for ${found.prefix}`);
      }
    }
    return found;
  }

  /** The tags of a path's page, of which there is at least one. */
  async #ownPage(path: ModulePath, signal: AbortSignal): Promise<readonly GoImport[]> {
    try {
      return await this.#page(path, signal);
    } catch (error) {
      if (!(error instanceof NoTagError)) throw error;
      if (await this.#isInsideKnown(path, signal)) throw absent(path, error.reason);
      throw this.#unrecognized(path, error.reason);
    }
  }

  /** Whether the page of a shorter private path says where the code of a path is. */
  async #isInsideKnown(path: ModulePath, signal: AbortSignal): Promise<boolean> {
    if (this.#privatePrefix === null) return false;
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const parent = path.slice(0, end);
      if (!hasPathPrefix(parent, this.#privatePrefix)) return false;
      const imports = await this.#page(parent, signal).catch((error) => {
        if (error instanceof NoTagError) return [];
        throw error;
      });
      if (matchGoImport(imports, path) !== null) return true;
    }
    return false;
  }

  #locationOf(path: ModulePath, { prefix, vcs, url, subdir }: GoImport): ModuleLocation {
    if (/^[/-]/.test(subdir)) throw this.#unrecognized(path, `invalid subdirectory "${subdir}"`);
    if (vcs === "mod") return { kind: "proxy", url: this.#proxyUrl(path, url) };
    if (vcs !== "git") {
      // Of what a page says, no more is passed on than the names that it may have.
      const system = OTHER_VCS.has(vcs) ? `"${vcs}"` : "unknown";
      throw this.#unrecognized(
        path,
        `its version control system is ${system}, and only git is supported`,
      );
    }
    return { kind: "git", root: prefix, remote: this.#remote(path, url), subdir };
  }

  #remote(path: ModulePath, url: string): RemoteUrl {
    try {
      return parseRemoteUrl(url, { isHttpAllowed: this.#isHttpAllowed });
    } catch (cause) {
      if (!(cause instanceof InvalidRequestError)) throw cause;
      // Not an https URL: the code may exist, but not for this server.
      throw this.#unrecognized(path, cause.message, { cause });
    }
  }

  #proxyUrl(path: ModulePath, text: string): URL {
    const url = URL.parse(text);
    const isAllowed = url !== null && url.username === "" && url.password === "" &&
      (url.protocol === "https:" || url.protocol === "http:" && this.#isHttpAllowed(url.host));
    if (isAllowed) return url;
    throw this.#unrecognized(path, "its module proxy has no https URL, or one with a password");
  }

  #unrecognized(path: string, reason: string, options?: ErrorOptions): ProxyError {
    if (this.#privatePrefix === null) return absent(path, reason, options);
    return new UpstreamError(
      `Cannot find the repository of "${path}": ${reason}; set "repository" for ` +
        `"${this.#privatePrefix}", or correct the page`,
      options,
    );
  }

  async #page(path: string, signal: AbortSignal): Promise<readonly GoImport[]> {
    const cached = this.#pages.get(path);
    if (cached !== undefined) return cached;
    const imports = await this.#fetches.run(path, () => this.#fetchPage(path), signal);
    this.#pages.set(path, imports);
    return imports;
  }

  async #fetchPage(path: string): Promise<readonly GoImport[]> {
    const url = new URL(`https://${path}?go-get=1`);
    try {
      return await this.#fetchUrl(url);
    } catch (error) {
      const failed = error instanceof UpstreamError || error instanceof DeadlineError;
      if (!failed || !this.#isHttpAllowed(url.host)) throw error;
      url.protocol = "http:";
      return await this.#fetchUrl(url);
    }
  }

  #fetchUrl(url: URL): Promise<readonly GoImport[]> {
    const what = `fetch ${display(url)}?go-get=1`;
    return withDeadline(async (signal) => {
      const response = await this.#fetch(url, { signal });
      const page = await readStart(response, { sizeBytes: PAGE_LIMITS.maxBytes, what });
      const imports = await atPace(parseGoImports(page), new Pace(signal));
      // A substring keeps the whole page in memory; a clone does not.
      if (imports.length > 0) return structuredClone(imports);
      if (response.status === 200) {
        throw new NoTagError(`no go-import meta tag at ${display(url)}`);
      }
      if (response.status === 404 || response.status === 410) {
        throw new NoTagError(`${display(url)} answered ${response.status}`);
      }
      throw new UpstreamError(`Cannot ${what}: status ${response.status}`);
    }, { timeoutMs: this.#pageTimeoutMs, what });
  }
}

/** A page that says nothing about where code is. The reason completes a message about a path. */
class NoTagError extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(`Cannot use a page: ${reason}`);
    this.reason = reason;
  }
}

function absent(path: string, reason: string, options?: ErrorOptions): NotFoundError {
  return new NotFoundError(`unrecognized import path "${path}": ${reason}`, options);
}

/** The beginning of a body, as UTF-8. */
async function readStart(
  response: Response,
  { sizeBytes, what }: { sizeBytes: number; what: string },
): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let readBytes = 0;
  try {
    for await (const chunk of response.body) {
      text += decoder.decode(chunk.subarray(0, sizeBytes - readBytes), { stream: true });
      readBytes += chunk.length;
      if (readBytes >= sizeBytes) break; // Which cancels the body.
    }
  } catch (cause) {
    throw new UpstreamError(`Cannot ${what}: the connection broke`, { cause });
  }
  return text;
}
