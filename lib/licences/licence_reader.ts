/**
 * The licences of published copies. They are detected once, when they are first asked for, and then
 * kept in the store beside the copy (record.ts), for all replicas and for ever. Nothing depends on
 * that: what cannot be kept is detected again.
 *
 * A zip is read by ranges: its directory, and the entries that have a licence.
 */
import { LRUCache } from "lru-cache";
import { withDeadline } from "../async/deadline.ts";
import { once } from "../async/once.ts";
import { atPace, Pace } from "../async/pace.ts";
import { Semaphore } from "../async/semaphore.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { describeError, ProxyError, StorageError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { nameOf } from "../module/module_version.ts";
import { LicenceMatcher } from "../spdx/matcher.ts";
import { readPackedTable, unpackTable } from "../spdx/table.ts";
import { derivedKey } from "../store/keys.ts";
import type { Copy } from "../store/manifest.ts";
import {
  type ByteRange,
  bytesContent,
  type ObjectStore,
  readAll,
  readSmall,
  type StoredObject,
} from "../store/object_store.ts";
import { openArchiveOf, type ZipBytes } from "../zip/archive.ts";
import { detectLicences } from "./detect.ts";
import {
  decodeRecord,
  encodeRecord,
  LICENCE_FORMAT,
  MAX_RECORD_BYTES,
  type ModuleLicences,
  type RecordOf,
} from "./record.ts";

/** Opens the zip of a copy; null where there is none and none may be fetched. */
export type OpenZip = (
  copy: Copy,
  options: { readonly range: ByteRange; readonly signal: AbortSignal },
) => Promise<Pick<StoredObject, "sizeBytes" | "body" | "bytes"> | null>;

export interface LicenceReaderOptions {
  readonly store: ObjectStore;
  readonly openZip: OpenZip;
  readonly log: Logger;
  /** Makes the matcher, at the first detection. Default: from the SPDX list in the program. */
  readonly loadMatcher?: () => Promise<LicenceMatcher>;
  /** How long the detection in one copy may take, without its turn. Default 60 s. */
  readonly timeoutMs?: number;
}

export interface ReadLicencesOptions {
  /** Nothing is detected: the answer is null where that has not been done yet. Default: false. */
  readonly onlyKnown?: boolean;
  readonly signal: AbortSignal;
}

/** So many detections are under way or wait for their turn. */
const MAX_DETECTIONS = 200;
/** So many run at a time: each holds the text of a file, and its words. */
const PARALLEL_DETECTIONS = 2;
const MAX_WAIT_MS = 60_000;
/** How long the store may take to give or take a record. */
const RECORD_TIMEOUT_MS = 20_000;
/** How many copies' licences are kept in memory. They take some 500 bytes each. */
const MAX_REMEMBERED = 10_000;
/** How long lists do without the licences of a copy that had no record when it was looked for. */
const UNKNOWN_TTL_MS = 60_000;
/** A range is read at once up to this size: most directories, and most licences. */
const WINDOW_BYTES = 64 * 1024;

