/**
 * Access tokens: the result of a login, so that a password or a platform's identity token is sent
 * once and not with every request. JSON Web Tokens (RFC 7519) with an HMAC (HS256) that only this
 * server's replicas can make:
 *
 * ```json
 * { "alg": "HS256", "typ": "at+jwt" }
 * { "iss": "go-mod-proxy", "aud": "https://proxy.example.com", "sub": "ci",
 *   "iat": 1700000000, "exp": 1700003600, "jti": "…" }
 * ```
 *
 * Of several secrets the first signs and all verify. To rotate them, add the new one after the old
 * one on every replica, then put it first, then remove the old one when its last token has expired.
 */
import { jwtVerify, SignJWT } from "jose";
import {
  describeSecret,
  readSecretLine,
  type Secret,
  SecretError,
  type SecretPlaces,
} from "../credentials/secret.ts";
import { UnauthenticatedError } from "../errors.ts";
import { type Authenticator, type Proof, provenToken } from "./authenticator.ts";
import type { Credentials } from "./credentials.ts";
import { isWrongSignature, tokenFault } from "./token_fault.ts";

export interface AccessTokensOptions {
  readonly audience: string;
  /** At least one. */
  readonly secrets: readonly Secret[];
  readonly timeToLiveMs: number;
  /** The identities that a token may name. */
  readonly identities: ReadonlySet<string>;
  readonly places: SecretPlaces;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface AccessToken {
  readonly token: string;
  readonly expiresInSeconds: number;
  /** The claim `jti`, by which it can be revoked. */
  readonly id: string;
}

const ISSUER = "go-mod-proxy";
const ALGORITHM = "HS256";
/** RFC 9068: no other kind of token can be mistaken for an access token. */
const TYPE = "at+jwt";
/**
 * RFC 7518, 3.2: as long as the hash. A shorter one could be guessed, and tokens forged with it.
 */
export const MIN_SECRET_BYTES = 32;

export class AccessTokens implements Authenticator {
  readonly method = "access-token";
  readonly #options: AccessTokensOptions;

  constructor(options: AccessTokensOptions) {
    this.#options = options;
  }

  async issue(identity: string): Promise<AccessToken> {
    const { audience, secrets: [first], timeToLiveMs, places, now } = this.#options;
    if (first === undefined) throw new Error("There is no secret to sign with");
    const issuedAt = Math.floor(now() / 1000);
    const expiresInSeconds = Math.floor(timeToLiveMs / 1000);
    const id = crypto.randomUUID();
    const token = await new SignJWT()
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setSubject(identity)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + expiresInSeconds)
      .setJti(id)
      .sign(await readSigningSecret(first, places));
    return { token, expiresInSeconds, id };
  }

  async authenticate(credentials: Credentials): Promise<Proof | null> {
    if (credentials.kind !== "token" || credentials.claimedIssuer !== ISSUER) return null;
    const { secrets, identities, places } = this.#options;
    let fault: unknown;
    for (const secret of secrets) {
      try {
        const { sub = "", exp = 0, ...claims } = await this.#verify(
          credentials.token,
          await readSigningSecret(secret, places),
        );
        if (!identities.has(sub)) {
          throw new UnauthenticatedError(
            `Cannot accept the access token: its identity no longer exists`,
          );
        }
        return { identity: sub, expiresMs: exp * 1000, token: provenToken(claims) };
      } catch (error) {
        fault = error;
        if (!isWrongSignature(error)) break;
      }
    }
    throw tokenFault(fault, "access token");
  }

  async #verify(token: string, secret: Uint8Array) {
    const { audience, now } = this.#options;
    const { payload } = await jwtVerify(token, secret, {
      algorithms: [ALGORITHM],
      issuer: ISSUER,
      audience,
      typ: TYPE,
      requiredClaims: ["sub", "iat", "exp"],
      currentDate: new Date(now()),
    });
    return payload;
  }
}

/** @throws {SecretError} also when it is too short */
export async function readSigningSecret(secret: Secret, places: SecretPlaces): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(await readSecretLine(secret, places));
  if (bytes.length >= MIN_SECRET_BYTES) return bytes;
  throw new SecretError(
    `Cannot sign with ${
      describeSecret(secret)
    }: it has ${bytes.length} bytes and needs ${MIN_SECRET_BYTES}, ` +
      "as from: openssl rand -base64 32",
  );
}
