/**
 * A remote: what it lists, and the right to fetch from it.
 */
import { NotFoundError, UpstreamError } from "../errors.ts";
import type { Fetch } from "../http/client.ts";
import type { Git, NetworkAccess } from "./command.ts";
import { basicToken, type Credential, type Grant, type Grants } from "./credential_server.ts";
import { GitError } from "./errors.ts";
import type { GitLimits } from "./limits.ts";
import { parseRefs, type Refs } from "./refs.ts";
import type { RemoteUrl } from "./remote_url.ts";

export interface RemoteOptions {
  readonly git: Git;
  readonly grants: Grants;
  /** To find out why git could not list a remote. */
  readonly fetch: Fetch;
  readonly limits: GitLimits;
}

/** The output of `ls-remote`, with the refs that do not count: a busy repository has a ref for every pull request. */
const LS_REMOTE_MAX_BYTES = 128 * 2 ** 20;
/** Statuses that say: there is nothing here, and we are not just hiding it from you. */
const ABSENT: ReadonlySet<number> = new Set([404, 410]);
/** Statuses that say: who are you? */
const HIDDEN: ReadonlySet<number> = new Set([401, 403]);

export class Remote {
  readonly url: RemoteUrl;
  readonly #options: RemoteOptions;

  constructor(url: RemoteUrl, options: RemoteOptions) {
    this.url = url;
    this.#options = options;
  }

  /**
   * Runs `work` with the right to use the network, for as long as it runs.
   *
   * A credential that could not be had is missed only if the remote refuses git without it: the repository may be public
   * although its owner's others are not.
   *
   * @throws {NotFoundError} when git fails and the remote says that there is no such repository
   */
  async access<T>(work: (network: NetworkAccess) => Promise<T>): Promise<T> {
    const { grant, refusal } = await this.#ask();
    using credential = grant;
    try {
      return await work({ remote: this.url, credential });
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      throw await this.#explain(error, { credential: credential?.credential ?? null, refusal });
    }
  }

  /** What the remote lists now. Throws as {@linkcode access}. */
  async refs(): Promise<Refs> {
    const { git, limits } = this.#options;
    const { stdout } = await this.access((network) =>
      git.run(["ls-remote", "--quiet", "--end-of-options", this.url], {
        what: `list the refs of ${this.url}`,
        network,
        timeoutMs: limits.refsTimeoutMs,
        maxOutputBytes: LS_REMOTE_MAX_BYTES,
      })
    );
    return parseRefs(new TextDecoder().decode(stdout), limits);
  }

  async #ask(): Promise<{ grant: Grant | null; refusal: UpstreamError | null }> {
    try {
      return { grant: await this.#options.grants.grant(this.url), refusal: null };
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      return { grant: null, refusal: error };
    }
  }

  /**
   * What a failure of git means. git's exit code does not tell whether the server says that there is no repository, and
   * its words vary; so we ask for what git asks first. Some servers hide from strangers what is there (401 for every
   * name). To a stranger the repository's page then tells, as it does to the `go` command.
   */
  async #explain(
    failure: GitError,
    { credential, refusal }: {
      readonly credential: Credential | null;
      readonly refusal: UpstreamError | null;
    },
  ): Promise<Error> {
    const absent = () =>
      new NotFoundError(`Cannot find repository ${this.url}`, { cause: failure });
    const base = this.url.replace(/\/$/, "");
    const status = await this.#statusOf(`${base}/info/refs?service=git-upload-pack`, credential);
    if (refusal !== null && (ABSENT.has(status) || HIDDEN.has(status))) return refusal;
    if (ABSENT.has(status)) return absent();
    if (!HIDDEN.has(status)) return failure;
    if (credential === null) {
      return ABSENT.has(await this.#statusOf(this.url, null)) ? absent() : failure;
    }
    this.#options.grants.refused(this.url);
    return failure;
  }

  /** The status of a GET; 0 when there is no answer. */
  async #statusOf(url: string, credential: Credential | null): Promise<number> {
    try {
      const response = await this.#options.fetch(new URL(url), {
        headers: credential === null ? {} : { Authorization: `Basic ${basicToken(credential)}` },
        signal: AbortSignal.timeout(this.#options.limits.refsTimeoutMs),
      });
      await response.body?.cancel();
      return response.status;
    } catch (error) {
      if (error instanceof UpstreamError) return 0;
      if (error instanceof DOMException && error.name === "TimeoutError") return 0;
      throw error;
    }
  }
}
