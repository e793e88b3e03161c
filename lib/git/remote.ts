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

/** Where the repository is. */
interface Place {
  readonly url: RemoteUrl;
  readonly http: SmartHttp;
}

/** What a failure means: the error, and the place where another attempt may succeed. */
interface Verdict {
  readonly error: Error;
  readonly next: Place | null;
}

/** The place itself, where it moved to, and new credentials for either. */
const MAX_ATTEMPTS = 4;
/** How long the new place of a repository that has moved is used without asking the old one. */
const MOVED_TTL_MS = 60_000;

export class Remote {
  readonly url: RemoteUrl;
  readonly #options: RemoteOptions;
  readonly #place: Place;
  /** Where the server redirects to. */
  #moved: { readonly place: Place; readonly untilMs: number } | null = null;

  constructor(url: RemoteUrl, options: RemoteOptions) {
    this.url = url;
    this.#options = options;
    this.#place = { url, http: new SmartHttp(url, options) };
  }

  /**
   * Runs `work`, with access to the network while it runs; once more where its failure was one of
   * credentials and there are others now, and where the repository has moved on its server.
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
    let place = this.#moved !== null && performance.now() < this.#moved.untilMs
      ? this.#moved.place
      : this.#place;
    for (let attempt = 1;; attempt++) {
      const asked = await this.#ask(place, signal);
      using grant = asked.grant;
      const credentials = grant?.credentials ?? null;
      try {
        // An owner without such a repository may have it under another name.
        if (asked.refusal instanceof NotFoundError) throw asked.refusal;
        const result = await work({
          network: { remote: place.url, credential: grant, findRoute: this.#findRoute() },
          http: place.http,
          credentials,
          signal,
        });
        if (credentials !== null) this.#options.grants.accept(place.url, credentials);
        this.#remember(place);
        return result;
      } catch (error) {
        const { refusal } = asked;
        const failure = error instanceof GitError ? error : error === refusal ? refusal : null;
        if (failure === null) throw error;
        const verdict = await this.#explain(failure, { place, credentials, refusal });
        if (verdict.next === null || attempt === MAX_ATTEMPTS) throw verdict.error;
        place = verdict.next;
      }
    }
  }

  /**
   * Where the server redirects to on the same host; null where the repository has not moved.
   *
   * @throws {UpstreamError} when it redirects to another host
   */
  async movedTo(signal?: AbortSignal): Promise<RemoteUrl | null> {
    const asked = await this.#ask(this.#place, signal);
    using grant = asked.grant;
    const { url } = await this.#probe(refsUrl(this.url), grant?.credentials ?? null);
    const target = redirectTarget(this.url, url);
    if (target === "elsewhere") throw movedElsewhere(this.url, url);
    return target;
  }

  #remember(place: Place): void {
    if (place === this.#place) this.#moved = null;
    else if (this.#moved?.place !== place || performance.now() >= this.#moved.untilMs) {
      this.#moved = { place, untilMs: performance.now() + MOVED_TTL_MS };
    }
  }

  /** The refs that the remote lists now. Throws as {@linkcode access}. */
  async refs(signal?: AbortSignal): Promise<Refs> {
    return await this.access(
      async ({ network, http, credentials }) =>
        await http.refs(credentials, signal) ??
          await this.#refsByGit(network, { credentials, signal }),
      signal,
    );
  }