export class LicenceReader {
  readonly #options: Required<Omit<LicenceReaderOptions, "loadMatcher">>;
  readonly #matcher: () => Promise<LicenceMatcher>;
  readonly #known = new LRUCache<string, ModuleLicences>({ max: MAX_REMEMBERED });
  /** Copies that had no record: a list would look for them again each time. */
  readonly #unknown = new LRUCache<string, true>({ max: MAX_REMEMBERED, ttl: UNKNOWN_TTL_MS });
  readonly #flights = new SingleFlight<ModuleLicences | null>(MAX_DETECTIONS);
  readonly #turns = new Semaphore({
    what: "the detection of licences",
    permits: PARALLEL_DETECTIONS,
    maxWaiting: MAX_DETECTIONS,
    maxWaitMs: MAX_WAIT_MS,
  });

  constructor(
    { loadMatcher = loadBuiltInMatcher, timeoutMs = 60_000, ...options }: LicenceReaderOptions,
  ) {
    this.#options = { timeoutMs, ...options };
    this.#matcher = once(loadMatcher);
  }

  /** The licences of a copy if they are in memory; null says nothing. */
  remembered({ manifest }: Copy): ModuleLicences | null {
    return this.#known.get(rememberedKey(manifest)) ?? null;
  }

  /**
   * The licences of a copy. Null where they are not known and may not be detected, or its zip is
   * not available.
   *
   * @throws {ZipError} when the zip is damaged
   * @throws {ProxyError} when the zip cannot be read now
   */
  async read(copy: Copy, { onlyKnown = false, signal }: ReadLicencesOptions): Promise<
    ModuleLicences | null
  > {
    const remembered = this.remembered(copy);
    if (remembered !== null) return remembered;
    if (onlyKnown) return await this.#readKnown(copy, signal);
    return await this.#flights.run(rememberedKey(copy.manifest), async (flight) => {
      const known = await this.#readRecord(copy, flight.signal);
      if (known !== null) return known;
      using _turn = await this.#turns.acquire(flight.signal);
      const detected = await this.#detect(copy, flight.signal);
      if (detected !== null) await this.#keep(copy, detected);
      return detected;
    }, signal);
  }

  async #readKnown(copy: Copy, signal: AbortSignal): Promise<ModuleLicences | null> {
    const key = rememberedKey(copy.manifest);
    if (this.#unknown.has(key)) return null;
    const known = await this.#readRecord(copy, signal);
    if (known === null) this.#unknown.set(key, true);
    return known;
  }

  async #readRecord(copy: Copy, signal: AbortSignal): Promise<ModuleLicences | null> {
    const { key, about } = placeOf(copy);
    if (key === null) return null;
    const bytes = await withDeadline(
      (signal) => readSmall(this.#options.store, key, { limitBytes: MAX_RECORD_BYTES, signal }),
      { timeoutMs: RECORD_TIMEOUT_MS, what: `read "${key}"`, signal },
    );
    const licences = bytes === null ? null : decodeRecord(bytes, about);
    if (bytes !== null && licences === null) {
      this.#options.log.warn({ key }, "cannot use a record of licences: it is damaged");
    }
    if (licences !== null) this.#known.set(rememberedKey(copy.manifest), licences);
    return licences;
  }

  async #detect(copy: Copy, signal: AbortSignal): Promise<ModuleLicences | null> {
    const { path, version } = copy.manifest;
    const what = `detect the licences of ${nameOf(copy.manifest)}`;
    const { timeoutMs } = this.#options;
    return await withDeadline(async (signal) => {
      const bytes = await this.#zipBytes(copy, signal);
      if (bytes === null) return null;
      const pace = new Pace(signal);
      const archive = await openArchiveOf(bytes, { pace, windowBytes: WINDOW_BYTES });
      const matcher = await this.#matcher();
      return { files: await detectLicences(archive, { module: { path, version }, matcher, pace }) };
    }, { timeoutMs, what, signal });
  }

  /** The zip as it is in the store, read where it is needed. */
  async #zipBytes(copy: Copy, signal: AbortSignal): Promise<ZipBytes | null> {
    const { openZip } = this.#options;
    // Any range tells the size.
    const first = await openZip(copy, { range: { start: 0, end: 1 }, signal });
    if (first === null) return null;
    const { sizeBytes } = first;
    await readAll(first, signal);
    return {
      sizeBytes,
      read: async (start, end) => {
        const part = await openZip(copy, { range: { start, end }, signal });
        const bytes = part === null ? null : await readAll(part, signal);
        if (bytes?.length === end - start) return bytes;
        throw new StorageError(
          `Cannot read the zip of ${nameOf(copy.manifest)}: the store has lost part of it`,
        );
      },
    };
  }

  async #keep(copy: Copy, licences: ModuleLicences): Promise<void> {
    this.#known.set(rememberedKey(copy.manifest), licences);
    const { key, about } = placeOf(copy);
    if (key === null) return;
    const content = bytesContent(encodeRecord(licences, about));
    try {
      // Where there is one already it says the same.
      await withDeadline(
        (signal) => this.#options.store.create(key, content, { signal }),
        { timeoutMs: RECORD_TIMEOUT_MS, what: `create "${key}"` },
      );
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      this.#options.log.warn({ key, error: describeError(error) }, "cannot keep detected licences");
    }
  }
}

async function loadBuiltInMatcher(): Promise<LicenceMatcher> {
  const pace = new Pace(undefined);
  const table = await atPace(unpackTable(await readPackedTable()), pace);
  return await atPace(LicenceMatcher.create(table), pace);
}

function rememberedKey(manifest: Copy["manifest"]): string {
  return `${nameOf(manifest)} ${manifest.zip.h1}`;
}

/** The key of the record, null where it would be too long, and what the record is about. */
function placeOf({ manifest }: Copy): { key: string | null; about: RecordOf } {
  const { path, version, zip: { h1 } } = manifest;
  const about = { module: { path, version }, h1 };
  return { key: derivedKey({ kind: "licences", format: LICENCE_FORMAT }, about), about };
}
