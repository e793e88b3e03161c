/**
 * Credentials from a GitHub App: a token for each repository, which can read only this repository
 * and expires within the hour. Uses @octokit/auth-app; the API is described at
 * https://docs.github.com/rest/apps/apps
 *
 * ```
 * remote https://github.com/My-Org/lib.git
 *   GET  /orgs/My-Org/installation         → installation 42
 *        (404: GET /users/My-Org/installation)
 *   POST /app/installations/42/access_tokens
 *        {"repositories":["lib"],"permissions":{"contents":"read"}}
 *        → {"token":"ghs_…","expires_at":"…"}    `metadata: read` comes with every token
 * credentials x-access-token / ghs_…
 * ```
 *
 * **What a refusal means.** The installation is looked up before each token, because what it says
 * explains a refusal: suspended, no permission to read contents, or only for selected repositories.
 * A repository that an installation on *all* of its owner's repositories does not find is known not
 * to exist. One that is not among the *selected* repositories may exist, and so may one of an owner
 * without the App: that is never "not found", because it would send the `go` command to the next
 * proxy. KNOWN LIMIT: the old name of a renamed repository counts as not existing, unless the git
 * server redirects it (git/remote.ts).
 *
 * A token that was remembered proves nothing when a git server refuses it, or finds nothing with
 * it: it may have been revoked, or the repository may have been taken out of the selection. The API
 * is asked again then ({@linkcode GitHubApp.forget}).
 *
 * **What is remembered.** A token until {@linkcode MIN_REMAINING_MS} before it expires; a failure
 * for {@linkcode FAILURE_TTL_MS}, so that an App that has just been installed works at the next
 * attempt. When GitHub limits our rate, no request is made until the pause it asks for is over.
 *
 * Why not auth-app's own `auth({ type: "installation" })`: it shares running requests between
 * callers in a module-level variable whose key is only the installation id and the repository name.
 * Two Apps on different hosts can have both in common, and then one gets the other's token (seen
 * with 8.3.1). Its request hook has no such cache, and it corrects for a wrong clock.
 */
import { type KeyObject, sign } from "node:crypto";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import { Budget, type ReadLimits } from "../async/budget.ts";
import { withDeadline } from "../async/deadline.ts";
import { SingleFlight } from "../async/single_flight.ts";
import {
  LimitExceededError,
  NotFoundError,
  OverloadedError,
  ProxyError,
  UpstreamError,
} from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { hasTooManyValues, MAX_JSON_VALUES } from "../module/foreign_json.ts";
import {
  type CredentialContext,
  type CredentialProvider,
  type Credentials,
  type CredentialsOptions,
  MIN_REMAINING_MS,
} from "./provider.ts";

/** The part of `fetch` that this file needs. It must not send the headers to another origin. */
export type Fetch = (url: URL, init: {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}) => Promise<Response>;

export interface GitHubAppOptions {
  readonly id: number;
  /** Base URL of the REST API; {@linkcode defaultApiBaseUrl}. */
  readonly apiBaseUrl: string;
  /**
   * Reads the key; called for each request to the API, so that a new key takes effect immediately.
   */
  readonly privateKey: () => Promise<KeyObject>;
  readonly fetch: Fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
  /** How long one request to the API may take. Default: {@linkcode REQUEST_TIMEOUT_MS}. */
  readonly requestTimeoutMs?: number;
}

/**
 * How long a failure is remembered: long enough to protect the API from a build that keeps asking.
 */
export const FAILURE_TTL_MS = 5_000;
/**
 * A token younger than this that no git server has accepted is kept even if one refuses it. One
 * that was accepted before has been revoked, or is no longer for the repository.
 */
export const MIN_AGE_TO_FORGET_MS = 30_000;
/** Repositories whose token or failure is remembered. */
const MAX_REMEMBERED = 10_000;
/**
 * Repositories for which tokens may be requested at the same time. git processes wait for them, so
 * there are never many.
 */
