/**
 * Identity tokens of third parties: OpenID Connect ID tokens, JSON Web Tokens that are signed with
 * a key of their issuer.
 */
import { type JWTPayload, jwtVerify } from "jose";
import { ProxyError, UpstreamError } from "../errors.ts";
import type { KeySet } from "./key_set.ts";
import { tokenFault } from "./token_fault.ts";

export interface IdentityTokenRules {
  /** The value of the claim `iss`. */
  readonly issuer: string;
  /** The token must have one of these. */
  readonly audience: readonly string[];
  readonly keys: KeySet;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Public-key algorithms only. HS256 would use the issuer's public key as a secret, and `none`
 * accepts anything.
 */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
/** Clocks of issuers differ from ours. */
const CLOCK_TOLERANCE_SECONDS = 10;

/** The claims that are used. */
export interface IdentityClaims extends JWTPayload {
  readonly exp: number;
}

/**
 * @throws {UnauthenticatedError} when the token is not from this issuer for us, or not valid now
 * @throws {UpstreamError} when the issuer's keys cannot be fetched or used
 */
export async function verifyIdentityToken(
  token: string,
  { issuer, audience, keys, now }: IdentityTokenRules,
): Promise<IdentityClaims> {
  try {
    const { payload } = await jwtVerify(token, keys.find, {
      algorithms: ALGORITHMS,
      issuer,
      audience: [...audience],
      requiredClaims: ["exp"],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(now()),
    });
    return { ...payload, exp: payload.exp ?? 0 };
  } catch (error) {
    const fault = tokenFault(error, "identity token");
    if (fault instanceof ProxyError) throw fault;
    // Other errors come from the runtime, about a key that it cannot import.
    throw new UpstreamError(
      `Cannot check the identity token: a key of the issuer "${issuer}" cannot be used`,
      { cause: error },
    );
  }
}
