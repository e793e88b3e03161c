/**
 * `POST /auth/…`: logs in and returns an access token, in the form of RFC 6749, 5.1:
 *
 * | request                                                          | client                              |
 * | ---------------------------------------------------------------- | ----------------------------------- |
 * | `/auth/userpassword`, body `{"user": "…", "password": "…"}`      | an identity with a password         |
 * | `/auth/gce`, header `Authorization: Bearer <identity token>`     | an instance of Google's             |
 * | `/auth/oidc`, the same                                           | a holder of an OpenID Connect token |
 *
 * ```json
 * {"access_token":"eyJ…","expires_in":3600,"token_type":"Bearer"}
 * ```
 *
 * A body that is not such an object, has other members, or is larger than
 * {@linkcode MAX_BODY_BYTES} is answered with 400; invalid credentials with 401; too many wrong
 * passwords with 429. A login method that the server is not configured for is answered with 404.
 */
import { z } from "zod";
import { LOGIN_METHODS, type LoginMethod } from "../lib/auth/authenticator.ts";
import type { ClientAuth } from "../lib/auth/client_auth.ts";
import { type Credentials, parseAuthorization } from "../lib/auth/credentials.ts";
import { ANYONE } from "../lib/auth/guard.ts";
import { MalformedBodyError, UnauthenticatedError } from "../lib/errors.ts";
import type { Answer } from "./answer.ts";
import type { Route, RouteRequest } from "./app.ts";
import { readRequestBody } from "./request_body.ts";
import { noteAnswer } from "./respond.ts";

export const MAX_BODY_BYTES = 4096;

export function authRoute(auth: Pick<ClientAuth, "logIn">): Route {
  return {
    name: "auth",
    methods: ["POST"],
    matches: (path) => methodOf(path) !== null,
    read: (request) => ({
      access: ANYONE,
      answer: () => logIn(auth, request),
    }),
  };
}

function methodOf(path: string): LoginMethod | null {
  return LOGIN_METHODS.find((method) => path === `auth/${method}`) ?? null;
}

async function logIn(auth: Pick<ClientAuth, "logIn">, request: RouteRequest): Promise<Answer> {
  const method = methodOf(request.path);
  if (method === null) throw new Error(`No way to log in: ${request.path}`);
  const credentials = method === "userpassword"
    ? await readPassword(request)
    : bearerOf(request.headers);
  const { token, expiresInSeconds } = await auth.logIn(method, credentials, request);
  const text = JSON.stringify({
    access_token: token,
    expires_in: expiresInSeconds,
    token_type: "Bearer",
  });
  return noteAnswer(text, { status: 200, headers: { "Content-Type": "application/json" } });
}

const passwordBody = z.strictObject({ user: z.string(), password: z.string() });

async function readPassword(request: RouteRequest): Promise<Credentials> {
  const text = await readRequestBody(request, { maxBytes: MAX_BODY_BYTES });
  let body;
  try {
    body = passwordBody.parse(JSON.parse(text));
  } catch {
    // The parser's message could show a part of the password.
    throw new MalformedBodyError('Cannot log in: the body is not {"user": "…", "password": "…"}');
  }
  return { kind: "password", ...body };
}

function bearerOf(headers: Headers): Credentials {
  const header = headers.get("Authorization");
  const credentials = header === null ? null : parseAuthorization(header);
  if (credentials?.kind === "token") return credentials;
  throw new UnauthenticatedError(
    "Cannot log in without the header Authorization: Bearer <identity token>",
  );
}
