/** The sections `parentProxy`, where public modules come from, and `fetch`. */
import { z } from "zod";
import type { Fault } from "../schema/fault.ts";
import { textFor } from "../schema/fields.ts";
import { parseSourceList } from "./source_list.ts";

export const parentProxy = z.strictObject({
  /** A list as in `GOPROXY`. */
  url: textFor(parseSourceList),
});

/** The section `fetch`: how modules are fetched. */
export const fetch = z.strictObject({
  /**
   * Whether what a client will ask for next, by the go.mod files that it was given, is fetched
   * before it asks.
   */
  ahead: z.enum(["on", "off"]).default("on"),
});

export type ParentProxyConfig = z.output<typeof parentProxy>;

export function parentProxyWarnings({ url }: ParentProxyConfig): Fault[] {
  const message = sourceListWarning(url);
  return message === null ? [] : [{ path: ["parentProxy", "url"], message }];
}

/** What is legal in a list as in `GOPROXY` and likely wrong. */
export function sourceListWarning(text: string): string | null {
  const entries = text.split(/[,|]/).map((entry) => entry.trim()).filter((entry) => entry !== "");
  const end = entries.findIndex((entry) => entry === "direct" || entry === "off");
  return end < 0 || end === entries.length - 1
    ? null
    : `entries after "${entries[end]}" are never used`;
}
