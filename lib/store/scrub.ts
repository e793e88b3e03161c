/**
 * Reads every object of a store once, at a limited rate, so that damage shows before someone needs
 * the object and while its source still has it.
 *
 * Reading is the check: a disk store compares zips with their checksums, or with their h1 where
 * there are none, and makes the missing sums (checked_files.ts); a bucket compares its own sums; a
 * manifest has one in its line (manifest.ts). Unlike fsck.ts, this does not unpack a zip that has
 * sums, reads the zips that no manifest names and all other objects too, and does not look for what
 * is missing.
 *
 * A damaged zip is added again from its source, if {@linkcode ScrubOptions.restoreZip} is there and
 * the store has set it aside. A damaged manifest stays: another copy could take its place.
 */
import { withDeadline } from "../async/deadline.ts";
import { pause } from "../async/pause.ts";
import { describeError, ProxyError } from "../errors.ts";
import type { Finding } from "./fsck.ts";
import { type CopyKey, parseCopyKey } from "./keys.ts";
import { type Copy, InvalidManifestError } from "./manifest.ts";
import type { ObjectStore } from "./object_store.ts";
import { readCopy } from "./publish.ts";

export interface ScrubOptions {
  readonly store: ObjectStore;
  /** Objects up to this key are left out; empty: none. */
  readonly after?: string;
  /** Default: as fast as the store is. */
  readonly bytesPerSecond?: number;
  /** Adds the zip that a copy lacks, from the copy's source; null to change nothing. */
  readonly restoreZip: ((copy: Copy) => Promise<unknown>) | null;
  readonly report: (finding: Finding) => void;
  /** Called with each key when it is done, in order. */
  readonly onDone: (key: string, sizeBytes: number) => void | Promise<void>;
  readonly signal: AbortSignal;
}

export interface ScrubSummary {
  readonly objects: number;
  readonly bytes: number;
  readonly findings: Readonly<Record<Finding["kind"], number>>;
}

/** For the largest zip from a slow store, besides what the rate makes it take. */
const OBJECT_TIMEOUT_MS = 20 * 60_000;

/** @throws {StorageError} when the store cannot say what it holds */
export async function scrub(options: ScrubOptions): Promise<ScrubSummary> {
  const work = new Scrub(options);
  for await (const key of options.store.walk(options)) {
    if (key <= (options.after ?? "")) continue;
    const sizeBytes = await work.check(key);
    await options.onDone(key, sizeBytes);
  }
  return work.summary;
}

class Scrub {
  readonly summary = { objects: 0, bytes: 0, findings: { fault: 0, note: 0, repaired: 0 } };
  readonly #options: ScrubOptions;
  readonly #startMs = performance.now();

  constructor(options: ScrubOptions) {
    this.#options = options;
  }

  /** @returns how many bytes were read */
  async check(key: string): Promise<number> {
    this.summary.objects++;
    const before = this.summary.bytes;
    const parsed = parseCopyKey(key);
    try {
      if (parsed?.kind === "manifest") await this.#readManifest(key, parsed);
      else if (!await this.#read(key)) await this.#missing(key, parsed);
    } catch (error) {
      this.#options.signal.throwIfAborted();
      if (!isFault(error)) throw error;
      // What a store sets aside while it is read is gone now.
      const isGone = parsed?.kind === "zip" && await this.#isGone(key);
      if (isGone) await this.#missing(key, parsed);
      else this.#report("fault", key, describeError(error));
    }
    return this.summary.bytes - before;
  }

  async #readManifest(key: string, module: CopyKey): Promise<void> {
    const copy = await this.#inTime(key, 0, (signal) => this.#copyOf(module, signal));
    if (copy === null) this.#report("fault", key, "it is named, and is not there");
    else await this.#count(copy.goMod.length);
  }

  /** Whether it is there. */
  async #read(key: string): Promise<boolean> {
    const { store } = this.#options;
    const object = await this.#inTime(key, 0, (signal) => store.get(key, { signal }));
    if (object === null) return false;
    if (object.bytes !== undefined) {
      await this.#count(object.bytes.length);
      return true;
    }
    await this.#inTime(key, object.sizeBytes, async (signal) => {
      const sink = new WritableStream<Uint8Array>({ write: (chunk) => this.#count(chunk.length) });
      await object.body.pipeTo(sink, { signal });
    });
    return true;
  }

  async #isGone(key: string): Promise<boolean> {
    const object = await this.#inTime(key, 0, (signal) => this.#options.store.get(key, { signal }))
      .catch((error) => {
        this.#options.signal.throwIfAborted();
        // It is still there, and as bad.
        if (isFault(error)) return undefined;
        throw error;
      });
    await object?.body.cancel();
    return object === null;
  }

  /** A zip that was named and is not there any more has been set aside. */
  async #missing(key: string, parsed: CopyKey | null): Promise<void> {
    const { restoreZip } = this.#options;
    if (parsed?.kind !== "zip") return this.#report("fault", key, "it is named, and is not there");
    try {
      const copy = await this.#inTime(key, 0, (signal) => this.#copyOf(parsed, signal));
      if (copy?.manifest.zip.h1 !== parsed.h1) {
        this.#report("note", key, "an orphan that was damaged, and was set aside");
      } else if (restoreZip === null) {
        this.#report("fault", key, "the zip was damaged, and was set aside");
      } else {
        await restoreZip(copy);
        this.#report("repaired", key, "the zip was damaged, and was fetched again");
      }
    } catch (error) {
      this.#options.signal.throwIfAborted();
      if (!isFault(error)) throw error;
      const reason = describeError(error);
      this.#report("fault", key, `the zip was damaged, and cannot be fetched again: ${reason}`);
    }
  }

  #copyOf(module: CopyKey, signal: AbortSignal): Promise<Copy | null> {
    return readCopy(this.#options.store, module, { signal });
  }

  /** Takes note of bytes, and waits until they are due. */
  async #count(sizeBytes: number): Promise<void> {
    this.summary.bytes += sizeBytes;
    const { bytesPerSecond, signal } = this.#options;
    if (bytesPerSecond === undefined) return;
    const dueMs = this.#startMs + this.summary.bytes / bytesPerSecond * 1000;
    const waitMs = dueMs - performance.now();
    if (waitMs > 1) await pause(waitMs, signal);
    signal.throwIfAborted();
  }

  #inTime<T>(
    key: string,
    sizeBytes: number,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { bytesPerSecond = Infinity, signal } = this.#options;
    return withDeadline(work, {
      timeoutMs: OBJECT_TIMEOUT_MS + sizeBytes / bytesPerSecond * 1000,
      what: `read "${key}"`,
      signal,
    });
  }

  #report(kind: Finding["kind"], key: string, text: string): void {
    this.summary.findings[kind]++;
    this.#options.report({ kind, key, text });
  }
}

/** Whether an error is about one object, or about the source that its zip was to come from. */
function isFault(error: unknown): boolean {
  return error instanceof ProxyError || error instanceof InvalidManifestError;
}
