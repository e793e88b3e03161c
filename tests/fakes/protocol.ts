/**
 * What a valid request to a module proxy or a checksum database looks like: the rules that the
 * fakes enforce.
 *
 * Written from the Go modules reference ("GOPROXY protocol") and golang.org/x/mod/module, as
 * patterns, without any code of lib/module: a client that escapes wrongly must not be understood by
 * a server that has the same mistake.
 */

/** Each upper-case letter as `!` and its lower case, as paths and versions are written in URLs. */
export function escapeCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
}

const PATH = String.raw`(?<path>(?:[-._~a-z0-9]|![a-z])+(?:\/(?:[-._~a-z0-9]|![a-z])+)*)`;
const CANONICAL = String
  .raw`(?<version>v\d+\.\d+\.\d+(?:-(?:[-.0-9a-z]|![a-z])+)?(?:\+incompatible)?)`;
// Any file name without a slash may be a query; the go command says no to all others before it
// asks.
const QUERY = String.raw`(?<version>(?:[-a-z0-9#$%&()+,.=@[\]^_{}~ ]|![a-z])+)`;

const MODULE_REQUESTS: readonly {
  readonly pattern: RegExp;
  readonly what: ModuleRequest["what"];
}[] = [
  { what: "list", pattern: new RegExp(`^/${PATH}/@v/list$`) },
  { what: "latest", pattern: new RegExp(`^/${PATH}/@latest$`) },
  { what: "info", pattern: new RegExp(`^/${PATH}/@v/${QUERY}\\.info$`) },
  { what: "mod", pattern: new RegExp(`^/${PATH}/@v/${CANONICAL}\\.mod$`) },
  { what: "zip", pattern: new RegExp(`^/${PATH}/@v/${CANONICAL}\\.zip$`) },
];

const LOOKUP_REQUEST = new RegExp(`^/lookup/${PATH}@${CANONICAL}$`);

/** Path and version are escaped, as they arrived. */
export interface ModuleRequest {
  readonly what: "list" | "latest" | "info" | "mod" | "zip";
  readonly path: string;
  /** Empty for `list` and `latest`. */
  readonly version: string;
}

/**
 * What a decoded URL path asks of a module proxy; null for one that a correct client never sends.
 */
export function parseModuleRequest(path: string): ModuleRequest | null {
  for (const { what, pattern } of MODULE_REQUESTS) {
    const groups = matchCleanPath(pattern, path);
    if (groups !== null) {
      return { what, path: groups["path"] ?? "", version: groups["version"] ?? "" };
    }
  }
  return null;
}

/**
 * Path and version, escaped, of a checksum database's `/lookup/…`; null for one that a correct
 * client never sends.
 */
export function parseLookupRequest(path: string): { path: string; version: string } | null {
  const groups = matchCleanPath(LOOKUP_REQUEST, path);
  return groups === null ? null : { path: groups["path"] ?? "", version: groups["version"] ?? "" };
}

/**
 * The path of a request's URL as it was sent, without query and percent escapes; null for a broken
 * escape. The URL class would take `..` away before a fake could see it.
 */
export function decodedPath(request: Request): string | null {
  const target = request.url.slice(request.url.indexOf("/", "http://".length));
  const [raw = ""] = target.split("?", 1);
  try {
    return decodeURIComponent(raw);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

function matchCleanPath(pattern: RegExp, path: string): Record<string, string> | null {
  if (path.split("/").some((segment) => segment === "." || segment === "..")) return null;
  return pattern.exec(path)?.groups ?? null;
}
