/**
 * A remote: what it lists, and the right to fetch from it.
 */
import { NotFoundError, UpstreamError } from "../errors.ts";
import type { Fetch } from "../http/client.ts";
import type { Git, NetworkAccess } from "./command.ts";
import { basicToken, type Credential, type Grant } from "./credential_server.ts";
import { GitError } from "./errors.ts";
import type { GitLimits } from "./limits.ts";
import { parseRefs, type Refs } from "./refs.ts";
import type { RemoteUrl } from "./remote_url.ts";

/** Who gives git the right to ask for a password; {@linkcode CredentialServer} does. */
export interface Grants {
  /** @returns null where the remote needs no credential */
  grant(remote: RemoteUrl, signal?: AbortSignal): Promise<Grant | null>;
}

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

  /** Runs `work` with the right to use the network, for as long as it runs. */
  async access<T>(work: (network: NetworkAccess) => Promise<T>): Promise<T> {
    using credential = await this.#options.grants.grant(this.url);
    return await work({ remote: this.url, credential });
  }

  /**
   * What the remote lists now.
   *
   * @throws {NotFoundError} when it says that there is no such repository
   */
  async refs(): Promise<Refs> {
    const { git, grants, limits } = this.#options;
    using credential = await grants.grant(this.url);
    try {
      const { stdout } = await git.run(["ls-remote", "--quiet", "--end-of-options", this.url], {
        what: `list the refs of ${this.url}`,
        network: { remote: this.url, credential },
        timeoutMs: limits.refsTimeoutMs,
        maxOutputBytes: LS_REMOTE_MAX_BYTES,
      });
      return parseRefs(new TextDecoder().decode(stdout), limits);
    } catch (error) {
      if (error instanceof GitError && await this.#isAbsent(credential?.credential ?? null)) {
        throw new NotFoundError(`Cannot find repository ${this.url}`, { cause: error });
      }
      throw error;
    }
  }

  /**
   * Whether the server says that there is no repository. git's exit code does not tell, and its words vary; so we ask
   * for what git asks first. Some servers hide from strangers what is there (401 for every name). To a stranger the
   * repository's page then tells, as it does to the `go` command.
   */
  async #isAbsent(credential: Credential | null): Promise<boolean> {
    const base = this.url.replace(/\/$/, "");
    const refs = await this.#statusOf(`${base}/info/refs?service=git-upload-pack`, credential);
    if (ABSENT.has(refs)) return true;
    return credential === null && HIDDEN.has(refs) &&
      ABSENT.has(await this.#statusOf(this.url, null));
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
