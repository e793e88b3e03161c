/**
 * The guard of a server with client authentication: authenticates clients, applies the access list
 * and issues access tokens to those that log in.
 *
 * What has been verified is kept for at most {@linkcode VERIFIED_FOR_MS}, so that not every file of
 * a build costs a password hash or a signature check.
 *
 * The log has an `audit` line for each log-in and each denial.
 */
import { hash } from "node:crypto";
import { workFor } from "../async/owner.ts";
import { SingleFlight } from "../async/single_flight.ts";
import {
  ForbiddenError,
  NotFoundError,
  TooManyRequestsError,
  UnauthenticatedError,
} from "../errors.ts";
import { networkOf } from "../http/address.ts";
import type { Logger } from "../log/log.ts";
import type { ModulePath } from "../module/path.ts";
import type { AccessList, Decision } from "./access_list.ts";
import type { AccessToken, AccessTokens } from "./access_tokens.ts";
import type { Authenticator, LoginMethod, Proof } from "./authenticator.ts";
import { type Credentials, parseAuthorization } from "./credentials.ts";
import { FailedLogins } from "./failed_logins.ts";
import type { Access, Client, ClientRequest, Guard } from "./guard.ts";
import type { Revocations } from "./revocations.ts";
import { type Session, Sessions } from "./sessions.ts";

/** A revoked password remains valid for this long; a token never beyond its expiry. */
export const VERIFIED_FOR_MS = 60_000;
/** Where tokens can be revoked: together with the file's check, a revocation counts after 7 s. */
const RECOGNIZED_FOR_MS = 5_000;
/** How many different credentials may be verified at once. */
const MAX_UNDER_WAY = 1_000;

export interface ClientAuthOptions {
  readonly authenticators: readonly Authenticator[];
  /** The names of the configuration. */
  readonly identities: ReadonlySet<string>;
  readonly accessList: AccessList;
  /** Null: none are issued. */
  readonly accessTokens: AccessTokens | null;
  /** Tokens that are not accepted any more. Default: there are none. */
  readonly revocations?: Pick<Revocations, "isRevoked"> | null;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
}

type KnownClient = Client & { readonly identity: string };

/** The client of routes that need no authentication. */
const STRANGER: Client = {
  identity: null,
  mayRead: () => false,
  dependsOnRepository: () => false,
  admitTo: null,
};

export class ClientAuth implements Guard {
  readonly answersDiffer = true;
  readonly #options: ClientAuthOptions;
  readonly #sessions: Sessions;
  readonly #clients: ReadonlyMap<string, KnownClient>;
  readonly #underWay = new SingleFlight<Session>(MAX_UNDER_WAY);
  readonly #failedLogins: FailedLogins;
  readonly #acceptsCertificates: boolean;

