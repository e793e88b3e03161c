/**
 * `/index?since=<time>&limit=<n>`: the published versions, in the format of the public Go index
 * (lib/index/entry.ts), for documentation sites that follow it: pkgsite's worker with
 * `GO_MODULE_INDEX_URL` set to this address.
 *
 * Oldest first, from the time `since` on, inclusive; at most `limit` entries. The default and
 * maximum limit is 2000. Entries of modules that the client may not read are left out, and do not
 * count.
 */
import { ANY_CLIENT, type Client } from "../lib/auth/guard.ts";
import { InvalidRequestError } from "../lib/errors.ts";
import { formatEntries, type IndexEntry, parseSince } from "../lib/index/entry.ts";
import type { IndexReader } from "../lib/index/module_index.ts";
import type { CopyNames } from "../lib/service/copy_names.ts";
import type { Route, RouteRequest } from "./app.ts";
import { readableOf } from "./readable.ts";
import { PLAIN_TEXT, textAnswer } from "./respond.ts";

export const MAX_INDEX_ENTRIES = 2000;

export interface IndexRouteOptions {
  readonly index: IndexReader;
  readonly copyNames: Pick<CopyNames, "of">;
}

export function indexRoute({ index, copyNames }: IndexRouteOptions): Route {
  return {
    name: "index",
    matches: (path) => path === "index",
    read: (request) => {
      const wanted = parseIndexQuery(request.query);
      return {
        access: ANY_CLIENT,
        answer: async (client) => {
          const entries = await readableEntries(index, { ...wanted, client, copyNames, request });
          return textAnswer(new TextEncoder().encode(formatEntries(entries)), {
            request,
            contentType: PLAIN_TEXT,
            cacheControl: "no-store",
          });
        },
      };
    },
  };
}

export interface IndexQuery {
  readonly sinceMs: number;
  readonly limit: number;
}

/**
 * @throws {InvalidRequestError} when a value is invalid; a limit above the maximum is reduced to it
 */
export function parseIndexQuery(query: URLSearchParams): IndexQuery {
  const since = query.get("since") ?? "";
  const limit = query.get("limit") ?? "";
  if (limit !== "" && !/^[1-9]\d{0,8}$/.test(limit)) {
    throw new InvalidRequestError(`Cannot read limit "${limit}": not a number of entries`);
  }
  return {
    sinceMs: since === "" ? 0 : parseSince(since),
    limit: Math.min(limit === "" ? MAX_INDEX_ENTRIES : Number(limit), MAX_INDEX_ENTRIES),
  };
}

interface ReadableOptions extends IndexQuery {
  readonly client: Client;
  readonly copyNames: Pick<CopyNames, "of">;
  readonly request: Pick<RouteRequest, "signal">;
}

/** Up to `limit` entries that the client may read, however many others lie between them. */
async function readableEntries(
  index: IndexReader,
  { sinceMs, limit, request, ...lookUp }: ReadableOptions,
): Promise<IndexEntry[]> {
  const found: IndexEntry[] = [];
  for (let from = sinceMs;;) {
    const entries = await index.read({ sinceMs: from, limit: MAX_INDEX_ENTRIES }, request.signal);
    found.push(...await readableOf(entries, { ...lookUp, signal: request.signal }));
    const last = entries.at(-1);
    if (found.length >= limit || last === undefined || entries.length < MAX_INDEX_ENTRIES) break;
    from = last.timeMs + 1;
  }
  return found.slice(0, limit);
}
