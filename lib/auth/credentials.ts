/**
 * The credentials of a client: the header `Authorization` with the schemes Basic (RFC 7617, UTF-8)
 * and Bearer (RFC 6750).
 *
 * Clients that support only Basic (netrc, git's credential helpers) can send a token as the
 * password. A password in the form of a JSON Web Token is treated as a token.
 */
import { Buffer } from "node:buffer";
import { decodeJwt } from "jose";
import { UnauthenticatedError } from "../errors.ts";

export type Credentials = PasswordCredentials | TokenCredentials | CertificateCredentials;

export interface PasswordCredentials {
  readonly kind: "password";
  readonly user: string;
  readonly password: string;
}

/** A JSON Web Token that has not been verified. */
export interface TokenCredentials {
  readonly kind: "token";
  readonly token: string;
  /** The claim `iss`, not verified: used only to choose the authenticator. */
  readonly claimedIssuer: string;
  /** The user name that came with it, in Basic. */
  readonly user: string | null;
}

/** Larger than real tokens; a longer header is rejected unread. */
/** A certificate of the TLS handshake, whose signature and dates have been verified. */
export interface CertificateCredentials {
  readonly kind: "certificate";
  /** DER. */
  readonly certificate: Uint8Array;
  readonly user: null;
}

export const MAX_AUTHORIZATION_LENGTH = 16 * 1024;

/** @throws {UnauthenticatedError} with the reason, which does not quote the header */
export function parseAuthorization(header: string): Credentials {
  if (header.length > MAX_AUTHORIZATION_LENGTH) throw unreadable("it is too long");
  const [, scheme = "", rest = ""] = /^ *([A-Za-z]+) +(\S+) *$/.exec(header) ?? [];
  switch (scheme.toLowerCase()) {
    case "basic":
      return parseBasic(rest);
    case "bearer":
      return tokenCredentials(rest);
    default:
      throw unreadable("it is neither Basic nor Bearer");
  }
}

/** @throws {UnauthenticatedError} when it does not have the form of a JSON Web Token */
export function tokenCredentials(token: string, user: string | null = null): TokenCredentials {
  return { kind: "token", token, claimedIssuer: issuerOf(token), user };
}

/**
 * Header, claims and signature; the first two are JSON objects and so begin like this in base64.
 */
const TOKEN = /^ey[\w-]*\.ey[\w-]*\.[\w-]*$/;

function parseBasic(text: string): Credentials {
  // `from` skips characters that are not base64.
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64").replace(/=+$/, "") !== text.replace(/=+$/, "")) {
    throw unreadable("it is not base64");
  }
  let decoded;
  try {
    decoded = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // The decoder's own error adds no information.
    throw unreadable("it is not UTF-8");
  }
  const colon = decoded.indexOf(":");
  if (colon === -1) throw unreadable("it has no colon between user and password");
  const [user, password] = [decoded.slice(0, colon), decoded.slice(colon + 1)];
  return TOKEN.test(password)
    ? tokenCredentials(password, user)
    : { kind: "password", user, password };
}

function issuerOf(token: string): string {
  if (!TOKEN.test(token)) {
    throw new UnauthenticatedError("Cannot accept the token: not a JSON Web Token");
  }
  try {
    return decodeJwt(token).iss ?? "";
  } catch (cause) {
    throw new UnauthenticatedError("Cannot accept the token: not a JSON Web Token", { cause });
  }
}

function unreadable(why: string): UnauthenticatedError {
  return new UnauthenticatedError(`Cannot read the header Authorization: ${why}`);
}
