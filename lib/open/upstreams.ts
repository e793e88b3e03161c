/** The upstream list of the configuration or the environment. */
import { ConfigError } from "../errors.ts";
import { display, isLoopback } from "../http/client.ts";
import type { SourceEntry } from "../source/open.ts";
import { type ListEntry, parseSourceList } from "../source/source_list.ts";
import { Upstream, type UpstreamTimes } from "../source/upstream.ts";
import type { Surroundings } from "./surroundings.ts";

export interface OpenUpstreamsOptions {
  /**
   * The port that this process listens on, which excludes itself as an upstream. Null: it does not
   * listen.
   */
  readonly port: number | null;
  readonly times?: UpstreamTimes | undefined;
}

/** @throws {ConfigError} when the list is malformed or contains this process */
export function openUpstreams(
  surroundings: Pick<Surroundings, "config" | "env" | "log" | "fetch">,
  { port, times }: OpenUpstreamsOptions,
): SourceEntry[] {
  return chooseUpstreams(surroundings, port).map((entry) =>
    entry.kind === "proxy"
      ? {
        kind: "proxy",
        upstream: new Upstream(entry.url, surroundings.fetch, times),
        onAnyError: entry.onAnyError,
      }
      : entry
  );
}

/** The proxies of the list, in its order: they may serve checksum databases too. */
export function proxiesOf(entries: readonly SourceEntry[]): Upstream[] {
  return entries.flatMap((entry) => entry.kind === "proxy" ? [entry.upstream] : []);
}

/**
 * The entries of `parentProxy.url`, else of the variable GOPROXY as any Go tool reads it, else
 * `direct`: the repositories.
 *
 * @throws {ConfigError}
 */
export function chooseUpstreams(
  { config, env, log }: Pick<Surroundings, "config" | "env" | "log">,
  port: number | null,
): ListEntry[] {
  const warning = noUpstreamWarning({ config, env });
  if (warning !== null) {
    log.warn(warning);
    return [{ kind: "direct" }];
  }
  const text = config.parentProxy?.url ?? env["GOPROXY"] ?? "";
  const origin = config.parentProxy === undefined ? "GOPROXY" : "parentProxy.url";
  try {
    const entries = parseSourceList(text);
    for (const entry of entries) if (entry.kind === "proxy") refuseOurselves(entry.url, port);
    return entries;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`${origin}: ${reason}`, { cause });
  }
}

/** Null if an upstream is configured. */
export function noUpstreamWarning(
  { config, env }: Pick<Surroundings, "config" | "env">,
): string | null {
  if (config.parentProxy !== undefined || env["GOPROXY"]) return null;
  return "no upstream is configured: public modules come from their own repositories; " +
    'to use a proxy, start with GOPROXY="https://proxy.example.com,direct" or set parentProxy.url';
}

function refuseOurselves(url: URL, port: number | null): void {
  if (!isLoopback(url.hostname) || Number(url.port) !== port) return;
  throw new Error(
    `"${
      display(url)
    }" is this server itself; set parentProxy.url to the proxy it takes modules from`,
  );
}
