/**
 * The client's side of `/auth/…`: exchanges an identity for an access token (RFC 6750), which is
 * valid for a limited time and only for this server.
 *
 * ```
 * POST /auth/userpassword  {"user": "…", "password": "…"}
 * POST /auth/gce           Authorization: Bearer <identity token>
 * POST /auth/oidc          Authorization: Bearer <identity token>
 *
 * 200 {"access_token": "…", "expires_in": 3600, "token_type": "Bearer"}
 * ```
 */
import { UnauthenticatedError, UpstreamError } from "../errors.ts";
import { basicAuthorization } from "../http/basic_authorization.ts";

/** The proof of an identity. */
export type Login =
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  | { readonly kind: "gce" | "oidc"; readonly token: string };

export interface AccessToken {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly obtainedAtMs: number;
  readonly expiresAtMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** A POST that follows no redirects: a password goes only to the server that it is for. */
export type Post = (
  url: URL,
  init: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
) => Promise<HttpAnswer>;

export interface LogInOptions {
  readonly server: URL;
  readonly post: Post;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * An access token, or null if the server issues none: then requests carry the proof itself
 * ({@linkcode proofHeader}).
 *
 * @throws {UnauthenticatedError} when the server does not accept the proof @throws {UpstreamError}
 *   for any other response
 */
export async function logIn(
  login: Login,
  { server, post, now }: LogInOptions,
): Promise<AccessToken | null> {
  const obtainedAtMs = now();
  const path = login.kind === "password" ? "userpassword" : login.kind;
  const url = new URL(`${server.href.replace(/\/$/, "")}/auth/${path}`);
  const { status, body } = await post(
    url,
    login.kind === "password"
      ? {
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ user: login.user, password: login.password }),
      }
      : { headers: { "Authorization": `Bearer ${login.token}` }, body: "" },
  );
  if (status === 404) return null;
  if (status === 401 || status === 403) {
    throw new UnauthenticatedError(`Cannot log in at ${server.origin}: ${firstLine(body)}`);
  }
  if (status !== 200) {
    throw new UpstreamError(`Cannot log in at ${server.origin}: status ${status}`);
  }
  const answer = parseAnswer(body);
  if (answer === null) {
    throw new UpstreamError(
      `Cannot log in at ${server.origin}: its response is not an access token`,
    );
  }
  const { token, expiresInSeconds } = answer;
  return { token, obtainedAtMs, expiresAtMs: obtainedAtMs + expiresInSeconds * 1000 };
}

/** The value of `Authorization` that carries an access token. */
export function tokenHeader({ token }: AccessToken): string {
  return `Bearer ${token}`;
}

/** The value of `Authorization` that carries the proof itself. */
export function proofHeader(login: Login): string {
  if (login.kind !== "password") return `Bearer ${login.token}`;
  return basicAuthorization({ username: login.user, password: login.password });
}

function parseAnswer(json: string): { token: string; expiresInSeconds: number } | null {
  let answer: unknown;
  try {
    answer = JSON.parse(json);
  } catch {
    return null;
  }
  if (typeof answer !== "object" || answer === null) return null;
  const { access_token: token, expires_in: expiresInSeconds } = answer as Record<string, unknown>;
  // The characters of RFC 6750's b64token: other characters must not get into a header.
  if (typeof token !== "string" || !/^[\w.~+/-]+=*$/.test(token)) return null;
  if (typeof expiresInSeconds !== "number" || !(expiresInSeconds > 0)) return null;
  return { token, expiresInSeconds };
}

/** The first line of the server's message, printable on a terminal. */
function firstLine(text: string): string {
  const [line = ""] = text.split("\n");
  return line.replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+/gu, " ").slice(0, 200) || "refused";
}
