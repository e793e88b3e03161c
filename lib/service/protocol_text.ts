/**
 * The texts of the module protocol (Go Modules Reference, "GOPROXY protocol"), for routes and
 * exports.
 */
import { formatInfo } from "../module/info.ts";
import type { Version } from "../module/version.ts";
import type { Copy } from "../store/manifest.ts";

/** `<version>.info` and `@latest`: JSON. */
export function infoText({ manifest: { version, time, origin } }: Copy): string {
  return formatInfo(origin === undefined ? { version, time } : { version, time, origin });
}

/** `list`: one version per line. */
export function listText(versions: readonly Version[]): string {
  return versions.map((version) => `${version}\n`).join("");
}
