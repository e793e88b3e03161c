/**
 * The rules that module paths and file names in a module zip have in common. A path is a row of
 * elements between slashes; an element must be a file name on every system that Go runs on, Windows
 * included.
 *
 * Follows `checkPath` and `checkElem` of golang.org/x/mod/module. The reasons are ours, the
 * verdicts are Go's; the golden vectors hold them together.
 *
 * KNOWN LIMIT: a file name may hold any Unicode letter. Go 1.26 knows the letters of Unicode 15, V8
 * those of a newer one, so a name with a letter that is only a few years old passes here and is
 * refused by that `go` command.
 */
import { quoted } from "./quoted.ts";

/**
 * What a path names. A module path has the narrower alphabet, because it is part of URLs and of
 * shell commands.
 */
export type PathKind = "module" | "file";

const CHARACTER: Readonly<Record<PathKind, RegExp>> = {
  module: /^[-._~0-9A-Za-z]$/,
  file: /^[-!#$%&()+,.=@[\]^_{}~ 0-9A-Za-z]$|^(?![\0-\x7f])\p{L}$/u,
};

/** Reserved on Windows in any case, also with an extension. */
const WINDOWS_NAME = /^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])$/i;

/** The end of a Windows short name, `PROGRA~1`. */
const SHORT_NAME = /~[0-9]+$/;

/** Why `path` is not a path of its kind, or null. */
export function pathFault(path: string, kind: PathKind): string | null {
  if (!path.isWellFormed()) return "not valid Unicode";
  if (path === "") return "empty string";
  if (path.startsWith("-") && kind === "module") return "leading dash";
  if (path.startsWith("/")) return "leading slash";
  if (path.endsWith("/")) return "trailing slash";
  for (const element of path.split("/")) {
    const fault = elementFault(element, kind);
    if (fault !== null) return fault;
  }
  return null;
}

/** Why `element` cannot stand between two slashes of a path of its kind, or null. */
export function elementFault(element: string, kind: PathKind): string | null {
  if (element === "") return "empty path element";
  if (/^\.+$/.test(element)) return `path element ${quoted(element)} has nothing but dots`;
  if (element.startsWith(".") && kind === "module") return "leading dot in path element";
  if (element.endsWith(".")) return "trailing dot in path element";
  for (const character of element) {
    if (!CHARACTER[kind].test(character)) return `invalid character ${quoted(character)}`;
  }
  const [stem = ""] = element.split(".", 1);
  if (WINDOWS_NAME.test(stem)) return `${quoted(stem)} is a reserved file name on Windows`;
  if (kind === "module" && SHORT_NAME.test(stem)) {
    return "trailing tilde and digits in path element";
  }
  return null;
}