const MAX_CONCURRENT_MINTS = 256;
const REQUEST_TIMEOUT_MS = 10_000;
export const API_LIMITS = {
  name: "GitHub API",
  maxBytes: 1024 * 1024,
  timeoutMs: REQUEST_TIMEOUT_MS,
} satisfies ReadLimits;
/** GitHub's documented pause if a response names none, and the longest that we wait. */
const MAX_PAUSE_MS = 60_000;
/**
 * GitHub accepts at most 10 minutes from `iat` to `exp`, and no `iat` in the future: a minute is
 * for a clock that is fast.
 */
const JWT_BACKDATE_SECONDS = 60;
const JWT_LIFETIME_SECONDS = 600;

/**
 * The base URL of the REST API of a GitHub host: github.com, GitHub Enterprise Cloud (`*.ghe.com`)
 * or Enterprise Server.
 */
export function defaultApiBaseUrl(host: string): string {
  return host === "github.com" || host.endsWith(".ghe.com")
    ? `https://api.${host}`
    : `https://${host}/api/v3`;
}

export class GitHubApp implements CredentialProvider {
  readonly description: string;
  readonly #options: GitHubAppOptions;
  readonly #outcomes = new LRUCache<string, Outcome>({ max: MAX_REMEMBERED });
  readonly #mints = new SingleFlight<Outcome>(MAX_CONCURRENT_MINTS);
  readonly #lookups = new SingleFlight<Installation>(MAX_CONCURRENT_MINTS);
  #request: Promise<Request> | null = null;
  #pause: { readonly untilMs: number; readonly error: OverloadedError } | null = null;

  constructor(options: GitHubAppOptions) {
    this.#options = options;
    this.description = `GitHub App ${options.id}`;
  }

  async credentials(
    context: CredentialContext,
    options: CredentialsOptions,
  ): Promise<Credentials | null> {
    const { signal, onStep = () => {} } = options;
    const repository = parseRepository(context.path);
    if (repository === null) {
      onStep(`no credentials: "${context.path}" is not OWNER/REPOSITORY`);
      return null;
    }
    const known = this.#outcomes.get(repository.key);
    if (known !== undefined && this.#options.now() < known.untilMs) {
      onStep(`what ${this.description} got for ${repository.name} is remembered`);
      return unwrap(known);
    }
    return unwrap(
      await this.#mints.run(repository.key, () => this.#mint(repository, onStep), signal),
    );
  }

  accept(context: CredentialContext, { password }: Credentials): void {
    const known = this.#outcomes.get(keyOf(context));
    if (known !== undefined && "credentials" in known && known.credentials.password === password) {
      known.isAccepted = true;
    }
  }

  forget(context: CredentialContext, { password }: Credentials): boolean {
    const key = keyOf(context);
    const known = this.#outcomes.get(key);
    // Somebody else has had the same refusal, and GitHub has been asked since.
    if (known === undefined) return true;
    if (!("credentials" in known) || known.credentials.password !== password) return true;
    // Otherwise a repository that refuses every token would cost a new one for each request.
    const isOld = this.#options.now() - known.sinceMs >= MIN_AGE_TO_FORGET_MS;
    if (!known.isAccepted && !isOld) return false;
    this.#outcomes.delete(key);
    return true;
  }

