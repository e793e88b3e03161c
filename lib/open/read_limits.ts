/**
 * The limits of all that is read of others, in one list: docs/operating.md has it as a table, which
 * a test compares with this file. A reader spends its limits from a budget (async/budget.ts).
 */
import type { ReadLimits } from "../async/budget.ts";
import { FILE_LIMITS, ZIP_LIMITS } from "../advisories/feed.ts";
import { KEY_SET_LIMITS } from "../auth/key_set.ts";
import { API_LIMITS } from "../credentials/github_app.ts";
import { DEFAULT_GIT_LIMITS, gitReadLimits } from "../git/limits.ts";
import { MAX_VERSIONS } from "../source/git_tags.ts";
import { PAGE_LIMITS } from "../source/discover.ts";
import { PROXY_READS } from "../source/proxy_source.ts";
import { MIN_ZIP_BYTES_PER_SECOND, REASON_LIMITS, UPSTREAM_TIMES } from "../source/upstream.ts";
import { LISTING_LIMITS } from "../store/bucket.ts";
import { ANSWER_LIMITS } from "../store/store_client.ts";
import { LIMIT_NAME } from "../sumdb/fetch_order.ts";
import { MAX_DATA_TILE_BYTES } from "../sumdb/log_folder.ts";

export interface ListedLimit {
  readonly limits: ReadLimits;
  /** What the client gets, or what happens instead. */
  readonly then: string;
}

const { smallTimeoutMs: timeoutMs, zipTimeoutMs } = UPSTREAM_TIMES;

function small({ name, limitBytes }: { name: string; limitBytes: number }): ReadLimits {
  return { name, maxBytes: limitBytes, timeoutMs };
}

export const READ_LIMITS: readonly ListedLimit[] = [
  {
    limits: { ...small(PROXY_READS.list), maxItems: MAX_VERSIONS, items: "versions" },
    then: "what is published, else 502",
  },
  { limits: small(PROXY_READS.info), then: "502" },
  { limits: small(PROXY_READS.goMod), then: "502" },
  {
    limits: {
      ...small(PROXY_READS.zip),
      timeoutMs: zipTimeoutMs,
      minBytesPerSecond: MIN_ZIP_BYTES_PER_SECOND,
    },
    then: "502",
  },
  { limits: REASON_LIMITS, then: "the reason is left out" },
  { limits: PAGE_LIMITS, then: "the rest is not read" },
  { limits: small({ name: LIMIT_NAME, limitBytes: MAX_DATA_TILE_BYTES }), then: "502" },
  ...Object.values(gitReadLimits(DEFAULT_GIT_LIMITS)).map((limits) => ({ limits, then: "502" })),
  { limits: KEY_SET_LIMITS, then: "keys known so far, else 502" },
  { limits: API_LIMITS, then: "502" },
  { limits: FILE_LIMITS, then: "what is known" },
  { limits: ZIP_LIMITS, then: "what is known" },
  { limits: ANSWER_LIMITS, then: "503" },
  { limits: LISTING_LIMITS, then: "503" },
];

/** The table of docs/operating.md, in Markdown. */
export function readLimitsTable(): string {
  const rows = READ_LIMITS.map(({ limits, then }) => [
    limits.name,
    bytesText(limits.maxBytes),
    limits.maxItems === undefined ? "" : `${limits.maxItems.toLocaleString("en")} ${limits.items}`,
    limits.timeoutMs === null ? "" : `${limits.timeoutMs / 1000} s`,
    limits.minBytesPerSecond === undefined ? "" : `${bytesText(limits.minBytesPerSecond)}/s`,
    then,
  ]);
  const titles = ["limit", "bytes", "items", "time", "minimum rate", "beyond the limit"];
  const lines = [titles, titles.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function bytesText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (bytes >= 1024 && bytes % 1024 === 0 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${bytes.toLocaleString("en")} ${units[unit]}`;
}
