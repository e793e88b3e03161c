/**
 * git's standard error as part of an error message: one short line without secrets and control
 * characters (the remote wrote part of it).
 */

import { redact } from "../log/redact.ts";

/** Longer messages are cut. */
export const MESSAGE_MAX_CHARS = 1000;

/**
 * @param secrets replaced wherever they occur; the userinfo of URLs is removed in any case
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const said = "remote: Nope, hunter2\nfatal: cannot reach 'https://u:p@git.example.com/'\n";
 * assert.equal(
 *   readableStderr(said, ["hunter2"]),
 *   "remote: Nope, ***; fatal: cannot reach 'https://***@git.example.com/'",
 * );
 * ```
 */
export function readableStderr(stderr: string, secrets: readonly string[]): string {
  const line = redact(stderr, secrets)
    .split(/[\r\n]+/)
    // deno-lint-ignore no-control-regex -- control characters are what is looked for
    .map((part) => part.replaceAll(/[\x00-\x1f\x7f-\x9f]+/g, " ").trim())
    .filter((part) => part !== "")
    .join("; ");
  return line.length > MESSAGE_MAX_CHARS ? `${line.slice(0, MESSAGE_MAX_CHARS)}…` : line;
}
