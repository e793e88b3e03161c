/**
 * The section `httpProxy` as environment variables. As in the original go-mod-proxy it replaces
 * HTTPS_PROXY, HTTP_PROXY and NO_PROXY. The runtime, its libraries and git get it through these
 * variables, because all of them understand them.
 */
import { readSecretLine, type SecretPlaces } from "../credentials/secret.ts";
import { type HttpProxyConfig, noProxyEntries } from "../http/config.ts";

/** Always reached directly. */
const LOOPBACK = ["localhost", "127.0.0.0/8", "::1"];

/**
 * The variables that the section stands for; "none": none of them may be set.
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
