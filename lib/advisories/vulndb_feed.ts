/**
 * A database in the protocol of the Go team's (https://go.dev/security/vuln/database#api):
 *
 * ```text
 * index/db.json        {"modified"}                          asked each time
 * index/vulns.json     [{"id","modified"}]                   when that has changed
 * index/modules.json   [{"path","vulns":[{"id"}]}]           likewise, to check the entries with
 * ID/<id>.json         an entry                              where its time has changed
 * vulndb.zip           all of it                             optional: instead of many entries
 * ```
 *
 * By https, each is asked for as `.json.gz`, as govulncheck does; in a directory as `.json`.
 *
 * Everything must agree: an entry's id and time with the index, and the modules that entries are
 * about with those of the index. A database that changes while it is read does not, and is read
 * again later; neither does one that is cut off. One that is older than what is known is refused.
 *
 * Limits: those of entry_set.ts, {@linkcode FILE_LIMITS} for each file.
 */
import { z } from "zod";
import { atPace, Pace } from "../async/pace.ts";
import { each, forEach } from "../async/workers.ts";
import { DeadlineError, UpstreamError } from "../errors.ts";
import { display, type Fetch } from "../http/client.ts";
import { ZipError } from "../zip/rules.ts";
import {
  type EntrySet,
  GrowingSet,
  MAX_ENTRIES,
  readEntry,
  type StoredEntry,
} from "./entry_set.ts";
import { type Feed, type FeedContext, type FeedReading, FILE_LIMITS, ZIP_LIMITS } from "./feed.ts";
import type { FeedState } from "./feed_log.ts";
import { gunzip, isGzip } from "../zip/gzip.ts";
import { ADVISORY_ID, InvalidAdvisoryError, MAX_ENTRY_BYTES, parseJson } from "./osv.ts";
import { fetchFile, fetchInto, readFile } from "./place.ts";
import { zipFiles } from "./zip_files.ts";

/** Requests at once; govulncheck makes ten. */
const WORKERS = 16;
/** From so many entries on, a zip of all is asked for first. */
export const MANY_ENTRIES = 500;

export type DatabasePlace =
  | { readonly url: URL; readonly fetch: Fetch; readonly scratchDirectory: () => Promise<string> }
  | { readonly directory: string };

type Bytes = Uint8Array<ArrayBuffer>;

const time = z.string().refine((text) => !Number.isNaN(Date.parse(text)), "not a time");
const dbSchema = z.object({ modified: time });
const id = z.string().regex(ADVISORY_ID, "not the id of an advisory");
const vulnsSchema = z.array(z.object({ id, modified: time })).max(MAX_ENTRIES);
const modulesSchema = z.array(z.object({
  path: z.string().max(512),
  vulns: z.array(z.object({ id })).max(MAX_ENTRIES),
})).max(MAX_ENTRIES);

/** The time of each entry, by id. */
type Index = ReadonlyMap<string, number>;

export class VulndbFeed implements Feed {
  readonly description: string;
  readonly #place: DatabasePlace;

  constructor(place: DatabasePlace) {
    this.#place = place;
    this.description = "url" in place ? display(place.url) : place.directory;
  }

  async read(known: FeedState, { signal }: FeedContext): Promise<FeedReading> {
    const { modified } = await this.#readIndex("index/db", { schema: dbSchema, signal });
    const knownModified = known.record?.modified ?? null;
    if (knownModified !== null) {
      if (modified === knownModified) return "unchanged";
      if (Date.parse(modified) < Date.parse(knownModified)) {
        throw new InvalidAdvisoryError(
          `Cannot use ${this.description}: it is of ${modified}, before ${knownModified}`,
        );
      }
    }
    const index = indexOf(await this.#readIndex("index/vulns", { schema: vulnsSchema, signal }));
    const changed = [...index].filter(([id, timeMs]) =>
      Date.parse(known.entries.get(id)?.advisory.modified ?? "") !== timeMs
    );
    const fresh = await this.#readEntries(new Map(changed), signal);
    const all = new GrowingSet();
    for (const id of index.keys()) {
      const entry = fresh.get(id) ?? known.entries.get(id);
      if (entry !== undefined) all.add(entry);
    }
    const entries = await atPace(all.sortSteps(), new Pace(signal));
    // An older index, from a cache on the way, would otherwise count as the newest for ever.
    if (index.size > 0 && latestOf(index) !== Date.parse(modified)) {
      throw this.#disagreement("its time is not that of its latest entry");
    }
    const modules = await this.#readIndex("index/modules", { schema: modulesSchema, signal });
    this.#checkModules(modules, entries);
    return { entries, modified, validator: null };
  }

  async #readIndex<T>(
    name: string,
    { schema, signal }: { readonly schema: z.ZodType<T>; readonly signal: AbortSignal },
  ): Promise<T> {
    const bytes = await this.#readJson(name, { maxBytes: FILE_LIMITS.maxBytes, signal });
    const result = schema.safeParse(parseJson(new TextDecoder().decode(bytes)));
    if (result.success) return result.data;
    const issue = result.error.issues[0];
    throw new InvalidAdvisoryError(
      `Cannot use ${name} of ${this.description}: ` +
        `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "invalid"}`,
    );
  }

