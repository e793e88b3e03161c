/**
 * Identity tokens that others sign: OpenID Connect ID tokens, JSON Web Tokens with a public key of their issuer.
 */
import { type JWTPayload, jwtVerify } from "jose";
import { ProxyError, UpstreamError } from "../errors.ts";
import type { KeySet } from "./key_set.ts";
import { tokenFault } from "./token_fault.ts";

export interface IdentityTokenRules {
  /** As the claim `iss` has it. */
  readonly issuer: string;
  /** One of these must be among the token's. */
  readonly audience: readonly string[];
  readonly keys: KeySet;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** With public keys only. HS256 would take the issuer's public key for a secret, and `none` takes anything. */
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

/** The claims that count. */
export interface IdentityClaims extends JWTPayload {
  readonly exp: number;
}

/**
 * @throws {UnauthenticatedError} when the token is not one of this issuer for us, at this time
 * @throws {UpstreamError} when the issuer's keys cannot be had or used
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
    // What jose lets through is the runtime's, about a key that it cannot import.
    throw new UpstreamError(
      `Cannot check the identity token: a key of the issuer "${issuer}" cannot be used`,
      { cause: error },
    );
  }
}
