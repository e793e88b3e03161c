/**
 * Entries in OSV format: one's own, those of the repository golang/vulndb or
 * ossf/malicious-packages, or a zip of osv.dev.
 *
 * - A directory: all files below it with a name that ends in `.json`, except hidden ones. Symbolic
 *   links in it are not followed.
 * - A file, or a URL: a zip of such files, one entry, or a list of entries. A URL with an ETag is
 *   read again when that has changed.
 *
 * The indexes of a database (`index/db.json`, …) in between are left out, and so are entries about
 * no Go module: `all.zip` of osv.dev has one ecosystem, a whole repository has many.
 *
 * Limits: those of entry_set.ts, of {@linkcode ZIP_LIMITS} for what is read at once, and
 * {@linkcode MAX_FILES} files.
 */
import { atPace, Pace } from "../async/pace.ts";
import { describeError, UpstreamError } from "../errors.ts";
import { display, type Fetch } from "../http/client.ts";
import { ZipError } from "../zip/rules.ts";
import { digestOf, type EntrySet, GrowingSet, readEntry, type StoredEntry } from "./entry_set.ts";
import { type Feed, type FeedContext, type FeedReading, FILE_LIMITS, ZIP_LIMITS } from "./feed.ts";
import type { FeedState } from "./feed_log.ts";
import { InvalidAdvisoryError, MAX_ENTRY_BYTES, parseJson } from "./osv.ts";
import { fetchInto, fileError, readFile } from "./place.ts";
import { zipFiles } from "./zip_files.ts";

export const MAX_FILES = 200_000;
/** Deeper directories are refused. */
const MAX_DEPTH = 16;
/** What reading an entry costs in comparison with inflating it. */
const READ_COST = 8;

export type OsvPlace =
  | { readonly url: URL; readonly fetch: Fetch; readonly scratchDirectory: () => Promise<string> }
  | { readonly directory: string }
  | { readonly file: string };

type Bytes = Uint8Array<ArrayBuffer>;

export class OsvFeed implements Feed {
  readonly description: string;
  readonly #place: OsvPlace;

  constructor(place: OsvPlace) {
    this.#place = place;
    this.description = "url" in place
      ? display(place.url)
      : "file" in place
      ? place.file
      : place.directory;
  }

  async read(known: FeedState, context: FeedContext): Promise<FeedReading> {
    const reader = new EntryReader(known, context);
    const place = this.#place;
    if ("url" in place) return await this.#readUrl(place, { known, context, reader });
    if ("file" in place) {
      using file = await open(place.file, context.signal);
      await this.#readOpen(file, { reader, signal: context.signal });
    } else {
      for await (const path of jsonFiles(place.directory, context.signal)) {
        const limits = { ...FILE_LIMITS, maxBytes: MAX_ENTRY_BYTES };
        await reader.add(await readFile(path, { limits, signal: context.signal }), path);
      }
    }
    return { entries: await reader.sorted(), modified: null, validator: null };
  }

