/**
 * How clients authenticate. To add a method, write a file with a class that implements
 * {@linkcode Authenticator}, its schema in config.ts, a case in open.ts and a test; methods with
 * third-party tokens also get a row in identity_token_test.ts.
 */
import type { Credentials } from "./credentials.ts";

/** The login methods, by their names below `/auth/`; a login returns an access token. */
export const LOGIN_METHODS = ["userpassword", "gce", "oidc"] as const;
export type LoginMethod = (typeof LOGIN_METHODS)[number];
export type Method = LoginMethod | "access-token" | "client-certificate";

export interface Authenticator {
  readonly method: Method;
  /**
   * The identity that these credentials prove; null if this authenticator does not handle their
   * kind.
   *
   * @throws {UnauthenticatedError} when they are wrong, expired, forged or of an unknown client
   * @throws {UpstreamError} when an issuer of identities does not answer
   * @throws {OverloadedError} when too many requests wait for verification
   */
  authenticate(credentials: Credentials): Promise<Proof | null>;
}

export interface Proof {
  /** A name in the configuration. */
  readonly identity: string;
  /** When it expires, in milliseconds since 1970. Infinity: never. */
  readonly expiresMs: number;
  /** The token that proves it; absent where none does. */
  readonly token?: ProvenToken | undefined;
}

/** By what a token can be revoked. */
export interface ProvenToken {
  /** The claim `jti`, if there is one. */
  readonly id: string | null;
  /** The claim `iat`, in milliseconds since 1970, if there is one. */
  readonly issuedMs: number | null;
}

/** The claims of a verified token that revocations are about. */
export function provenToken({ jti, iat }: {
  readonly jti?: string | undefined;
  readonly iat?: number | undefined;
}): ProvenToken {
  return { id: jti ?? null, issuedMs: iat === undefined ? null : iat * 1000 };
}
