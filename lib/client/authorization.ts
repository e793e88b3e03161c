/**
 * The value of `Authorization` for a server: an access token that is still valid for a while, from
 * the cache or by logging in.
 */
import type { Identity } from "./identity.ts";
import { type AccessToken, logIn, type LogInOptions, proofHeader, tokenHeader } from "./log_in.ts";

/** Where access tokens are kept. */
export interface AccessTokens {
  get(key: string): Promise<AccessToken | null>;
  put(key: string, token: AccessToken): Promise<unknown>;
}

/** Nothing is kept: each run logs in. */
export const NO_TOKENS: AccessTokens = {
  get: () => Promise.resolve(null),
  put: () => Promise.resolve(false),
};

export interface AuthorizationOptions extends LogInOptions {
  readonly identity: Identity;
  readonly tokens: AccessTokens;
  /** Whether the server has just refused the last value. */
  readonly isRefused: boolean;
}

/** A token with less time left is renewed: a build may run for a while before it asks again. */
const MIN_REMAINING_MS = 60_000;
/** A short-lived token is not renewed before this part of its lifetime is over. */
const MIN_USED_PART = 0.75;
/**
 * A younger token that is refused is not renewed: a new one would be refused too, for another
 * reason.
 */
const MIN_REFUSED_AGE_MS = 10_000;

/** @throws as {@linkcode logIn} and {@linkcode Identity.prove} */
export async function authorizationFor(options: AuthorizationOptions): Promise<string> {
  const { identity, tokens, server, now, isRefused } = options;
  const key = JSON.stringify([server.href, identity.description, identity.key]);
  const kept = await tokens.get(key);
  if (kept !== null && isGood(kept, { nowMs: now(), isRefused })) return tokenHeader(kept);
  const login = await identity.prove();
  const token = await logIn(login, options);
  if (token === null) return proofHeader(login);
  await tokens.put(key, token);
  return tokenHeader(token);
}

/** Whether a token is valid for a while. */
export function isGood(
  { obtainedAtMs, expiresAtMs }: AccessToken,
  { nowMs, isRefused }: { readonly nowMs: number; readonly isRefused: boolean },
): boolean {
  // After a clock is set back, tokens are from the future: how long they are valid is unknown.
  if (nowMs < obtainedAtMs) return false;
  if (isRefused) return nowMs < Math.min(obtainedAtMs + MIN_REFUSED_AGE_MS, expiresAtMs);
  const lifeMs = expiresAtMs - obtainedAtMs;
  return nowMs < expiresAtMs - Math.min(MIN_REMAINING_MS, lifeMs * (1 - MIN_USED_PART));
}
