/**
 * How a version gets published. Its files are fetched into a scratch directory, checked, and
 * published by one atomic create (store/publish.ts).
 *
 * The strength of the checks depends on who knows the version's hashes:
 *
 * - **The checksum database has a record** (public modules): nothing is published unless the
 *   database confirms its hashes. With the hashes known, the manifest can be published from `.info`
 *   and `.mod` alone (*lazy*), and the zip is fetched on the first request: walking a module graph
 *   costs no zips.
 * - **It has none**: nothing is published. A tag that was just made may still be moved, and the
 *   record that the database then makes of it would contradict ours for ever.
 * - **It is not asked**, because it is off, nobody supports it, or the path is private or one of
 *   `publicModules.noSumDatabase`: zip and `.mod` are fetched together (*eager*), must agree, and
 *   are what this server vouches for from now on.
 */
import { withDeadline } from "../async/deadline.ts";
import { impatiently } from "../async/patience.ts";
import type { Flight } from "../async/single_flight.ts";
import { ForbiddenError, NotFoundError, UpstreamError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import type { H1 } from "../module/h1.ts";
import {
  type DatabaseFor,
  type HashDatabase,
  type RecordedHashes,
  unrecordedError,
} from "../module/hash_database.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { ScratchQuota } from "../scratch/scratch_quota.ts";
import type { DescribedCopy, FetchedCopy, FetchedZip, Source } from "../source/source.ts";
import type { ZipSpool } from "../source/zip_spool.ts";
import type { Copies } from "../store/copies.ts";
import { type Copy, makeCopy } from "../store/manifest.ts";
import { type Content, type OwnFile, ownFileContent } from "../store/object_store.ts";
import { hashGoMod } from "../zip/hash.ts";

export interface PublisherOptions {
  readonly copies: Copies;
  readonly source: Source;
  readonly databaseFor: DatabaseFor;
  /** When the zips of versions with known hashes are fetched. */
  readonly zips: "lazy" | "eager";
  /** Versions whose zips are fetched eagerly all the same. Default: none. */
  readonly isEager?: (path: ModulePath) => boolean;
  /** A directory used only by this process, for fetches in progress. */
  readonly scratchDirectory: string;
  /** The space available there. Default: as much as the disk has. */
  readonly quota?: ScratchQuota;
  /** How long fetching and publishing one version may take, regardless of who waits for it. */
  readonly timeoutMs: number;
  readonly log: Logger;
  readonly metrics?: Metrics;
}

export interface RestoreZipOptions {
  /** Ends the work early, until the zip is fetched. Default: nothing does. */
  readonly flight?: Flight;
  /** For clients that follow. Default: there are none. */
  readonly spool?: ZipSpool;
}

const OTHER_BYTES = "another zip with the same hash and other bytes was stored first";

/** Enough for 500 MiB at 4 Mbit/s. */
export const PUBLISH_TIMEOUT_MS = 20 * 60_000;

/** For work without a client that may leave: commands, and the checksum database. */
const NEVER_ABANDONED: Flight = { signal: new AbortController().signal, keep: () => {} };

/** What the steps of one publication share. */
interface Job extends Flight {
  readonly module: ModuleVersion;
  /**
   * The file of this job's zip, created on first use.
   *
   * @throws {OverloadedError} when there is no space
   */
  readonly zipFile: () => Promise<OwnFile>;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #metrics: Metrics;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#metrics = options.metrics ?? NO_METRICS;
  }

  /**
   * Fetches and publishes a version.
   *
   * @param flight ends the work early, until everything is fetched. Default: nothing does
   * @returns the authoritative copy, which may be another replica's
   * @throws {NotFoundError} when its source knows that there is none
   * @throws {ProxyError} of another kind when it could not be fetched
   */
  publish(module: ModuleVersion, flight: Flight = NEVER_ABANDONED): Promise<Copy> {
    return this.#publish(module, { flight, isAsked: true });
  }

  /**
   * As {@linkcode publish}, for a version that no client has asked for: with a single attempt, and
   * without its zip unless the path is eager.
   *
   * @throws {ForbiddenError} when the version could only be published with its zip
   */
  publishAhead(module: ModuleVersion, flight: Flight): Promise<Copy> {
    return this.#publish(module, { flight, isAsked: false });
  }

  #publish(
    module: ModuleVersion,
    { flight, isAsked }: { flight: Flight; isAsked: boolean },
  ): Promise<Copy> {
    const ask = isAsked ? <T>(work: () => T) => work() : impatiently;
    return this.#inScratch({ module, flight }, async (job) => {
      const { databaseFor, source, zips, isEager } = this.#options;
      const database = databaseFor(module.path);
      const isPrivate = isEager?.(module.path) ?? false;
      if (database === null && !isAsked && !isPrivate) throw notAhead(module);
      if (database === null) {
        return await this.#createEagerly(job, { fetched: await this.#fetch(job), known: null });
      }
      const hashes = recorded(database, { module, signal: job.signal });
      if (zips === "eager" || isPrivate) {
        const [fetched, known] = await both(this.#fetch(job), hashes);
        return await this.#createEagerly(job, { fetched, known });
      }
      const [described, known] = await both(
        ask(() => source.describe(module, job.signal)),
        hashes,
      );
      if (known === null && !isAsked) throw notAhead(module);
      if (known === null) {
        return await this.#createEagerly(job, { fetched: await this.#fetch(job), known: null });
      }
      this.#checkGoMod(job, { described, known });
      return await this.#create(job, { described, zipH1: known.zipH1, zip: null, known });
    });
  }

  /**
   * Fetches the zip of a published version whose blob is not in the store: it must have the hash of
   * the manifest. Clients that follow it get its end when it is stored; if that fails, the caller
   * breaks them off.
   */
  restoreZip(
    copy: Copy,
    { flight = NEVER_ABANDONED, spool }: RestoreZipOptions = {},
  ): Promise<Copy> {
    const { path, version, zip } = copy.manifest;
    return this.#inScratch({ module: { path, version }, flight }, async (job) => {
      const fetched = await this.#fetchZip(job, spool);
      job.keep();
      this.#check(job, { what: "zip", known: zip.h1, found: fetched.h1 });
      const content = ownFileContent(await job.zipFile(), fetched.sizeBytes);
      const stored = await this.#options.copies.storeZip(copy, { h1: fetched.h1, content }, job);
      if (spool !== undefined) await this.#release(copy, { spool, stored, signal: job.signal });
      return copy;
    });
  }

  /**
   * As {@linkcode restoreZip}, for a zip that no client has asked for: with a single attempt unless
   * clients follow it, and only while half of the scratch space is free.
   */
  async restoreZipAhead(copy: Copy, options: Required<RestoreZipOptions>): Promise<Copy> {
    await this.#options.quota?.checkAmple();
    return await impatiently(
      () => this.restoreZip(copy, options),
      () => !options.spool.isFollowed,
    );
  }

  /**
   * Lets clients have the end of a zip that they follow, unless another replica has stored the same
   * files compressed otherwise: what they have is then not the beginning of that one.
   */
  async #release(
    copy: Copy,
    { spool, stored, signal }: {
      spool: ZipSpool;
      stored: "created" | "exists";
      signal: AbortSignal;
    },
  ): Promise<void> {
    if (stored === "exists") {
      const published = spool.isFollowed
        ? await this.#options.copies.openZip(copy, { signal })
        : null;
      if (published === null || !await spool.equals(published.body)) {
        const { path: module, version } = copy.manifest;
        if (published !== null) this.#options.log.warn({ module, version }, OTHER_BYTES);
        return spool.fail(
          new UpstreamError(`Cannot send ${nameOf(copy.manifest)}: ${OTHER_BYTES}`),
        );
      }
    }
    spool.complete();
  }

  /**
   * The version exists, because it is published: a source that has lost it does not prove the
   * contrary.
   */
  async #fetchZip(job: Job, spool: ZipSpool | undefined): Promise<FetchedZip> {
    const { module, signal } = job;
    try {
      const { path: file } = await job.zipFile();
      return await this.#options.source.fetchZip(module, { file, spool, signal });
    } catch (cause) {
      if (!(cause instanceof NotFoundError)) throw cause;
      const message = `Cannot fetch the zip of ${nameOf(module)}: its source no longer has it`;
      throw new UpstreamError(message, { cause });
    }
  }

  async #fetch(job: Job): Promise<FetchedCopy> {
    const { path: file } = await job.zipFile();
    return await this.#options.source.fetch(job.module, { file, signal: job.signal });
  }

  async #createEagerly(
    job: Job,
    { fetched: { zip, ...described }, known }: {
      fetched: FetchedCopy;
      known: RecordedHashes | null;
    },
  ): Promise<Copy> {
    if (known !== null) {
      this.#checkGoMod(job, { described, known });
      this.#check(job, { what: "zip", known: known.zipH1, found: zip.h1 });
    }
    const content = ownFileContent(await job.zipFile(), zip.sizeBytes);
    return await this.#create(job, { described, zipH1: zip.h1, zip: content, known });
  }

  /**
   * Ends when the copy is published and its record in the checksum database is stored: a client
   * that finds one finds the other.
   */
  async #create(
    { module, signal, keep }: Job,
    { described, zipH1, zip, known }: {
      described: DescribedCopy;
      zipH1: H1;
      zip: Content | null;
      known: RecordedHashes | null;
    },
  ): Promise<Copy> {
    keep();
    const { info: { time, origin }, goMod, source } = described;
    const ours = makeCopy({
      ...module,
      time,
      ...(origin === undefined ? {} : { origin }),
      goMod,
      zipH1,
      source,
    });
    const [published] = await Promise.all([
      this.#options.copies.publish({ ...ours, zip }, { signal }),
      known?.written,
    ]);
    const outcome = published.mismatch ? "mismatch" : published.created ? "created" : "exists";
    this.#metrics.add("gomodproxy_publications_total", { outcome });
    if (published.mismatch) this.#reportMismatch(published.copy, ours);
    return published.copy;
  }

  #checkGoMod(
    job: Job,
    { described, known }: { described: DescribedCopy; known: RecordedHashes },
  ): void {
    const found = hashGoMod(described.goMod);
    this.#check(job, { what: "go.mod", known: known.goModH1, found });
  }

  /** @throws {UpstreamError} when the hash of a file differs from the known one */
  #check(
    { module }: Job,
    { what, known, found }: { what: string; known: H1; found: H1 },
  ): void {
    if (found === known) return;
    this.#metrics.add("gomodproxy_refused_files_total", { file: what });
    const { path, version } = module;
    const facts = { module: path, version, file: what, known, found };
    this.#options.log.warn(facts, "hash mismatch: file rejected");
    throw new UpstreamError(
      `Cannot use ${nameOf(module)}: hash mismatch: its ${what} has ${found}, expected ${known}; ` +
        "its tag was moved, or the upstream changed its content",
    );
  }

  async #inScratch<T>(
    { module, flight }: { module: ModuleVersion; flight: Flight },
    work: (job: Job) => Promise<T>,
  ): Promise<T> {
    const { scratchDirectory, quota, timeoutMs } = this.#options;
    let made: Promise<ZipFile> | null = null;
    const make = async () => {
      await quota?.check();
      return await makeZipFile(scratchDirectory);
    };
    const zipFile = () => made ??= make();
    try {
      const keep = () => flight.keep();
      return await withDeadline((signal) => work({ module, zipFile, signal, keep }), {
        timeoutMs,
        what: `fetch ${nameOf(module)}`,
        signal: flight.signal,
      });
    } finally {
      await removeMade(made);
    }
  }

  #reportMismatch(published: Copy, ours: Copy): void {
    const { path, version } = published.manifest;
    this.#options.log.warn(
      { module: path, version, published: hashesOf(published), rejected: hashesOf(ours) },
      "another copy of this version was published first: its tag was moved, or the upstream changed its content",
    );
  }
}

