/**
 * The public keys of an issuer of identity tokens: a JSON Web Key Set (RFC 7517) at a URL, which an
 * OpenID Connect issuer names in its discovery document
 * (https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig):
 *
 * ```text
 * GET <issuer>/.well-known/openid-configuration
 *                  { "issuer": "<issuer>", "jwks_uri": "https://…", … }
 * GET <jwks_uri>   { "keys": [{ "kty": "RSA", "kid": "…", … }] }
 * ```
 *
 * Keys are cached for {@linkcode MAX_AGE_MS}. A token with an unknown key causes a refetch, at most
 * every {@linkcode REFETCH_PAUSE_MS}: new keys are accepted at once, and forged ones cost the
 * issuer nothing. While the issuer is unreachable, known keys remain valid for
 * {@linkcode MAX_STALE_MS}.
 */
import { createLocalJWKSet, errors, type JWTVerifyGetKey } from "jose";
import type { ReadLimits } from "../async/budget.ts";
import { withDeadline } from "../async/deadline.ts";
import { describeError, OverloadedError, UpstreamError } from "../errors.ts";
import { display, type Fetch, readBody } from "../http/client.ts";
import { parseForeignJson } from "../module/foreign_json.ts";

export interface KeySetOptions {
  /** For messages. */
  readonly issuer: string;
  /** The URL of the keys. Default: from the issuer's discovery document. */
  readonly jwksUri?: string | undefined;
  readonly fetch: Fetch;
  /** Milliseconds since any moment. */
  readonly now: () => number;
  /** Default: that of {@linkcode KEY_SET_LIMITS}. */
  readonly timeoutMs?: number;
}

export const MAX_AGE_MS = 10 * 60_000;
export const REFETCH_PAUSE_MS = 30_000;
export const MAX_STALE_MS = 24 * 3_600_000;
/** After a failure, requests within this time get the same error without another attempt. */
export const FAILURE_PAUSE_MS = 2_000;
const TIMEOUT_MS = 5_000;
/** Of the discovery document and of the key set, each. */
export const KEY_SET_LIMITS: ReadLimits = {
  name: "keys of an issuer",
  maxBytes: 256 * 1024,
  timeoutMs: TIMEOUT_MS,
};

interface Keys {
  readonly find: JWTVerifyGetKey;
  readonly fetchedMs: number;
}

export class KeySet {
  readonly #options: KeySetOptions;
  #keys: Keys | null = null;
  #failure: { readonly error: unknown; readonly atMs: number } | null = null;
  #fetching: Promise<Keys> | null = null;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /**
   * The key that a token's header names, for jose.
   *
   * @throws {errors.JWKSNoMatchingKey} when the issuer has none
   * @throws {UpstreamError | OverloadedError} when that cannot be determined
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const keys = await this.#current();
    try {
      return await keys.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || this.#age(keys) < REFETCH_PAUSE_MS) {
        throw error;
      }
    }
    return await (await this.#fetch()).find(header, token);
  };

  /** Fresh keys, or the last known ones. */
  async #current(): Promise<Keys> {
    const keys = this.#keys;
    if (keys !== null && this.#age(keys) < MAX_AGE_MS) return keys;
    try {
      return await this.#fetch();
    } catch (error) {
      if (keys !== null && this.#age(keys) < MAX_STALE_MS) return keys;
      throw error;
    }
  }

  #age({ fetchedMs }: Keys): number {
    return this.#options.now() - fetchedMs;
  }

  #fetch(): Promise<Keys> {
    const { now } = this.#options;
    if (this.#failure !== null && now() - this.#failure.atMs < FAILURE_PAUSE_MS) {
      return Promise.reject(this.#failure.error);
    }
    this.#fetching ??= this.#fetchNow().finally(() => this.#fetching = null);
    return this.#fetching;
  }

  async #fetchNow(): Promise<Keys> {
    const { issuer, now, timeoutMs = TIMEOUT_MS } = this.#options;
    try {
      const find = await withDeadline((signal) => this.#download(signal), {
        timeoutMs,
        what: `get the keys of "${issuer}"`,
      });
      this.#failure = null;
      this.#keys = { find, fetchedMs: now() };
      return this.#keys;
    } catch (cause) {
      const reason = describeError(cause);
      // Not the issuer's fault.
      const Failure = cause instanceof OverloadedError ? OverloadedError : UpstreamError;
      const error = new Failure(
        `Cannot check the identity token: cannot fetch the keys of issuer "${issuer}": ${reason}`,
        { cause },
      );
      this.#failure = { error, atMs: now() };
      throw error;
    }
  }

  async #download(signal: AbortSignal): Promise<JWTVerifyGetKey> {
    const { jwksUri } = this.#options;
    const uri = jwksUri ?? await this.#discover(signal);
    const document = await this.#getJson(new URL(uri), signal);
    try {
      // Throws if the document is not a key set.
      return createLocalJWKSet(document as Parameters<typeof createLocalJWKSet>[0]);
    } catch (cause) {
      throw new UpstreamError(`Cannot read ${uri}: not a key set`, { cause });
    }
  }

  async #discover(signal: AbortSignal): Promise<string> {
    const { issuer } = this.#options;
    const url = new URL(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
    const document = await this.#getJson(url, signal);
    // Otherwise another issuer's keys would be accepted.
    if (field(document, "issuer") !== issuer) {
      throw new UpstreamError(`Cannot use ${display(url)}: it belongs to another issuer`);
    }
    const uri = field(document, "jwks_uri");
    if (typeof uri === "string" && URL.canParse(uri)) return uri;
    throw new UpstreamError(`Cannot use ${display(url)}: its jwks_uri is not a URL`);
  }

  async #getJson(url: URL, signal: AbortSignal): Promise<unknown> {
    const response = await this.#options.fetch(url, {
      headers: { Accept: "application/json" },
      signal,
    });
    const what = display(url);
    const bytes = await readBody(response, { limits: KEY_SET_LIMITS, what });
    if (response.status !== 200) {
      throw new UpstreamError(`Cannot read ${what}: status ${response.status}`);
    }
    try {
      return parseForeignJson(new TextDecoder().decode(bytes));
    } catch (cause) {
      throw new UpstreamError(`Cannot read ${what}: not JSON`, { cause });
    }
  }
}

function field(document: unknown, name: string): unknown {
  return typeof document === "object" && document !== null
    ? Reflect.get(document, name)
    : undefined;
}