  constructor(options: ClientAuthOptions) {
    this.#options = options;
    const { identities, accessList, now } = options;
    this.#sessions = new Sessions(now);
    this.#clients = new Map([...identities].map((identity) => [identity, {
      identity,
      mayRead: (path, names) => accessList.decide(identity, path, names).isAllowed,
      dependsOnRepository: (path) => accessList.judge(identity, path).dependsOnRepository,
      admitTo: null,
    }]));
    this.#failedLogins = new FailedLogins(now);
    this.#acceptsCertificates = options.authenticators
      .some(({ method }) => method === "client-certificate");
  }

  admit(request: ClientRequest, access: Access): Client | Promise<Client> {
    if (access.kind === "anyone") return STRANGER;
    const shown = this.#shownBy(request);
    if (shown === null) {
      throw this.#audited(
        new UnauthenticatedError("Cannot answer without credentials: log in with netrc or GOAUTH"),
        { request, access },
      );
    }
    const key = this.#sessions.keyOf(shown.text);
    const session = this.#find(key);
    if (session !== null) return this.#permitted(session, { request, access });
    // Those who wait for their turn have no identity yet.
    const owner = `address ${networkOf(request.address ?? "")}`;
    return workFor(owner, () => this.#open({ key, ...shown }, { request, access }))
      .then((opened) => this.#permitted(opened, { request, access }));
  }

  recognizes(request: ClientRequest): boolean {
    const shown = this.#shownBy(request);
    return shown !== null && this.recognize(shown.text) !== null;
  }

  /**
   * The session of a header that was verified a moment ago. Verifies, counts and logs nothing.
   */
  recognize(header: string): Session | null {
    return this.#find(this.#sessions.keyOf(header));
  }

  /** For how long others may remember what {@linkcode recognize} says, in milliseconds. */
  get recognizedForMs(): number {
    return this.#options.revocations ? RECOGNIZED_FOR_MS : VERIFIED_FOR_MS;
  }

  /** Whether a login method is configured, by its name below `/auth/`. */
  offers(method: LoginMethod): boolean {
    return this.#options.accessTokens !== null &&
      this.#options.authenticators.some((authenticator) => authenticator.method === method);
  }

  /**
   * Authenticates a client and issues an access token.
   *
   * @throws {NotFoundError} when the login method is not configured
   * @throws as {@linkcode Authenticator.authenticate}, and {TooManyRequestsError}
   */
  async logIn(
    method: LoginMethod,
    credentials: Credentials,
    request: ClientRequest,
  ): Promise<AccessToken> {
    const { authenticators, accessTokens, log } = this.#options;
    if (accessTokens === null || !this.offers(method)) {
      throw new NotFoundError(`Cannot log in by "${method}": the server is not configured for it`);
    }
    const own = authenticators.filter((authenticator) => authenticator.method === method);
    try {
      const { identity } = await this.#prove(credentials, { request, authenticators: own });
      const token = await accessTokens.issue(identity);
      const { address, requestId: id } = request;
      const { id: jti } = token;
      log.info({ audit: "log-in", method, identity, jti, address, id }, "issued an access token");
      return token;
    } catch (error) {
      throw this.#audited(error, { request, method, ...this.#shownUser(credentials.user) });
    }
  }

  /** What a client shows: the header, else a certificate. */
  #shownBy(request: ClientRequest): Shown | null {
    const header = request.headers.get("Authorization");
    if (header !== null) return { text: header, read: () => parseAuthorization(header) };
    if (!this.#acceptsCertificates) return null;
    const { certificate = null } = request;
    if (certificate === null) return null;
    return {
      // No header has this character.
      text: `\0${hash("sha256", certificate)}`,
      read: () => ({ kind: "certificate", certificate, user: null }),
    };
  }

  /** A session that was remembered, unless its token has been revoked since. */
  #find(key: string): Session | null {
    const session = this.#sessions.find(key);
    return session === null || this.#options.revocations?.isRevoked(session) ? null : session;
  }

  /**
   * Verifies credentials and remembers their identity. Concurrent requests with the same
   * credentials share the work.
   */
  async #open({ key, read }: Shown & { key: string }, denied: Denied): Promise<Session> {
    const { authenticators, now } = this.#options;
    const { request } = denied;
    try {
      return await this.#underWay.run(key, async () => {
        const { identity, expiresMs, token } = await this.#prove(read(), {
          request,
          authenticators,
        });
        const endsMs = Math.min(expiresMs, now() + VERIFIED_FOR_MS);
        const session = { identity, endsMs, ...(token === undefined ? {} : { token }) };
        this.#sessions.add(key, session);
        return session;
      });
    } catch (error) {
      throw this.#audited(error, denied);
    }
  }

  /**
   * The first authenticator that accepts the credentials decides; if several reject them, the first
   * one's error is reported.
   */
  async #prove(
    credentials: Credentials,
    { request, authenticators }: {
      request: ClientRequest;
      authenticators: readonly Authenticator[];
    },
  ): Promise<Proof> {
    const attempt = credentials.kind === "password"
      ? this.#failedLogins.begin({ user: credentials.user, address: request.address })
      : null;
    let outcome: "right" | "wrong" | "unknown" = "unknown";
    try {
      const proof = await firstProof(credentials, authenticators);
      this.#checkUser(credentials, proof);
      if (this.#options.revocations?.isRevoked(proof)) {
        throw new UnauthenticatedError("Cannot accept the token: it was revoked");
      }
      outcome = "right";
      return proof;
    } catch (error) {
      if (error instanceof UnauthenticatedError) outcome = "wrong";
      throw error;
    } finally {
      attempt?.end(outcome);
    }
  }

  #permitted({ identity }: Session, denied: Denied): Client {
    const client = this.#clients.get(identity);
    if (client === undefined) throw new Error(`No identity "${identity}"`);
    const { access } = denied;
    if (access?.kind !== "module") return client;
    const { path } = access;
    const { accessList } = this.#options;
    const { decision, dependsOnRepository } = accessList.judge(identity, path);
    if (!decision.isAllowed) throw this.#denial(decision, { denied, identity, path });
    if (!dependsOnRepository) return client;
    return {
      ...client,
      admitTo: (names) => {
        const decision = accessList.decide(identity, path, names);
        if (!decision.isAllowed) throw this.#denial(decision, { denied, identity, path });
        return true;
      },
    };
  }

  #denial(
    { rule, name }: Decision,
    { denied, identity, path }: { denied: Denied; identity: string; path: ModulePath },
  ): unknown {
    const by = name === undefined ? "" : ` by its name "${name}"`;
    const reason = rule === null ? "no rule allows it" : `clientAuth.acl[${rule}] denies it${by}`;
    return this.#audited(
      new ForbiddenError(
        `Cannot give "${path}" to "${identity}": the access list does not allow it (${reason})`,
      ),
      { ...denied, identity },
    );
  }

  /** A token may come with any user name except that of another identity. */
  #checkUser(credentials: Credentials, { identity }: Proof): void {
    if (credentials.kind === "password" || credentials.user === null) return;
    const { user } = credentials;
    if (user === identity || !this.#options.identities.has(user)) return;
    throw new UnauthenticatedError(
      "Cannot log in: the token belongs to another identity than the user name",
    );
  }

  /**
   * A user name for the log, if it is that of an identity. Another one may be anything, such as a
   * password or token in the wrong place.
   */
  #shownUser(user: string | null): { user?: string } {
    return user !== null && this.#options.identities.has(user) ? { user } : {};
  }

  /** Writes the audit line of a denial; the access log has all other failures. */
  #audited(error: unknown, { request, access, ...facts }: Denied): unknown {
    if (!isDenial(error)) return error;
    const { address, requestId: id, headers } = request;
    const shown = facts.identity === undefined ? this.#shownUser(claimedUser(headers)) : {};
    this.#options.log.warn({
      audit: "denied",
      ...shown,
      ...facts,
      ...(access?.kind === "module" ? { module: access.path } : {}),
      address,
      id,
      reason: error.message,
    }, "denied");
    return error;
  }
}

