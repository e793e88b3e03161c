/**
 * `/sumdb/<database>/…`: the checksum database through this proxy (Go Modules Reference, "Checksum database"), so that
 * clients need no connection to it.
 *
 * | path below `/sumdb/<database>/` | answer, passed on from the upstream that supports the database    |
 * | ------------------------------- | ----------------------------------------------------------------- |
 * | `supported`                     | 200 if an upstream supports it, else 404: `go` then asks elsewhere |
 * | `latest`                        | the signed tree                                                   |
 * | `lookup/<module>@<version>`     | the record with its signed tree                                   |
 * | `tile/<height>/<level>/<n>`     | hashes or records                                                 |
 *
 * The name of a database may contain slashes.
 */
import { InvalidRequestError } from "../lib/errors.ts";
import type { SumdbForward } from "../lib/sumdb/forward.ts";
import type { Route } from "./app.ts";
import { FRESH, IMMUTABLE, textResponse } from "./respond.ts";

export function sumdbRoute(forward: SumdbForward): Route {
  return {
    name: "sumdb",
    matches: (path) => path.startsWith("sumdb/"),
    handle: async (request) => {
      const { database, file } = parseSumdbPath(request.path.slice("sumdb/".length));
      if (file === "supported") {
        await forward.supported(database, request.signal);
        return new Response(null, { headers: { "Cache-Control": FRESH } });
      }
      const bytes = await forward.get(database, file, request.signal);
      return await textResponse(bytes, {
        request,
        contentType: file.startsWith("tile/")
          ? "application/octet-stream"
          : "text/plain; charset=utf-8",
        cacheControl: file === "latest" ? FRESH : IMMUTABLE,
      });
    },
  };
}

/** A name as it is in a verifier key; `.` and `..` cannot match. */
const DATABASE = /^[a-z0-9-]+(\.[a-z0-9-]+)*(:\d+)?(\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$/;
const FILE =
  /\/(supported|latest|lookup\/[^\s]+|tile\/\d+\/(\d+|data)\/(x\d{3}\/)*\d{3}(\.p\/\d+)?)$/;

/** @throws {InvalidRequestError} when the path is none of the table's */
export function parseSumdbPath(path: string): { database: string; file: string } {
  const file = FILE.exec(path);
  const database = path.slice(0, file?.index ?? 0);
  if (file === null || !DATABASE.test(database)) {
    throw new InvalidRequestError(
      `Cannot read "/sumdb/${path}": not supported, latest, lookup/… or tile/… of a database`,
    );
  }
  return { database, file: file[1] ?? "" };
}
