/**
 * The client's side of `/auth/…`: an identity is exchanged for an access token (RFC 6750), which is good for a while and
 * for this server only.
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

/** What proves an identity. */
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

/** A POST that follows no redirects: a password is for the server that it is meant for. */
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
 * An access token, or null where the server issues none: then the proof itself is what requests carry
 * ({@linkcode proofHeader}).
 *
 * @throws {UnauthenticatedError} when the server does not accept the proof
 * @throws {UpstreamError} when it answers anything else
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
  const bytes = new TextEncoder().encode(`${login.user}:${login.password}`);
  return `Basic ${bytes.toBase64()}`;
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
  // The characters of RFC 6750's b64token: anything else could not stand in a header.
  if (typeof token !== "string" || !/^[\w.~+/-]+=*$/.test(token)) return null;
  if (typeof expiresInSeconds !== "number" || !(expiresInSeconds > 0)) return null;
  return { token, expiresInSeconds };
}

/** What the server says, as far as it is fit for a terminal. */
function firstLine(text: string): string {
  const [line = ""] = text.split("\n");
  return line.replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+/gu, " ").slice(0, 200) || "refused";
}
