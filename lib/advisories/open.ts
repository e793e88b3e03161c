/** Opens the advisories that the configuration describes. */
import { fileURLToPath } from "node:url";
import { resolve } from "node:path";
import type { Fetch } from "../http/client.ts";
import { parseDurationMs } from "../schema/duration.ts";
import { Advisories, type AdvisoriesOptions } from "./advisories.ts";
import type { AdvisoriesConfig, AdvisorySourceConfig } from "./config.ts";
import type { Feed } from "./feed.ts";
import { MalwareFeed } from "./malware_feed.ts";
import { Mirror, type MirrorOptions } from "./mirror.ts";
import { OsvFeed } from "./osv_feed.ts";
import { VulndbFeed } from "./vulndb_feed.ts";

export interface OpenAdvisoriesOptions
  extends
    Pick<MirrorOptions, "store" | "now" | "log" | "metrics">,
    Pick<AdvisoriesOptions, "isPrivate"> {
  readonly fetch: Fetch;
  /** Directory that relative paths are resolved against. */
  readonly directory: string;
  /** For zips while they are read. */
  readonly scratchDirectory: () => Promise<string>;
}

/** Null without a source. */
export function openAdvisories(
  config: AdvisoriesConfig,
  { fetch, directory, scratchDirectory, isPrivate, ...options }: OpenAdvisoriesOptions,
): Advisories | null {
  if (config.sources.length === 0) return null;
  const maxStaleMs = parseDurationMs(config.maxStale);
  const mirrors = config.sources.map((source) =>
    new Mirror({
      ...options,
      name: source.name,
      feed: feedOf(source, { fetch, directory, scratchDirectory }),
      maxStaleMs,
      maxLossPercent: source.maxLossPercent,
    })
  );
  const refreshEveryMs = parseDurationMs(config.refreshEvery);
  return new Advisories({ ...options, mirrors, refreshEveryMs, isPrivate });
}

function feedOf(
  source: AdvisorySourceConfig,
  { fetch, directory: base, scratchDirectory }: Pick<
    OpenAdvisoriesOptions,
    "fetch" | "directory" | "scratchDirectory"
  >,
): Feed {
  const url = source.url === undefined ? null : new URL(source.url);
  const local = url?.protocol === "file:" ? fileURLToPath(url) : null;
  const remote = url === null || local !== null ? null : { url, fetch, scratchDirectory };
  const kind = source.kind ?? (url === null ? "osv" : "vulndb");
  const directory = source.directory === undefined ? null : resolve(base, source.directory);
  const file = source.file === undefined ? local : resolve(base, source.file);
  switch (kind) {
    case "vulndb":
      return new VulndbFeed(remote ?? { directory: directory ?? file ?? base });
    case "osv":
      return new OsvFeed(remote ?? (directory === null ? { file: file ?? base } : { directory }));
    case "malware":
      return new MalwareFeed({ source: source.name, place: remote ?? { file: file ?? base } });
  }
}
