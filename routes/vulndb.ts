/**
 * `/-/vulndb/…`: the advisories as a vulnerability database in the protocol of the Go team's
 * (lib/advisories/database.ts), for govulncheck and gopls.
 *
 * A `.json.gz` is a file and not an encoded transfer: Go's client would undo a `Content-Encoding`
 * before its own decompression. Each client gets the database without the entries about private
 * modules that it may not read, which do not exist for it. An entry is hidden where the repository
 * of a module could make the difference, as its copies are not looked up.
 */
import type { Advisories } from "../lib/advisories/advisories.ts";
import { type DatabaseFile, INDEX_NAMES, type IndexName } from "../lib/advisories/database.ts";
import { ANY_CLIENT, type Client } from "../lib/auth/guard.ts";
import { InvalidRequestError, NotFoundError } from "../lib/errors.ts";
import type { ModulePath } from "../lib/module/path.ts";
import { quoted } from "../lib/module/quoted.ts";
import type { Answer } from "./answer.ts";
import type { Route, RouteRequest } from "./app.ts";
import { FRESH, isNotModified } from "./respond.ts";

const PREFIX = "-/vulndb/";
const FILE =
  /^(?:index\/(?<index>[a-z]+)|ID\/(?<id>[A-Za-z0-9][A-Za-z0-9._-]{0,127}))\.json(?<gzip>\.gz)?$/;

/** What a path below {@linkcode PREFIX} names. */
type Wanted =
  & ({ readonly index: IndexName } | { readonly id: string })
  & { readonly isGzip: boolean };

export function vulndbRoute(advisories: Pick<Advisories, "database" | "status">): Route {
  return {
    name: "vulndb",
    matches: (path) => path.startsWith(PREFIX),
    read: (request) => {
      const wanted = parseFile(request.path.slice(PREFIX.length));
      return {
        template: "id" in wanted ? "/-/vulndb/ID/{id}" : `/-/vulndb/index/${wanted.index}`,
        access: ANY_CLIENT,
        answer: (client) => {
          const { database, status: { isStale } } = advisories;
          const mayKnow = (path: string) => mayRead(client, path);
          const file = "id" in wanted
            ? database.entry(wanted.id, mayKnow)
            : database.index(wanted.index, mayKnow);
          if (file !== null) return fileAnswer(file, { request, ...wanted, isStale });
          const id = "id" in wanted ? wanted.id : "";
          throw new NotFoundError(`there is no advisory ${quoted(id)} in this database`);
        },
      };
    },
  };
}

/** @throws {InvalidRequestError} when the database can have no such file */
function parseFile(path: string): Wanted {
  const { index, id, gzip } = FILE.exec(path)?.groups ?? {};
  const isGzip = gzip !== undefined;
  if (id !== undefined) return { id, isGzip };
  const name = INDEX_NAMES.find((one) => one === index);
  if (name !== undefined) return { index: name, isGzip };
  throw new InvalidRequestError(
    `Cannot read ${quoted(path)} of the vulnerability database: it is neither index/db.json, ` +
      "index/modules.json, index/vulns.json nor ID/<id>.json",
  );
}

/** Of entries any text may be the name of a module: one that is none is nobody's. */
function mayRead(client: Client, path: string): boolean {
  const module = path as ModulePath;
  return client.mayRead(module) && !client.dependsOnRepository(module);
}

interface FileOptions {
  readonly request: Pick<RouteRequest, "method" | "headers">;
  readonly isGzip: boolean;
  readonly isStale: boolean;
}

function fileAnswer(file: DatabaseFile, { request, isGzip, isStale }: FileOptions): Answer {
  const etag = `"${file.digest}${isGzip ? "-gz" : ""}"`;
  const modified = new Date(file.modified);
  const headers = {
    "Content-Type": isGzip ? "application/gzip" : "application/json",
    "Cache-Control": FRESH,
    "ETag": etag,
    "Last-Modified": modified.toUTCString(),
    ...isStale ? { "Warning": '110 - "the advisories are stale"' } : {},
  };
  if (isUnchanged(request.headers, { etag, modified })) return { status: 304, headers, body: null };
  const body = isGzip ? file.gzip() : file.json;
  return {
    status: 200,
    headers,
    body: request.method === "HEAD" ? null : body,
    sizeBytes: body.length,
  };
}

/** RFC 9110, 13.2.2: the time counts where there is no ETag to compare. */
function isUnchanged(
  headers: Headers,
  { etag, modified }: { readonly etag: string; readonly modified: Date },
): boolean {
  if (headers.has("If-None-Match")) return isNotModified(headers, etag);
  const since = Date.parse(headers.get("If-Modified-Since") ?? "");
  return Math.floor(modified.getTime() / 1000) * 1000 <= since;
}