  async #mint(repository: Repository, onStep: OnStep): Promise<Outcome> {
    const outcome = await this.#createToken(repository, onStep).then(
      (credentials) => ({
        credentials,
        isAccepted: false,
        sinceMs: this.#options.now(),
        untilMs: credentials.expiresAt.getTime() - MIN_REMAINING_MS,
      }),
      (error: unknown) => ({
        error,
        sinceMs: this.#options.now(),
        untilMs: this.#options.now() + FAILURE_TTL_MS,
      }),
    );
    this.#outcomes.set(repository.key, outcome);
    return outcome;
  }

  async #createToken(repository: Repository, onStep: OnStep): Promise<ExpiringCredentials> {
    const { owner } = repository;
    const cannot = `Cannot get a token for ${repository.name}`;
    onStep(`asking ${this.#options.apiBaseUrl} where ${this.description} is installed`);
    const installation = await this.#lookups.run(
      owner.toLowerCase(),
      () => this.#findInstallation(owner),
    );
    const { id, suspended_at, permissions, repository_selection } = installation;
    onStep(`installation ${id} on "${owner}", for ${repository_selection} repositories`);
    if (typeof suspended_at === "string") {
      throw new UpstreamError(
        `${cannot}: ${this.description} is suspended on "${owner}"; its owner can lift that`,
      );
    }
    if (permissions["contents"] === undefined) {
      throw new UpstreamError(
        `${cannot}: ${this.description} may not read contents on "${owner}"; ` +
          `give it the repository permission "Contents: read" and accept that on "${owner}"`,
      );
    }

    onStep(`asking for a token that can read ${repository.name} and nothing else`);
    const answer = await this.#ask("POST /app/installations/{installation_id}/access_tokens", {
      installation_id: id,
      repositories: [repository.repo],
      permissions: { contents: "read" },
    });
    if (answer.status === 422) throw this.#noSuchRepository(cannot, installation);
    if (answer.status !== 201) throw this.#refused(cannot, answer);
    const credentials = this.#readToken(answer, cannot);
    onStep(`got a token that is good until ${credentials.expiresAt.toISOString()}`);
    return credentials;
  }

  /** The API distinguishes organizations from users; a remote's URL does not. */
  async #findInstallation(owner: string): Promise<Installation> {
    const cannot = `Cannot find ${this.description} on "${owner}"`;
    let answer = await this.#ask("GET /orgs/{org}/installation", { org: owner });
    if (answer.status === 404) {
      answer = await this.#ask("GET /users/{username}/installation", { username: owner });
    }
    if (answer.status === 404) {
      throw new UpstreamError(
        `${cannot}: it is not installed there; install it on "${owner}" ` +
          "and give it access to the repositories that modules are read from",
      );
    }
    if (answer.status !== 200) throw this.#refused(cannot, answer);
    const { data } = INSTALLATION.safeParse(answer.data);
    if (data === undefined) throw this.#unexpected(cannot);
    return data;
  }

  #noSuchRepository(cannot: string, { repository_selection }: Installation): ProxyError {
    return repository_selection === "all"
      ? new NotFoundError(`${cannot}: its owner has no such repository`)
      : new UpstreamError(
        `${cannot}: there is no such repository, or it is not among those selected for ` +
          `${this.description}; add it to the installation's repositories`,
      );
  }

  #readToken({ data, headers }: ApiResponse, cannot: string): ExpiringCredentials {
    const { data: token } = TOKEN.safeParse(data);
    if (token === undefined) throw this.#unexpected(cannot);
    // Both times are by GitHub's clock: ours may be wrong and must not be compared with
    // `expires_at`.
    const nowMs = this.#options.now();
    const serverNowMs = Date.parse(headers["date"] ?? "");
    const lifetimeMs = Date.parse(token.expires_at) -
      (Number.isNaN(serverNowMs) ? nowMs : serverNowMs);
    if (lifetimeMs <= MIN_REMAINING_MS) {
      throw new UpstreamError(`${cannot}: the token would expire in ${lifetimeMs / 1000} s`);
    }
    return {
      username: "x-access-token",
      password: token.token,
      expiresAt: new Date(nowMs + lifetimeMs),
    };
  }

  /** The error for responses that mean the same for every request. */
  #refused(cannot: string, { status, message }: ApiResponse): ProxyError {
    if (status === 401) {
      return new UpstreamError(
        `${cannot}: GitHub does not accept the App's id or private key (${message}); ` +
          "check both, and this machine's clock",
      );
    }
    return new UpstreamError(
      `${cannot}: ${this.#options.apiBaseUrl} answered ${status} (${message})`,
    );
  }

  #unexpected(cannot: string): UpstreamError {
    return new UpstreamError(
      `${cannot}: ${this.#options.apiBaseUrl} did not answer like the GitHub API`,
    );
  }

  /**
   * One request as the App.
   *
   * @throws {OverloadedError} when GitHub limits our rate
   */
  async #ask(route: string, parameters: Record<string, unknown>): Promise<ApiResponse> {
    if (this.#pause !== null && this.#options.now() < this.#pause.untilMs) throw this.#pause.error;
    const request = await (this.#request ??= this.#open());
    const { apiBaseUrl, requestTimeoutMs = REQUEST_TIMEOUT_MS } = this.#options;
    const response = await withDeadline(
      (signal) => request(route, { ...parameters, request: { signal } }).catch(responseOf),
      { timeoutMs: requestTimeoutMs, what: `ask ${apiBaseUrl} for a token` },
    );
    const answer = parseResponse(response);
    const pauseMs = pauseOf(answer);
    if (pauseMs !== null) {
      const error = new OverloadedError(
        `Cannot get a token: GitHub limits the rate of ${this.description} (${answer.message})`,
      );
      this.#pause = { untilMs: this.#options.now() + pauseMs, error };
      throw error;
    }
    return answer;
  }

  /** Loaded on first use: a server without a GitHub App does not pay for it (12 MB, 30 ms). */
  async #open(): Promise<Request> {
    const [{ createAppAuth }, { request }] = await Promise.all([
      import("@octokit/auth-app"),
      import("@octokit/request"),
    ]);
    const { id, apiBaseUrl, fetch, log } = this.#options;
    const warn = (message: string) => log.warn({ gitHubApp: id }, withoutSecrets(message));
    const auth = createAppAuth({
      appId: id,
      createJwt: (_id, clockOffsetSeconds) => this.#createJwt(clockOffsetSeconds),
      log: { warn },
    });
    return request.defaults({
      baseUrl: apiBaseUrl.replace(/\/$/, ""),
      headers: { "x-github-api-version": "2022-11-28" },
      request: {
        hook: auth.hook,
        fetch: limited(fetch),
        log: { debug: () => {}, info: () => {}, warn, error: warn },
      },
    });
  }

  async #createJwt(clockOffsetSeconds = 0): Promise<{ jwt: string; expiresAt: string }> {
    const key = await this.#options.privateKey();
    const iat = Math.floor(this.#options.now() / 1000) + clockOffsetSeconds - JWT_BACKDATE_SECONDS;
    const exp = iat + JWT_LIFETIME_SECONDS;
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${encode({ alg: "RS256", typ: "JWT" })}.${
      encode({ iat, exp, iss: this.#options.id })
    }`;
    const signature = sign("RSA-SHA256", Buffer.from(signed), key).toString("base64url");
    return { jwt: `${signed}.${signature}`, expiresAt: new Date(exp * 1000).toISOString() };
  }
}

type OnStep = (text: string) => void;
type Request = typeof import("@octokit/request").request;
type ExpiringCredentials = Required<Credentials>;

/** The result of the last request for a token, and how long it is valid. */
type Outcome =
  & { readonly sinceMs: number; readonly untilMs: number }
  & (
    | { readonly credentials: Credentials; isAccepted: boolean }
    | { readonly error: unknown }
  );

function unwrap(outcome: Outcome): Credentials {
  if ("error" in outcome) throw outcome.error;
  return outcome.credentials;
}

interface Repository {
  readonly owner: string;
  readonly repo: string;
  /** For messages. */
  readonly name: string;
  /** The same for all spellings: GitHub names are case-insensitive. */
  readonly key: string;
}

/** The same for all spellings of a repository; empty for what is none. */
function keyOf({ path }: CredentialContext): string {
  return parseRepository(path)?.key ?? "";
}

function parseRepository(path: string): Repository | null {
  const { owner, repo } =
    /^(?<owner>[\w.-]+)\/(?<repo>[\w.-]+?)(?:\.git)?\/?$/.exec(path)?.groups ?? {};
  if (owner === undefined || repo === undefined) return null;
  // URL parsers would resolve these as parent directories.
  if ([owner, repo].some((element) => element === "." || element === "..")) return null;
  const name = `${owner}/${repo}`;
  return { owner, repo, name, key: name.toLowerCase() };
}

const INSTALLATION = z.object({
  id: z.int().positive(),
  suspended_at: z.string().nullish(),
  repository_selection: z.string(),
  permissions: z.record(z.string(), z.string()),
});
type Installation = z.infer<typeof INSTALLATION>;

const TOKEN = z.object({
  token: z.string().regex(/^[\x21-\x7e]+$/),
  expires_at: z.iso.datetime({ offset: true }),
});

const RESPONSE = z.object({
  status: z.number(),
  headers: z.record(z.string(), z.coerce.string()),
  data: z.unknown(),
});

interface ApiResponse extends z.infer<typeof RESPONSE> {
  /** GitHub's message, sanitized for a message of ours. */
  readonly message: string;
}

function parseResponse(response: unknown): ApiResponse {
  const answer = RESPONSE.parse(response);
  const { data } = z.object({ message: z.string() }).safeParse(answer.data);
  return { ...answer, message: withoutSecrets(data?.message ?? "no reason given") };
}

/**
 * Octokit throws an error with the response for a status other than 2xx, and wraps what `fetch`
 * throws.
 */
function responseOf(error: unknown): unknown {
  if (!(error instanceof Error && "status" in error)) throw error;
  if ("response" in error && error.response !== undefined) return error.response;
  // Octokit's own error contains the whole request; only its cause is passed on.
  if (error.cause instanceof ProxyError) throw error.cause;
  throw new UpstreamError("Cannot reach the API of GitHub", { cause: error.cause });
}

/**
 * How long GitHub wants us to pause, or null:
 * https://docs.github.com/rest/overview/rate-limits-for-the-rest-api
 */
function pauseOf({ status, headers }: ApiResponse): number | null {
  const retryAfter = headers["retry-after"];
  const isLimited = status === 429 ||
    status === 403 && (retryAfter !== undefined || headers["x-ratelimit-remaining"] === "0");
  if (!isLimited) return null;
  const seconds = Number(retryAfter ?? Number.NaN);
  return seconds >= 0 ? Math.min(seconds * 1000, MAX_PAUSE_MS) : MAX_PAUSE_MS;
}

/** A text from the API, shortened and printable, without words long enough to be a token. */
function withoutSecrets(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, " ").replace(/[^ ]{32,}/g, "[…]").slice(0, 200);
}

/** `fetch` as octokit calls it, with a limit on the size of the response. */
function limited(fetch: Fetch): (url: string, init: OctokitInit) => Promise<Response> {
  return async (url, { method, headers, body, signal }) => {
    const response = await fetch(new URL(url), {
      method,
      headers,
      signal,
      ...body === undefined ? {} : { body },
    });
    const { status, headers: answered } = response;
    return new Response(await readJson(response), { status, headers: answered });
  };
}

/**
 * The body, which octokit parses, for a status other than 2xx twice.
 *
 * @throws {LimitExceededError} when it is too large, or takes too long to parse
 */
async function readJson(response: Response): Promise<string | null> {
  const budget = new Budget(API_LIMITS, { what: "an answer of GitHub" });
  if (response.body === null) return null;
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body) {
    budget.spendBytes(chunk.length);
    text += decoder.decode(chunk, { stream: true });
  }
  text += decoder.decode();
  if (hasTooManyValues(text)) {
    throw new LimitExceededError(
      `Cannot read an answer of GitHub: more than ${MAX_JSON_VALUES} values`,
    );
  }
  return text;
}

/** The options that octokit passes to `fetch`, as far as we use them. */
interface OctokitInit {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}
