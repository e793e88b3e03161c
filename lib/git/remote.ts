/** A remote: its refs, and access for fetching from it. */
import { Budget } from "../async/budget.ts";
import { withDeadline } from "../async/deadline.ts";
import type { Credentials } from "../credentials/provider.ts";
import { NotFoundError, UpstreamError } from "../errors.ts";
import { basicAuthorization } from "../http/basic_authorization.ts";
import type { Fetch } from "../http/client.ts";
import type { Route } from "../http/egress_routes.ts";
import { type Git, type NetworkAccess, ORIGIN } from "./command.ts";
import type { Grant, Grants } from "./credential_server.ts";
import { GitError } from "./errors.ts";
import { type GitLimits, gitReadLimits } from "./limits.ts";
import { readLsRemote, type Refs } from "./refs.ts";
import { parseRemoteUrl, type RemoteUrl } from "./remote_url.ts";
import { plainUrl, REFS_CONTENT_TYPE, REFS_PATH, SmartHttp } from "./smart_http.ts";

export interface RemoteOptions {
  readonly git: Git;
  readonly grants: Grants;
  /** For requests without git, and to find out why git could not list a remote. */
  readonly fetch: Fetch;
  readonly limits: GitLimits;
  /**
   * Where a stranger has named the remote: how git is to reach it. What git says then stays in the
   * log. Default: the configuration has named it, and git finds its way.
   */
  readonly findRoute?: ((url: URL) => Promise<Route>) | undefined;
}

/** Statuses that mean that there is nothing, and that nothing is hidden either. */
const ABSENT: ReadonlySet<number> = new Set([404, 410]);
/** Statuses that ask for authentication. */
const HIDDEN: ReadonlySet<number> = new Set([401, 403]);

/** Access to a remote for the duration of one piece of work. */
export interface RemoteAccess {
  /** For git. */
  readonly network: NetworkAccess;
  /** For requests without git, made with `credentials`. */
  readonly http: SmartHttp;
  /** Null when there are none. */
  readonly credentials: Credentials | null;
  /** Ends the work early. */
  readonly signal: AbortSignal | undefined;
}

export class Remote {
  readonly url: RemoteUrl;
  readonly #options: RemoteOptions;
  readonly #http: SmartHttp;

  constructor(url: RemoteUrl, options: RemoteOptions) {
    this.url = url;
    this.#options = options;
    this.#http = new SmartHttp(url, options);
  }

  /**
   * Runs `work`, with access to the network while it runs.
   *
   * A failure to get credentials counts only if the remote refuses git without them: the repository
   * may be public although its owner's others are not.
   *
   * @throws {NotFoundError} when git fails and the remote says that there is no such repository
   */
  async access<T>(
    work: (access: RemoteAccess) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const asked = await this.#ask(signal);
    using grant = asked.grant;
    const credentials = grant?.credentials ?? null;
    try {
      return await work({
        network: { remote: this.url, credential: grant, findRoute: this.#findRoute() },
        http: this.#http,
        credentials,
        signal,
      });
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      const failure = this.#options.findRoute === undefined ? error : error.withoutWords();
      throw await this.#explain(failure, { credentials, refusal: asked.refusal });
    }
  }

  /** The refs that the remote lists now. Throws as {@linkcode access}. */
  async refs(signal?: AbortSignal): Promise<Refs> {
    return await this.access(
      async ({ network, http, credentials }) =>
        await http.refs(credentials, signal) ?? await this.#refsByGit(network, signal),
      signal,
    );
  }

  async #refsByGit(network: NetworkAccess, signal: AbortSignal | undefined): Promise<Refs> {
    const { git, limits } = this.#options;
    const what = `list the refs of ${this.url}`;
    const output = git.stream(["ls-remote", "--quiet", "--end-of-options", ORIGIN], {
      what,
      network,
      timeoutMs: limits.refsTimeoutMs,
      signal,
    });
    const budget = new Budget(gitReadLimits(limits).lsRemote, { what: `the refs of ${this.url}` });
    const refs = await readLsRemote(output, { maxRefs: limits.maxRefs, budget });
    if (budget.isUntouched) await this.#requireEmptyRepository();
    return refs;
  }