  async #refsByGit(
    network: NetworkAccess,
    { credentials, signal }: Pick<RemoteAccess, "credentials" | "signal">,
  ): Promise<Refs> {
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
    if (budget.isUntouched) await this.#requireEmptyRepository(network.remote, credentials);
    return refs;
  }

  /**
   * git takes any response with status 200 for a repository without refs (its "dumb" protocol),
   * even a login page.
   */
  async #requireEmptyRepository(
    remote: RemoteUrl,
    credentials: Credentials | null,
  ): Promise<void> {
    const { contentType } = await this.#probe(refsUrl(remote), credentials);
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
      const response = await this.#options.fetch(new URL(refsUrl(this.url)), { headers, signal });
      await response.body?.cancel();
      return response.url;
    }, { timeoutMs: this.#options.limits.refsTimeoutMs, what: `reach ${this.url}` });
    if (!url.endsWith(REFS_PATH)) return this.url;
    // By plain http it only came where that is allowed.
    return parseRemoteUrl(url.slice(0, -REFS_PATH.length), { isHttpAllowed: () => true });
  }

  async #ask(
    { url }: Place,
    signal?: AbortSignal,
  ): Promise<{ grant: Grant | null; refusal: UpstreamError | NotFoundError | null }> {
    try {
      return { grant: await this.#options.grants.grant(url, signal), refusal: null };
    } catch (error) {
      if (!(error instanceof UpstreamError || error instanceof NotFoundError)) throw error;
      return { grant: null, refusal: error };
    }
  }

  /**
   * What a failure of git means, or of credentials. git's exit code does not tell whether the
   * server says that there is no repository, and its messages vary; so we repeat git's first
   * request. Some servers hide their repositories from anonymous clients (401 for every name). Then
   * the repository's page decides, as for the `go` command.
   */
  async #explain(
    error: GitError | UpstreamError | NotFoundError,
    { place, credentials, refusal }: {
      readonly place: Place;
      readonly credentials: Credentials | null;
      readonly refusal: UpstreamError | NotFoundError | null;
    },
  ): Promise<Verdict> {
    const { grants, findRoute } = this.#options;
    const failure = error instanceof GitError && findRoute !== undefined
      ? error.withoutWords()
      : error;
    const { status, url } = await this.#probe(refsUrl(place.url), credentials);
    // Without credentials, git has followed the redirect.
    const target = credentials === null && refusal === null ? null : redirectTarget(place.url, url);
    if (target === "elsewhere") {
      return { error: movedElsewhere(this.url, url, { cause: failure }), next: null };
    }
    if (target !== null) {
      return { error: failure, next: { url: target, http: new SmartHttp(target, this.#options) } };
    }
    const isRefused = ABSENT.has(status) || HIDDEN.has(status);
    const fallback = place === this.#place || !isRefused ? null : this.#place;
    if (credentials !== null && isRefused && grants.forget(place.url, credentials)) {
      return { error: failure, next: place };
    }
    const absent = () =>
      new NotFoundError(`Cannot find repository ${this.url}`, { cause: failure });
    if (refusal !== null && (isRefused || refusal instanceof NotFoundError)) {
      return { error: refusal, next: fallback };
    }
    if (ABSENT.has(status)) return { error: absent(), next: fallback };
    if (!HIDDEN.has(status) || credentials !== null) return { error: failure, next: fallback };
    const page = await this.#probe(place.url, null);
    return { error: ABSENT.has(page.status) ? absent() : failure, next: fallback };
  }

  /** The response to a GET, and the URL that it came from; status 0 when there is none. */
  async #probe(
    url: string,
    credentials: Credentials | null,
  ): Promise<{ status: number; contentType: string | null; url: string }> {
    try {
      const response = await this.#options.fetch(new URL(url), {
        headers: credentials === null ? {} : { Authorization: basicAuthorization(credentials) },
        signal: AbortSignal.timeout(this.#options.limits.refsTimeoutMs),
      });
      await response.body?.cancel();
      const contentType = response.headers.get("Content-Type");
      return { status: response.status, contentType, url: response.url };
    } catch (error) {
      const isNoAnswer = error instanceof UpstreamError ||
        error instanceof DOMException && error.name === "TimeoutError";
      if (!isNoAnswer) throw error;
      return { status: 0, contentType: null, url };
    }
  }
}

function refsUrl(remote: RemoteUrl): string {
  return plainUrl(remote) + REFS_PATH;
}

/**
 * What the URL that answered git's first question says: where the repository is now; `"elsewhere"`
 * for another origin; null where it has not moved, or what answered is no repository.
 */
function redirectTarget(remote: RemoteUrl, answered: string): RemoteUrl | "elsewhere" | null {
  const asked = refsUrl(remote);
  if (answered === "" || answered === asked) return null;
  if (new URL(answered).origin !== new URL(asked).origin) return "elsewhere";
  if (!answered.endsWith(REFS_PATH)) return null;
  // By plain http it only came where that is allowed.
  return parseRemoteUrl(answered.slice(0, -REFS_PATH.length), { isHttpAllowed: () => true });
}

function movedElsewhere(remote: RemoteUrl, answered: string, options?: ErrorOptions) {
  return new UpstreamError(
    `Cannot read ${remote}: its server redirects to ${new URL(answered).origin}, ` +
      'which gets no credentials; if the repository moved there, set "repository" to its new URL',
    options,
  );
}