function isDenial(
  error: unknown,
): error is UnauthenticatedError | ForbiddenError | TooManyRequestsError {
  return error instanceof UnauthenticatedError || error instanceof ForbiddenError ||
    error instanceof TooManyRequestsError;
}

/** What a client shows to prove who it is. */
interface Shown {
  /** Different for different ones. */
  readonly text: string;
  /** @throws {UnauthenticatedError} when it cannot be read */
  read(): Credentials;
}

/** What was denied, and to which client. */
interface Denied {
  readonly request: ClientRequest;
  readonly access?: Access;
  readonly method?: LoginMethod;
  /** Once it is proved. */
  readonly identity?: string;
  /** The user name that the client claims, where it is that of an identity. */
  readonly user?: string;
}

async function firstProof(
  credentials: Credentials,
  authenticators: readonly Authenticator[],
): Promise<Proof> {
  let refusal: UnauthenticatedError | null = null;
  for (const authenticator of authenticators) {
    try {
      const proof = await authenticator.authenticate(credentials);
      if (proof !== null) return proof;
    } catch (error) {
      if (!(error instanceof UnauthenticatedError)) throw error;
      refusal ??= error;
    }
  }
  throw refusal ?? new UnauthenticatedError(UNKNOWN[credentials.kind]);
}

const UNKNOWN: Readonly<Record<Credentials["kind"], string>> = {
  password: "Cannot log in: no passwords are configured",
  token: "Cannot accept the token: its issuer is not configured",
  certificate: "Cannot log in: no client certificates are configured",
};

/** The user name that a client claims in Basic, for the log. */
function claimedUser(headers: Headers): string | null {
  try {
    return parseAuthorization(headers.get("Authorization") ?? "").user;
  } catch (error) {
    if (error instanceof UnauthenticatedError) return null;
    throw error;
  }
}
