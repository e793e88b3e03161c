/**
 * Looks through a whole store: is everything that it holds what its key says? In order of their
 * keys,
 *
 * - each manifest is read as for an answer: its line, its go.mod, the path and version of its key
 *   (manifest.ts);
 * - the zip that it names is fetched and inspected, if it is there: the rules of module zips, the
 *   prefix, the h1;
 * - each zip is looked for in the manifest of its version. One that no manifest names is an
 *   *orphan*: of a publisher that lost a race or was killed. It does no harm, and may be one that
 *   is being published now.
 *
 * What must not be is a fault; what may be and is worth knowing is a note. A zip that is not there
 * is a fault where all copies are published with their zips, else a note, because the next client
 * that asks for it fetches it.
 *
 * Nothing is removed or replaced: a store has no such call. A damaged zip is removed by hand, and
 * is then a missing one, which {@linkcode FsckOptions.restoreZip} adds again. A damaged manifest is
 * never made again, because another copy could take its place.
 *
 * Limits: objects whose names are not keys are not seen. Zips are inspected one by one in files of
 * the scratch directory, up to {@linkcode WORKERS} at a time. The objects of the checksum databases
 * are signed, and are checked when they are used.
 */
import { withDeadline } from "../async/deadline.ts";
import { forEach } from "../async/workers.ts";
import { describeError, ProxyError } from "../errors.ts";
import type { ModulePath } from "../module/path.ts";
import { inspectZip, ZipError } from "../zip/read.ts";
import { MAX_ZIP_BYTES } from "../zip/rules.ts";
import { Copies } from "./copies.ts";
import { type CopyKey, parseCopyKey, zipKey } from "./keys.ts";
import { type Copy, InvalidManifestError, type Manifest } from "./manifest.ts";
import type { ObjectStore, StoredObject } from "./object_store.ts";

export interface FsckOptions {
  readonly store: ObjectStore;
  /** A directory of ours alone for zips that are being inspected. */
  readonly scratchDirectory: string;
  /** Whether copies of this path may have been published without their zips. */
  readonly mayLackZip: (path: ModulePath) => boolean;
  /** Adds the zip that a copy lacks, from the copy's source; null to change nothing. */
  readonly restoreZip: ((copy: Copy) => Promise<unknown>) | null;
  /** The index of published versions; null where there is none. */
  readonly index: FsckIndex | null;
  readonly report: (finding: Finding) => void;
  /** Told of each key when it is done. */
  readonly onDone: (key: string) => void;
  readonly signal: AbortSignal;
}

export interface FsckIndex {
  /** Whether a published version should be in the index and is not. */
  lacks(manifest: Manifest): boolean;
  /** Adds its entry in a while; null to change nothing. */
  readonly add: ((manifest: Manifest) => void) | null;
}

export interface Finding {
  readonly kind: "fault" | "note" | "repaired";
  readonly key: string;
  /** What is the case. */
  readonly text: string;
}

export interface FsckSummary {
  readonly objects: number;
  readonly manifests: number;
  readonly zips: number;
  readonly findings: Readonly<Record<Finding["kind"], number>>;
}

/**
 * For each of them a zip may lie in the scratch directory. On a bucket most of the time is waiting.
 */
export const WORKERS = 8;

/** For the largest zip from a slow store. */
const ZIP_TIMEOUT_MS = 20 * 60_000;

/**
 * What else a store holds: what is derived from zips (keys.ts), the index (lib/index/), probes
 * (probe.ts), checksum databases (lib/sumdb/), our own in l1, advisories (lib/advisories/), clocks
 * and exceptions (lib/policy/), and usage (lib/usage/).
 */
const OTHER_FOLDERS = ["c1/", "d1/", "i1/", "l1/", "p1/", "s1/", "u1/", "v1/", "x1/"];

/**
 * @throws {StorageError} when the store cannot say what it holds; an object that cannot be read is
 * a fault
 */
export async function fsck(options: FsckOptions): Promise<FsckSummary> {
  const check = new Fsck(options);
  await forEach(options.store.walk(options), {
    workers: WORKERS,
    work: async (key) => {
      await check.check(key);
      options.onDone(key);
    },
  });
  return check.summary;
}

class Fsck {
  readonly summary = {
    objects: 0,
    manifests: 0,
    zips: 0,
    findings: { fault: 0, note: 0, repaired: 0 },
  };
  readonly #options: FsckOptions;
  readonly #copies: Copies;