  /**
   * git takes any response with status 200 for a repository without refs (its "dumb" protocol),
   * even a login page.
   */
  async #requireEmptyRepository(): Promise<void> {
    const asked = await this.#ask();
    using grant = asked.grant;
    const { contentType } = await this.#probe(this.#refsUrl, grant?.credentials ?? null);
    if (contentType === REFS_CONTENT_TYPE) return;
    throw new UpstreamError(
      `Cannot list the refs of ${this.url}: not the response of a git server`,
    );
  }

  /**
   * For git, which may follow no redirect to a host that nobody has checked: they are followed
   * first.
   */
  #findRoute(): NetworkAccess["findRoute"] {
    const { findRoute } = this.#options;
    if (findRoute === undefined) return undefined;
    return async () => {
      const remote = await this.#behindRedirects();
      return { remote, route: await findRoute(new URL(remote)) };
    };
  }

  /** As git would: what answers its first question is where the repository is. */
  async #behindRedirects(): Promise<RemoteUrl> {
    const url = await withDeadline(async (signal) => {
      const headers = { "Git-Protocol": "version=2" };
      const response = await this.#options.fetch(new URL(this.#refsUrl), { headers, signal });
      await response.body?.cancel();
      return response.url;
    }, { timeoutMs: this.#options.limits.refsTimeoutMs, what: `reach ${this.url}` });
    if (!url.endsWith(REFS_PATH)) return this.url;
    // By plain http it only came where that is allowed.
    return parseRemoteUrl(url.slice(0, -REFS_PATH.length), { isHttpAllowed: () => true });
  }

  get #refsUrl(): string {
    return plainUrl(this.url) + REFS_PATH;
  }

  async #ask(
    signal?: AbortSignal,
  ): Promise<{ grant: Grant | null; refusal: UpstreamError | null }> {
    try {
      return { grant: await this.#options.grants.grant(this.url, signal), refusal: null };
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      return { grant: null, refusal: error };
    }
  }

  /**
   * What a failure of git means. git's exit code does not tell whether the server says that there
   * is no repository, and its messages vary; so we repeat git's first request. Some servers hide
   * their repositories from anonymous clients (401 for every name). Then the repository's page
   * decides, as for the `go` command.
   */
  async #explain(
    failure: GitError,
    { credentials, refusal }: {
      readonly credentials: Credentials | null;
      readonly refusal: UpstreamError | null;
    },
  ): Promise<Error> {
    const absent = () =>
      new NotFoundError(`Cannot find repository ${this.url}`, { cause: failure });
    const { status } = await this.#probe(this.#refsUrl, credentials);
    if (refusal !== null && (ABSENT.has(status) || HIDDEN.has(status))) return refusal;
    if (ABSENT.has(status)) return absent();
    if (!HIDDEN.has(status)) return failure;
    if (credentials === null) {
      const page = await this.#probe(this.url, null);
      return ABSENT.has(page.status) ? absent() : failure;
    }
    this.#options.grants.forget(this.url);
    return failure;
  }

  /** The response to a GET; status 0 when there is none. */
  async #probe(
    url: string,
    credentials: Credentials | null,
  ): Promise<{ status: number; contentType: string | null }> {
    try {
      const response = await this.#options.fetch(new URL(url), {
        headers: credentials === null ? {} : { Authorization: basicAuthorization(credentials) },
        signal: AbortSignal.timeout(this.#options.limits.refsTimeoutMs),
      });
      await response.body?.cancel();
      return { status: response.status, contentType: response.headers.get("Content-Type") };
    } catch (error) {
      const isNoAnswer = error instanceof UpstreamError ||
        error instanceof DOMException && error.name === "TimeoutError";
      if (!isNoAnswer) throw error;
      return { status: 0, contentType: null };
    }
  }
}
