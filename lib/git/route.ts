/**
 * How git reaches a remote that a stranger has named (http/egress.ts): at addresses that were
 * looked up and checked, without redirects. libcurl gets the addresses (`http.curloptResolve`, git
 * 2.37) and looks nothing up.
 *
 * git is started with the URL that the redirects lead to. It cannot follow one:
 * `http.followRedirects` is false, which also keeps it from alternates that a "dumb" server names.
 */
import type { Route } from "../http/egress_routes.ts";
import type { GitEnvironment } from "./command.ts";
import type { RemoteUrl } from "./remote_url.ts";

export interface NetworkRoute {
  readonly remote: RemoteUrl;
  /** To the host of `remote`. */
  readonly route: Route;
}

/** The last entries of git's configuration for this remote. */
export function routeConfig(
  found: NetworkRoute | undefined,
): readonly (readonly [key: string, value: string])[] {
  if (found === undefined) return [];
  const config: [string, string][] = [["http.followRedirects", "false"]];
  if (found.route.kind === "direct") {
    const { destination: { hostname, port }, addresses } = found.route;
    // An address needs no lookup.
    if (!addresses.includes(hostname)) {
      const list = addresses.map((text) => text.includes(":") ? `[${text}]` : text).join(",");
      config.push(["http.curloptResolve", `${hostname}:${port}:${list}`]);
    }
  }
  return config;
}

/**
 * The forward proxies that git gets. Whether the remote needs one is already decided; git would
 * interpret NO_PROXY by rules of its own, and connect without a check.
 */
export function proxiesFor(
  environment: GitEnvironment,
  found: NetworkRoute | undefined,
): Pick<GitEnvironment, "httpsProxy" | "httpProxy" | "noProxy"> {
  if (found === undefined) return environment;
  if (found.route.kind === "direct") return {};
  const { href } = found.route.proxy;
  return { httpsProxy: href, httpProxy: href };
}
