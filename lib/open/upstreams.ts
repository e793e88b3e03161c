/** Which upstreams the configuration and the environment name. */
import type { Config } from "../config/config.ts";
import { ConfigError } from "../errors.ts";
import { display, isLoopback } from "../http/client.ts";
import type { Logger } from "../log/log.ts";
import { type ListEntry, parseSourceList } from "../source/source_list.ts";

export interface ChooseUpstreamsOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly log: Logger;
  /** The port that this process listens on, so that no upstream is itself. Default: it listens on none. */
  readonly port?: number | null;
}

/** Design, section 3: the configuration, else the variable that every Go tool reads, else the repositories themselves. */
export function chooseUpstreams(
  config: Config,
  { env, log, port = null }: ChooseUpstreamsOptions,
): ListEntry[] {
  const text = config.parentProxy?.url ?? env["GOPROXY"] ?? "";
  if (text === "") {
    log.warn(
      "no upstream is configured, so public modules come from their own repositories; " +
        'to use a proxy, start with GOPROXY="https://proxy.example.com,direct" or set parentProxy.url',
    );
    return [{ kind: "direct" }];
  }
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

function refuseOurselves(url: URL, port: number | null): void {
  if (!isLoopback(url.hostname) || Number(url.port) !== port) return;
  throw new Error(
    `"${
      display(url)
    }" is this server itself; set parentProxy.url to the proxy it takes modules from`,
  );
}
