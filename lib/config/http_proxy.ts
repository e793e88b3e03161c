/**
 * The section `httpProxy`: the forward proxy for all outgoing connections, ours and git's. As in the original
 * go-mod-proxy, it takes the place of the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY; and what it says reaches the
 * runtime, its libraries and git by these variables, because they are what all of them understand.
 *
 * ```yaml
 * httpProxy:
 *   url: http://proxy.example.com:3128
 *   user: me
 *   password: { file: proxy-password }
 *   noProxy: git.example.com,.internal.example.com,10.0.0.0/8
 * ```
 *
 * Loopback is always reached directly. KNOWN LIMIT: entries of `noProxy` with a port cannot be told to git, and are
 * refused.
 */
import { z } from "zod";
import { readSecretLine, type SecretPlaces } from "../credentials/secret.ts";
import { httpUrl, secret, textFor } from "./fields.ts";

/** A host, `.domain`, `*.domain`, an address, or a block of them. */
const NO_PROXY_ENTRY =
  /^(?:(?:\*?\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)(?:\/\d{1,3})?$/;
const LOOPBACK = ["localhost", "127.0.0.0/8", "::1"];

export const httpProxy = z.strictObject({
  /** Default: what HTTPS_PROXY and HTTP_PROXY say. */
  url: httpUrl.check((context) => {
    if (/^[a-z]+:\/\/[^/]+\/?$/i.test(context.value)) return;
    context.issues.push({ code: "custom", input: context.value, message: "it has a path" });
  }).exactOptional(),
  /** For Basic authentication, with `password`. */
  user: textFor((text) => {
    // deno-lint-ignore no-control-regex -- a header cannot have them
    if (/[:\x00-\x1f\x7f]|^$/.test(text)) {
      throw new Error("empty, or a colon or control character in it");
    }
  }).exactOptional(),
  password: secret.exactOptional(),
  /** Hosts that are reached directly, separated by commas. `*`: all of them. Default: none but loopback. */
  noProxy: textFor(noProxyEntries).exactOptional(),
}).check((context) => {
  const { url, user, password, noProxy } = context.value;
  const fault = (user === undefined) !== (password === undefined)
    ? "user and password go together"
    : url === undefined && (user ?? noProxy) !== undefined
    ? "url is missing"
    : null;
  if (fault !== null) {
    context.issues.push({ code: "custom", input: context.value, message: fault });
  }
});

export type HttpProxyConfig = z.output<typeof httpProxy>;

/**
 * The variables by which outgoing connections find their way, as the section wants them; "none": not one of them is to be
 * set.
 *
 * @throws {SecretError} when the password cannot be read
 */
export async function proxyVariables(
  { url, user, password, noProxy = "" }: HttpProxyConfig,
  places: SecretPlaces,
): Promise<Record<"HTTPS_PROXY" | "HTTP_PROXY" | "NO_PROXY", string> | "as they are" | "none"> {
  if (url === undefined) return "as they are";
  const entries = noProxyEntries(noProxy);
  if (entries.includes("*")) return "none";
  const proxy = new URL(url);
  if (user !== undefined && password !== undefined) {
    proxy.username = encodeURIComponent(user);
    proxy.password = encodeURIComponent(await readSecretLine(password, places));
  }
  const href = proxy.href.replace(/\/$/, "");
  return { HTTPS_PROXY: href, HTTP_PROXY: href, NO_PROXY: [...entries, ...LOOPBACK].join(",") };
}

/** @throws {Error} saying which entry cannot be told to git and to the runtime */
function noProxyEntries(text: string): string[] {
  const entries = text.split(",").map((entry) => entry.trim()).filter((entry) => entry !== "");
  for (const entry of entries) {
    if (/^[^:]+:\d+$|\]:\d+$/.test(entry)) {
      throw new Error(`"${entry}" has a port; name the host alone`);
    }
    if (entry !== "*" && !NO_PROXY_ENTRY.test(entry)) {
      throw new Error(`"${entry}" is not a host, .domain, *.domain, address, CIDR block or *`);
    }
  }
  return entries.map((entry) => entry.replace(/^\*\./, "."));
}
