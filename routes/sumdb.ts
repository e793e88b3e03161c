/**
 * `/sumdb/<database>/…`: checksum databases through this proxy (Go Modules Reference, "Checksum
 * database"), so that clients need no connection to them.
 *
 * | path below `/sumdb/<database>/` | answer                                                               |
 * | ------------------------------- | -------------------------------------------------------------------- |
 * | `supported`                     | 200 if its key is known or an upstream supports it, else 404: then `go` connects directly |
 * | `latest`                        | the newest signed tree                                               |
 * | `lookup/<module>@<version>`     | the record with a signed tree                                        |
 * | `tile/8/<level>/<n>[.p/<w>]`    | hashes                                                               |
 * | `tile/8/data/<n>[.p/<w>]`       | records                                                              |
 *
 * Records and full tiles never change. Neither does a partial tile of one width, but it is soon
 * superseded. What was not verified here (a database whose key is unknown) is private to the client
 * and must not be stored by shared caches.
 *
 * The name of a database may contain slashes.
 */
import { type Access, ANY_CLIENT, type Client } from "../lib/auth/guard.ts";
import { ForbiddenError, InvalidRequestError } from "../lib/errors.ts";
import { unescapePath, unescapeVersion } from "../lib/module/escape.ts";
import type { ModuleVersion } from "../lib/module/module_version.ts";
import { parseVersion } from "../lib/module/version.ts";
import type { CopyNames } from "../lib/service/copy_names.ts";
import type { ServedDatabase, SumDatabases } from "../lib/sumdb/databases.ts";
import { isDatabaseName } from "../lib/sumdb/config.ts";
import { moduleOfRecord, splitRecords } from "../lib/sumdb/record.ts";
import { type DataTile, parseTilePath, type Tile, TILE_WIDTH } from "../lib/sumdb/tile.ts";
import type { Answer } from "./answer.ts";
import type { Route, RouteRequest } from "./app.ts";
import { type LookUpNames, readableOf } from "./readable.ts";
import { FRESH, IMMUTABLE, PLAIN_TEXT, textAnswer } from "./respond.ts";

/** A wider one follows within the hour. */
const PARTIAL = "public, max-age=3600";

const TEMPLATES: Readonly<Record<SumdbFile["file"], string>> = {
  supported: "/sumdb/{database}/supported",
  latest: "/sumdb/{database}/latest",
  lookup: "/sumdb/{database}/lookup/{module}@{version}",
  tile: "/sumdb/{database}/tile/{tile}",
};

export interface SumdbRouteOptions {
  readonly databases: Pick<SumDatabases, "find">;
  readonly copyNames: Pick<CopyNames, "of">;
}

export function sumdbRoute(options: SumdbRouteOptions): Route {
  return {
    name: "sumdb",
    matches: (path) => path.startsWith("sumdb/"),
    read: (request) => {
      const target = parseSumdbPath(request.path.slice("sumdb/".length));
      request.facts["database"] = target.database;
      if (target.file === "lookup") {
        request.facts["module"] = target.module.path;
        request.facts["version"] = target.module.version;
      }
      return {
        template: TEMPLATES[target.file],
        access: accessTo(target),
        answer: (client) => answer(options, { target, request, client }),
      };
    },
  };
}

/**
 * A record is about one module; trees and tiles of hashes are about none. For tiles of records see
 * {@linkcode checkRecords}.
 */
function accessTo(target: SumdbTarget): Access {
  return target.file === "lookup" ? { kind: "module", path: target.module.path } : ANY_CLIENT;
}

async function answer(
  { databases, copyNames }: SumdbRouteOptions,
  { target, request, client }: { target: SumdbTarget; request: RouteRequest; client: Client },
): Promise<Answer> {
  const database = databases.find(target.database);
  if (target.file === "supported") {
    await database.supported(request.signal);
    return { status: 200, headers: { "Cache-Control": FRESH }, body: null, sizeBytes: 0 };
  }
  const { bytes, contentType, cacheControl } = await read(database, {
    target,
    signal: request.signal,
  });
  if (target.file === "lookup" && client.admitTo !== null) {
    // A lookup in a database of our own may have published the module only now.
    client.admitTo(await copyNames.of(target.module, request.signal) ?? []);
  }
  if (target.file === "tile" && target.tile.level === "data") {
    await checkRecords(bytes, { client, copyNames, signal: request.signal });
  }
  return textAnswer(bytes, {
    request,
    contentType,
    cacheControl: database.isVerified ? cacheControl : "no-store",
  });
}

/**
 * A tile of records names all its modules, and cannot be given in part. Auditors read it; the `go`
 * command does not.
 *
 * @throws {ForbiddenError} when the client may not read one of them
 */
async function checkRecords(
  tile: Uint8Array<ArrayBuffer>,
  { client, ...lookUp }: LookUpNames,
): Promise<void> {
  // Client authentication is disabled.
  if (client.identity === null) return;
  const records = splitRecords(tile);
  if (records !== null) {
    const modules = records.map((text) => moduleOfRecord(text));
    if ((await readableOf(modules, { client, ...lookUp })).length === modules.length) return;
  }
  throw new ForbiddenError(
    `Cannot give these records to "${client.identity}": the access list denies some of their modules`,
  );
}

/** The target of a path below `/sumdb/`. */
export type SumdbTarget = { readonly database: string } & SumdbFile;

type SumdbFile =
  | { readonly file: "supported" }
  | { readonly file: "latest" }
  | { readonly file: "lookup"; readonly module: ModuleVersion }
  | { readonly file: "tile"; readonly tile: Tile | DataTile };

async function read(
  database: ServedDatabase,
  { target, signal }: {
    target: Exclude<SumdbFile, { readonly file: "supported" }>;
    signal: AbortSignal;
  },
) {
  switch (target.file) {
    case "latest":
      return { bytes: await database.latest(signal), contentType: PLAIN_TEXT, cacheControl: FRESH };
    case "lookup": {
      const { bytes } = await database.lookup(target.module, signal);
      return { bytes, contentType: PLAIN_TEXT, cacheControl: IMMUTABLE };
    }
    case "tile": {
      const { level, width } = target.tile;
      return {
        bytes: await database.tile(target.tile, signal),
        contentType: level === "data" ? PLAIN_TEXT : "application/octet-stream",
        cacheControl: width < TILE_WIDTH ? PARTIAL : IMMUTABLE,
      };
    }
  }
}

const FILE = /\/(?:(supported|latest)|lookup\/([^@]+)@([^@/]+)|(tile\/.+))$/;

/** @throws {InvalidRequestError} when the path is not in the table */
export function parseSumdbPath(path: string): SumdbTarget {
  const [suffix = "", file, escapedPath, escapedVersion, tilePath] = FILE.exec(path) ?? [];
  const database = path.slice(0, path.length - suffix.length);
  if (suffix !== "" && isDatabaseName(database)) {
    if (file === "supported") return { database, file };
    if (file === "latest") return { database, file };
    const tile = parseTilePath(tilePath ?? "");
    if (tile !== null) return { database, file: "tile", tile };
    if (escapedPath !== undefined && escapedVersion !== undefined) {
      const path = unescapePath(escapedPath);
      const version = parseVersion(path, unescapeVersion(escapedVersion));
      return { database, file: "lookup", module: { path, version } };
    }
  }
  throw new InvalidRequestError(
    `Cannot read "/sumdb/${path}": not supported, latest, lookup/… or tile/8/… of a database`,
  );
}