function notAhead(module: ModuleVersion): ForbiddenError {
  return new ForbiddenError(`Cannot publish ${nameOf(module)} ahead: it takes its zip`);
}

/** Null where nobody vouches for the version. */
async function recorded(
  database: HashDatabase,
  { module, signal }: { module: ModuleVersion; signal: AbortSignal },
): Promise<RecordedHashes | null> {
  const hashes = await database.find(module, signal);
  if (hashes === "unrecorded") throw unrecordedError(module, database.name);
  return hashes;
}

/**
 * Asks a source and a database at the same time. If the source fails, its failure is reported
 * without waiting for the database: a version that does not exist is not found, whether the
 * database is reachable or not.
 */
async function both<T>(
  asked: Promise<T>,
  hashes: Promise<RecordedHashes | null>,
): Promise<[T, RecordedHashes | null]> {
  const [said] = await Promise.all([asked, Promise.allSettled([hashes])]);
  return [said, await hashes];
}

/** A zip's file, with a handle that is open for as long as the file is written and stored. */
interface ZipFile extends OwnFile {
  readonly handle: Deno.FsFile;
}

async function makeZipFile(directory: string): Promise<ZipFile> {
  const path = await Deno.makeTempFile({ dir: directory, prefix: "fetch-", suffix: ".zip" });
  return { path, handle: await Deno.open(path, { write: true }) };
}

async function removeMade(made: Promise<ZipFile> | null): Promise<void> {
  if (made === null) return;
  // If it could not be created, the error has already been reported.
  const file = await made.catch(() => null);
  if (file === null) return;
  file.handle.close();
  await Deno.remove(file.path);
}

function hashesOf({ manifest: { goMod, zip, source } }: Copy) {
  return { goMod: goMod.h1, zip: zip.h1, source };
}
