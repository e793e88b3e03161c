/**
 * How clients authenticate. A new way is a file with a class that implements
 * {@linkcode Authenticator}, its schema in config.ts, a case in open.ts and a test; if it is about
 * tokens of others, that is a row in identity_token_test.ts.
 */
import type { Credentials } from "./credentials.ts";

/** The ways to log in, by their names below `/auth/`; an access token is what a log-in gives. */
export const LOGIN_METHODS = ["userpassword", "gce", "oidc"] as const;
export type LoginMethod = (typeof LOGIN_METHODS)[number];
export type Method = LoginMethod | "access-token";

export interface Authenticator {
  readonly method: Method;
  /**
   * Who shows these credentials; null if they are not of a kind that this one can judge.
   *
   * @throws {UnauthenticatedError} when they prove nothing: wrong, expired, forged, of an unknown
   *   client
   * @throws {UpstreamError} when an issuer of identities does not answer
   * @throws {OverloadedError} when too many wait to have theirs looked at
   */
  authenticate(credentials: Credentials): Promise<Proof | null>;
}

export interface Proof {
  /** A name in the configuration. */
  readonly identity: string;
  /** When it ends, in milliseconds since 1970. Infinity: not by itself. */
  readonly expiresMs: number;
}