  async #readEntries(
    wanted: Index,
    signal: AbortSignal,
  ): Promise<Map<string, StoredEntry>> {
    const found = new Map<string, StoredEntry>();
    const pace = new Pace(signal);
    const add = async (id: string, bytes: Bytes) => {
      // Its time is also in the index.
      const entry = readEntry(bytes, { nowMs: null });
      if (entry.advisory.id !== id) throw new InvalidAdvisoryError(`its id is another one`);
      found.set(id, entry);
      await pace.spend(bytes.length * READ_COST);
    };
    if (wanted.size >= MANY_ENTRIES) await this.#readZip({ wanted, add, signal });
    const missing = [...wanted.keys()].filter((id) => !found.has(id));
    await forEach(each(missing), {
      workers: WORKERS,
      work: async (id) => {
        const bytes = await this.#readJson(`ID/${id}`, { maxBytes: MAX_ENTRY_BYTES, signal });
        try {
          await add(id, bytes);
        } catch (cause) {
          if (!(cause instanceof InvalidAdvisoryError)) throw cause;
          throw this.#disagreement(`entry "${id}" cannot be used`, cause);
        }
        if (Date.parse(found.get(id)?.advisory.modified ?? "") !== wanted.get(id)) {
          throw this.#disagreement(`entry "${id}" has another time than in the index`);
        }
      },
    });
    return found;
  }

  /** Entries of `vulndb.zip` that are as in the index. What is wrong with it does not matter. */
  async #readZip(
    { wanted, add, signal }: {
      readonly wanted: Index;
      readonly add: (id: string, bytes: Bytes) => Promise<void>;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    if (!("url" in this.#place)) return;
    const { fetch, url, scratchDirectory } = this.#place;
    const path = await Deno.makeTempFile({ dir: await scratchDirectory(), suffix: ".zip" });
    try {
      using file = await Deno.open(path, { read: true, write: true });
      await fetchInto(fetch, below(url, "vulndb.zip"), { file, limits: ZIP_LIMITS, signal });
      for await (const { name, bytes } of zipFiles(file, { signal, maxBytes: MAX_ENTRY_BYTES })) {
        const id = /^ID\/([^/]+)\.json$/.exec(name)?.[1];
        const timeMs = id === undefined ? undefined : wanted.get(id);
        if (id !== undefined && timeMs !== undefined && isOfTime(bytes, timeMs)) {
          await add(id, bytes);
        }
      }
    } catch (error) {
      const isHarmless = error instanceof UpstreamError || error instanceof DeadlineError ||
        error instanceof ZipError || error instanceof InvalidAdvisoryError;
      if (signal.aborted || !isHarmless) throw error;
    } finally {
      await Deno.remove(path);
    }
  }

  async #readJson(
    name: string,
    { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
  ): Promise<Bytes> {
    const place = this.#place;
    const limits = { ...FILE_LIMITS, maxBytes };
    if ("directory" in place) {
      return await readFile(`${place.directory}/${name}.json`, { limits, signal });
    }
    const url = below(place.url, `${name}.json.gz`);
    const fetched = await fetchFile(place.fetch, url, { limits, signal });
    const bytes = fetched?.content ?? new Uint8Array();
    // Some servers declare it as the encoding of a transfer, which fetch has undone then.
    if (!isGzip(bytes)) return bytes;
    return await gunzip(bytes, {
      maxBytes,
      what: display(url),
      pace: new Pace(signal),
      error: InvalidAdvisoryError,
    });
  }

  #checkModules(modules: z.output<typeof modulesSchema>, entries: EntrySet): void {
    const listed = new Set(
      modules.flatMap(({ path, vulns }) => vulns.map(({ id }) => `${id} ${path}`)),
    );
    const found = new Set<string>();
    for (const [id, { advisory }] of entries) {
      for (const { path } of advisory.affected) found.add(`${id} ${path}`);
    }
    const [missing] = found.difference(listed);
    if (missing !== undefined) throw this.#disagreement(`index/modules lacks "${missing}"`);
    const [unknown] = listed.difference(found);
    if (unknown !== undefined) throw this.#disagreement(`no entry is about "${unknown}"`);
  }

  #disagreement(fault: string, cause?: unknown): InvalidAdvisoryError {
    return new InvalidAdvisoryError(
      `Cannot use ${this.description}: ${fault}; it is incomplete, or changed while it was read`,
      { cause },
    );
  }
}

/** What reading an entry costs in comparison with inflating it. */
const READ_COST = 8;

function indexOf(vulns: z.output<typeof vulnsSchema>): Index {
  const index = new Map(vulns.map(({ id, modified }) => [id, Date.parse(modified)]));
  if (index.size === vulns.length) return index;
  throw new InvalidAdvisoryError("Cannot use index/vulns: an id is in it twice");
}

function latestOf(index: Index): number {
  let latest = -Infinity;
  for (const timeMs of index.values()) latest = Math.max(latest, timeMs);
  return latest;
}

function isOfTime(bytes: Bytes, timeMs: number): boolean {
  const result = dbSchema.safeParse(parseJson(new TextDecoder().decode(bytes)));
  return result.success && Date.parse(result.data.modified) === timeMs;
}

function below(url: URL, name: string): URL {
  return new URL(`${url.href.replace(/\/$/, "")}/${name}`);
}
