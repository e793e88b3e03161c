/** The two kinds of patterns of module paths in a rule of the access list (access_list.ts). */
import { RE2JS } from "re2js";
import { messageOf } from "../schema/fields.ts";
import { globSource } from "../module/glob.ts";

/** The fault of a regular expression, or null. */
export function moduleRegexpFault(source: string): string | null {
  return messageOf(() => RE2JS.compile(source));
}

/** The fault of a glob of module paths, or null. */
export function moduleGlobFault(glob: string): string | null {
  if (glob.includes(",")) return "write each pattern as an entry of the list, without commas";
  if (/^\/|\/\/|^$/.test(glob)) return "it has an empty element";
  return messageOf(() => globSource(glob));
}
