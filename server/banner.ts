/**
 * The message when the server listens: a line of the log or, at a terminal, three lines:
 *
 * ```text
 * go-mod-proxy  http://127.0.0.1:8080
 * store         disk ./data
 * upstream      https://proxy.example.com, direct
 * ```
 */
import type { Logger } from "../lib/log/log.ts";

export interface Listening {
  readonly url: string;
  readonly store: string;
  readonly upstream: string;
}

export function announce(facts: Listening, log: Logger): void {
  if (!Deno.stderr.isTerminal()) return log.info(facts, "listening");
  const text = banner(facts, { colors: !Deno.noColor });
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

const BOLD = 1;
const DIM = 2;

/**
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const facts = { url: "http://127.0.0.1:80", store: "disk ./data", upstream: "direct" };
 * assert.equal(banner(facts, { colors: false }).split("\n")[1], "store         disk ./data");
 * ```
 */
export function banner(
  { url, store, upstream }: Listening,
  { colors }: { colors: boolean },
): string {
  const paint = (text: string, code: number) => colors ? `\x1b[${code}m${text}\x1b[0m` : text;
  const name = (text: string, code: number) => paint(text.padEnd("go-mod-proxy  ".length), code);
  return `${name("go-mod-proxy", BOLD)}${paint(url, BOLD)}\n` +
    `${name("store", DIM)}${store}\n${name("upstream", DIM)}${upstream}\n`;
}
