/**
 * Modules from where they are developed: the git repository that the module path leads to, or the
 * module proxy that its page names. This is `direct` of a `GOPROXY` list, and, with mirrors that
 * have credentials, the source of private paths.
 *
 * The answers are those of `go mod download` with `GOPROXY=direct`.
 *
 * Mirrors remember what they have fetched, so those that have credentials are for private paths
 * only: otherwise a stranger's go-import page could name a private repository as the place of a
 * public path.
 */
import { NotFoundError } from "../errors.ts";
import { RefsMovedError } from "../git/errors.ts";
import type { Mirrors } from "../git/mirrors.ts";
import type { ModulePath } from "../module/path.ts";
import type { ModuleLocation } from "./discover.ts";
import { GitModule } from "./git_module.ts";
import { layoutOf } from "./layout.ts";
import { RepositorySource } from "./repository_source.ts";
import type { Source } from "./source.ts";
import { type Question, SourceDecorator } from "./source_decorator.ts";

export interface GitSourceOptions {
  readonly description: string;
  readonly mirrors: Pick<Mirrors, "open">;
  /** Where a module path's code is ({@linkcode Discovery.locate}). */
  readonly locate: (path: ModulePath, signal: AbortSignal) => Promise<ModuleLocation>;
  /**
   * The proxy at a URL that a page names. Requests that come back to this server are detected by
   * its HTTP layer.
   */
  readonly openProxy: (url: URL) => Source;
}

/**
 * How old the refs may be when a version is fetched: clients ask for the list or resolve a branch
 * first.
 */
const REFS_MAX_AGE_MS = 5_000;
/** Questions that always need the current refs. */
const NEEDS_CURRENT_REFS: ReadonlySet<Question["operation"]> = new Set([
  "list",
  "latest",
  "resolve",
]);
/** How often the refs are read for one question, if somebody moves them again and again. */
const MAX_ATTEMPTS = 5;

export class GitSource extends SourceDecorator {
  override readonly description: string;
  readonly #mirrors: GitSourceOptions["mirrors"];
  readonly #locate: GitSourceOptions["locate"];
  readonly #openProxy: GitSourceOptions["openProxy"];

  constructor(options: GitSourceOptions) {
    super();
    this.description = options.description;
    this.#mirrors = options.mirrors;
    this.#locate = options.locate;
    this.#openProxy = options.openProxy;
  }

  protected override async around<T>(
    { operation, path, signal }: Question,
    ask: (source: Source) => Promise<T>,
  ): Promise<T> {
    const location = await this.#locate(path, signal);
    if (location.kind === "proxy") return await ask(this.#openProxy(location.url));
    const layout = layoutOf(path, location);
    await using lease = await this.#mirrors.open(location.remote);
    const { repository } = lease;
    let maxAgeMs = NEEDS_CURRENT_REFS.has(operation) ? 0 : REFS_MAX_AGE_MS;
    for (let attempt = 1;; attempt++) {
      const refs = await repository.refs({ signal, maxAgeMs });
      const module = new GitModule({ layout, repository, refs, signal });
      try {
        return await ask(new RepositorySource(module, repository));
      } catch (error) {
        // What old refs do not know may be new. Refs that moved while we fetched are read again.
        const isWorthRetrying = error instanceof RefsMovedError && attempt < MAX_ATTEMPTS ||
          error instanceof NotFoundError && maxAgeMs > 0;
        if (!isWorthRetrying) throw error;
        maxAgeMs = 0;
      }
    }
  }
}
