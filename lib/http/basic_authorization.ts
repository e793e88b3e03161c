/** The scheme Basic of HTTP authentication, as clients send it: RFC 7617, in UTF-8. */

export interface UserPassword {
  readonly username: string;
  readonly password: string;
}

/**
 * The value of `Authorization` for a user and a password.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(
 *   basicAuthorization({ username: "Aladdin", password: "open sesame" }),
 *   "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
 * );
 * ```
 */
export function basicAuthorization(account: UserPassword): string {
  return `Basic ${basicToken(account)}`;
}

/** {@linkcode basicAuthorization} without its scheme, as secret as the password. */
export function basicToken({ username, password }: UserPassword): string {
  return new TextEncoder().encode(`${username}:${password}`).toBase64();
}
