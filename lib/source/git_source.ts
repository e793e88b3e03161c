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
import { ForbiddenError, NotFoundError, ProxyError } from "../errors.ts";
import { RefsMovedError } from "../git/errors.ts";
import type { Mirrors } from "../git/mirrors.ts";
import type { ModulePath } from "../module/path.ts";
import { namesByPlace, type RepositoryName } from "../module/repository_identity.ts";
import type { ModuleLocation } from "./discover.ts";
import { GitModule } from "./git_module.ts";
import { type Layout, layoutOf } from "./layout.ts";
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
  /**
   * Whether what has one of these names is private, and so not for this source. Default: nothing
   * is.
   */
  readonly isPrivate?: (names: readonly RepositoryName[]) => boolean;
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
  readonly #isPrivate: NonNullable<GitSourceOptions["isPrivate"]>;

  constructor(options: GitSourceOptions) {
    super();
    this.description = options.description;
    this.#mirrors = options.mirrors;
    this.#locate = options.locate;
    this.#openProxy = options.openProxy;
    this.#isPrivate = options.isPrivate ?? (() => false);
  }

  protected override async around<T>(
    question: Question,
    ask: (source: Source) => Promise<T>,
  ): Promise<T> {
    const { path } = question;
    const location = await this.#locate(path, question.signal);
    if (location.kind === "proxy") return await ask(this.#openProxy(location.url));
    const layout = layoutOf(path, location);
    const names = namesByPlace(path, { remote: location.remote, subdir: layout.codeDir });
    if (this.#isPrivate(names)) {
      // Not "does not exist": the go command would ask the next proxy.
      throw new ForbiddenError(
        `Cannot serve "${path}": its page names a repository that is private here; ` +
          "use the module path of that repository",
      );
    }
    try {
      return await this.#askRepository({ question, location, layout, names }, ask);
    } catch (error) {
      if (error instanceof ProxyError && names.length > 0) error.names = names;
      throw error;
    }
  }

  async #askRepository<T>(
    { question: { operation, signal }, location, layout, names }: Located,
    ask: (source: Source) => Promise<T>,
  ): Promise<T> {
    await using lease = await this.#mirrors.open(location.remote);
    const { repository } = lease;
    let maxAgeMs = NEEDS_CURRENT_REFS.has(operation) ? 0 : REFS_MAX_AGE_MS;
    for (let attempt = 1;; attempt++) {
      const refs = await repository.refs({ signal, maxAgeMs });
      const module = new GitModule({ layout, repository, refs, signal });
      try {
        return await ask(new RepositorySource(module, { repository, names }));
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

/** A question, and where its module is. */
interface Located {
  readonly question: Question;
  readonly location: ModuleLocation & { readonly kind: "git" };
  readonly layout: Layout;
  readonly names: readonly RepositoryName[];
}