  async #readUrl(
    { url, fetch, scratchDirectory }: Extract<OsvPlace, { url: URL }>,
    { known, context: { signal }, reader }: {
      readonly known: FeedState;
      readonly context: FeedContext;
      readonly reader: EntryReader;
    },
  ): Promise<FeedReading> {
    const path = await Deno.makeTempFile({ dir: await scratchDirectory(), suffix: ".osv" });
    try {
      using file = await Deno.open(path, { read: true, write: true });
      const validator = known.record?.validator ?? null;
      const fetched = await fetchInto(fetch, url, { file, limits: ZIP_LIMITS, signal, validator });
      if (fetched === null) return "unchanged";
      await this.#readOpen(file, { reader, signal });
      return { entries: await reader.sorted(), modified: null, validator: fetched.validator };
    } finally {
      await Deno.remove(path);
    }
  }

  /** A zip, an entry or a list of entries. */
  async #readOpen(
    file: Deno.FsFile,
    { reader, signal }: { readonly reader: EntryReader; readonly signal: AbortSignal },
  ): Promise<void> {
    const start = new Uint8Array(2);
    await file.seek(0, Deno.SeekMode.Start);
    await file.read(start);
    await file.seek(0, Deno.SeekMode.Start);
    if (start[0] !== 0x50 || start[1] !== 0x4b) return await this.#readJson(file, reader);
    try {
      for await (const { name, bytes } of zipFiles(file, { signal, maxBytes: MAX_ENTRY_BYTES })) {
        if (!isIndex(name)) await reader.add(bytes, name);
      }
    } catch (cause) {
      if (!(cause instanceof ZipError)) throw cause;
      throw new InvalidAdvisoryError(
        `Cannot use ${this.description}: ${describeError(cause)}`,
        { cause },
      );
    }
  }

  async #readJson(file: Deno.FsFile, reader: EntryReader): Promise<void> {
    const { size } = await file.stat();
    if (size > FILE_LIMITS.maxBytes) {
      throw new InvalidAdvisoryError(
        `Cannot use ${this.description}: larger than ${FILE_LIMITS.maxBytes} bytes`,
      );
    }
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const read = await file.read(bytes.subarray(at));
      if (read === null) break;
      at += read;
    }
    const value = parseJson(new TextDecoder().decode(bytes));
    if (!Array.isArray(value)) return await reader.add(bytes, this.description);
    for (const [i, one] of value.entries()) {
      const text = JSON.stringify(one);
      await reader.add(new TextEncoder().encode(text), `${this.description}, entry ${i}`);
    }
  }
}

/** Reads entries; those that are known are not parsed again. */
class EntryReader {
  readonly #set = new GrowingSet();
  readonly #known: ReadonlyMap<string, StoredEntry>;
  readonly #nowMs: number;
  readonly #pace: Pace;

  constructor({ entries }: FeedState, { signal, nowMs }: FeedContext) {
    this.#known = new Map([...entries.values()].map((entry) => [entry.digest, entry]));
    this.#nowMs = nowMs;
    this.#pace = new Pace(signal);
  }

  /** @param name for messages */
  async add(bytes: Bytes, name: string): Promise<void> {
    await this.#pace.spend(bytes.length * READ_COST);
    try {
      const entry = this.#known.get(digestOf(bytes)) ?? readEntry(bytes, { nowMs: this.#nowMs });
      if (entry.advisory.affected.length > 0) this.#set.add(entry);
    } catch (cause) {
      if (!(cause instanceof InvalidAdvisoryError)) throw cause;
      throw new InvalidAdvisoryError(`Cannot use "${name}": ${describeError(cause)}`, { cause });
    }
  }

  sorted(): Promise<EntrySet> {
    return atPace(this.#set.sortSteps(), this.#pace);
  }
}

/** Of a database in the Go team's protocol, of this version and of the one before. */
function isIndex(name: string): boolean {
  return /(?:^|\/)(?:index\/(?:db|modules|vulns)|ID\/index)\.json$/.test(name);
}

async function open(path: string, signal: AbortSignal): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (cause) {
    throw fileError(path, cause, signal);
  }
}

async function* jsonFiles(directory: string, signal: AbortSignal): AsyncGenerator<string> {
  let count = 0;
  const waiting = [{ path: directory, depth: 0 }];
  for (let folder; (folder = waiting.pop()) !== undefined;) {
    const { path, depth } = folder;
    try {
      for await (const { name, isDirectory, isFile } of Deno.readDir(path)) {
        signal.throwIfAborted();
        if (++count > MAX_FILES) {
          throw new UpstreamError(`Cannot read ${directory}: more than ${MAX_FILES} files`);
        }
        const below = `${path}/${name}`;
        if (name.startsWith(".")) continue;
        if (isDirectory && depth === MAX_DEPTH) {
          throw new UpstreamError(`Cannot read ${below}: the directory is too deep`);
        }
        if (isDirectory) waiting.push({ path: below, depth: depth + 1 });
        else if (isFile && name.endsWith(".json") && !isIndex(below)) yield below;
      }
    } catch (cause) {
      throw fileError(path, cause, signal);
    }
  }
}
