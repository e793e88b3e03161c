/**
 * URLs of git remotes. Every remote that reaches git has gone through {@linkcode parseRemoteUrl};
 * so it cannot be an option (`-…`), another program (`ext::…`), another protocol, or carry a
 * password.
 */
import { InvalidRequestError } from "../errors.ts";

/**
 * `https://…` or, for hosts where that is allowed, `http://…`; without userinfo, query and
 * fragment.
 */
export type RemoteUrl = string & { readonly __brand: "RemoteUrl" };

export interface RemoteUrlRules {
  /** Whether git may use plain http for this host (`host` or `host:port`). Default: for none. */
  readonly isHttpAllowed?: (host: string) => boolean;
}

/** No repository has a longer URL. */
export const REMOTE_URL_MAX_CHARS = 1024;

/**
 * The remote that a text names, in the URL standard's spelling (host in lower case, no default
 * port).
 *
 * @throws {InvalidRequestError} when the text is not a URL that git may be given
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const remote = parseRemoteUrl("https://Git.Example.com:443/a/b.git");
 * assert.equal(remote, "https://git.example.com/a/b.git");
 * assert.throws(() => parseRemoteUrl("ext::sh -c date"));
 * assert.throws(() => parseRemoteUrl("http://git.example.com/a"));
 * ```
 */
export function parseRemoteUrl(text: string, rules: RemoteUrlRules = {}): RemoteUrl {
  const fault = faultOf(text, rules);
  if (fault !== null) throw new InvalidRequestError(`Cannot use this repository URL: ${fault}`);
  return new URL(text).href as RemoteUrl;
}

/** Why a text is not a valid remote, or null. The text is not quoted: it may contain a password. */
function faultOf(text: string, { isHttpAllowed = () => false }: RemoteUrlRules): string | null {
  if (text.length > REMOTE_URL_MAX_CHARS) return `it has over ${REMOTE_URL_MAX_CHARS} characters`;
  // The URL parser drops tabs and newlines and trims spaces: what it would tolerate is refused
  // first.
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  if (/[\x00-\x20\x7f\\]/.test(text)) return "it has a space, backslash or control character";
  if (!URL.canParse(text)) return "it is not a URL";
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return "it has a user or password";
  if (url.hostname.startsWith("-")) return "its host begins like an option";
  if (url.search !== "" || url.hash !== "") return "it has a query or fragment";
  if (url.protocol === "https:") return null;
  if (url.protocol !== "http:") return `git may not use the scheme ${url.protocol.slice(0, -1)}`;
  return isHttpAllowed(url.host) ? null : `plain http is not allowed for host ${url.host}`;
}