  constructor(options: FsckOptions) {
    this.#options = options;
    this.#copies = new Copies(options.store);
  }

  async check(key: string): Promise<void> {
    this.summary.objects++;
    const parsed = parseCopyKey(key);
    if (parsed?.kind === "manifest") await this.#checkManifest(key, parsed);
    else if (parsed?.kind === "zip") await this.#checkOwner(key, parsed);
    else if (!OTHER_FOLDERS.some((folder) => key.startsWith(folder))) {
      this.#report("note", key, "the key is unknown, and nothing ever looks there");
    }
  }

  async #checkManifest(key: string, module: CopyKey): Promise<void> {
    this.summary.manifests++;
    await this.#guard(key, async () => {
      const copy = await this.#copies.read(module, this.#options);
      if (copy === null) return this.#report("fault", key, "it is named, and is not there");
      this.#checkIndex(key, copy.manifest);
      const zip = zipKey(copy.manifest, copy.manifest.zip.h1);
      await this.#guard(zip, async () => {
        const object = await this.#copies.openZip(copy, this.#options);
        if (object === null) await this.#missing(zip, copy);
        else await this.#checkZip(zip, { object, copy });
      });
    });
  }

  #checkIndex(key: string, manifest: Manifest): void {
    const { index } = this.#options;
    if (index === null || !index.lacks(manifest)) return;
    if (index.add === null) {
      return this.#report("note", key, "it is not in the index; whoever reads it next adds it");
    }
    index.add(manifest);
    this.#report("repaired", key, "it was not in the index");
  }

  async #checkZip(
    key: string,
    { object, copy }: { object: StoredObject; copy: Copy },
  ): Promise<void> {
    const { manifest } = copy;
    if (object.sizeBytes > MAX_ZIP_BYTES) {
      await object.body.cancel();
      return this.#report("fault", key, `it has ${object.sizeBytes} bytes`);
    }
    const file = `${this.#options.scratchDirectory}/${crypto.randomUUID()}.zip`;
    const target = await Deno.open(file, { createNew: true, write: true });
    try {
      const { h1 } = await withDeadline(async (signal) => {
        await object.body.pipeTo(target.writable, { signal });
        return await inspectZip(file, { module: manifest, signal });
      }, { timeoutMs: ZIP_TIMEOUT_MS, what: `read "${key}"`, signal: this.#options.signal });
      if (h1 !== manifest.zip.h1) {
        this.#report("fault", key, `its hash is ${h1}, and ${manifest.zip.h1} is published`);
      }
    } finally {
      await Deno.remove(file);
    }
  }

  async #missing(key: string, copy: Copy): Promise<void> {
    const { mayLackZip, restoreZip } = this.#options;
    if (restoreZip !== null) {
      await restoreZip(copy);
      this.#report("repaired", key, "the zip was missing, and is there again");
    } else if (mayLackZip(copy.manifest.path)) {
      this.#report("note", key, "the zip is not stored; it is fetched on the first request");
    } else {
      this.#report("fault", key, "the zip is missing");
    }
  }

  async #checkOwner(key: string, zip: CopyKey & { kind: "zip" }): Promise<void> {
    this.summary.zips++;
    const copy = await this.#copies.read(zip, this.#options).catch((error) => {
      // With an unreadable manifest the zip's owner is unknown. The manifest is looked at by
      // itself.
      if (isFault(error)) return undefined;
      throw error;
    });
    if (copy === null) {
      this.#report("note", key, "an orphan: there is no manifest of this version");
    } else if (copy !== undefined && copy.manifest.zip.h1 !== zip.h1) {
      this.#report("note", key, `an orphan: the version's manifest names ${copy.manifest.zip.h1}`);
    }
  }

  /** Makes a fault of what says that an object is damaged or cannot be had. */
  async #guard(key: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#options.signal.throwIfAborted();
      if (!isFault(error)) throw error;
      this.#report("fault", key, describeError(error));
    }
  }

  #report(kind: Finding["kind"], key: string, text: string): void {
    this.summary.findings[kind]++;
    this.#options.report({ kind, key, text });
  }
}

/** Whether an error is about one object, or about the source that its zip was to come from. */
function isFault(error: unknown): boolean {
  return error instanceof ProxyError || error instanceof InvalidManifestError ||
    error instanceof ZipError;
}
