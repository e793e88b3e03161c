/**
 * A {@linkcode SumDatabase} over a fake database, in this process: what it asks outside is in the
 * fake's `requests`, its store can be shared with others, and its clock stands still until a test
 * moves it.
 */
import { NotFoundError, UpstreamError } from "../../lib/errors.ts";
import { createLogger } from "../../lib/log/log.ts";
import { h1Of } from "../../lib/module/h1.ts";
import type { RecordedHashes } from "../../lib/module/hash_database.ts";
import { type ModuleVersion, moduleVersion } from "../../lib/module/module_version.ts";
import type { ModulePath } from "../../lib/module/path.ts";
import type { ObjectStore } from "../../lib/store/object_store.ts";
import { MemoryStore } from "../fakes/memory_store.ts";
import { SumDatabase, type SumDatabaseLimits, type SumdbFetch } from "../../lib/sumdb/database.ts";
import { VerifierKey } from "../../lib/sumdb/note.ts";
import type { ModuleHashes } from "../support/module_zip.ts";
import type { Sumdb } from "../fakes/sumdb.ts";

export interface TestDatabaseOptions {
  readonly store?: ObjectStore;
  readonly isPrivate?: (path: ModulePath) => boolean;
  readonly limits?: Partial<SumDatabaseLimits>;
}

export interface TestDatabase {
  readonly database: SumDatabase;
  readonly store: ObjectStore;
  readonly clock: { nowMs: number };
  readonly log: Record<string, unknown>[];
  /** Where answers come from. */
  fetch: SumdbFetch;
}

export function testDatabase(remote: Sumdb, options: TestDatabaseOptions = {}): TestDatabase {
  const clock = { nowMs: 0 };
  const log: Record<string, unknown>[] = [];
  const store = options.store ?? new MemoryStore();
  const database = new SumDatabase({
    key: VerifierKey.parse(remote.verifierKey),
    fetch: (path, fetchOptions) => test.fetch(path, fetchOptions),
    store,
    isPrivate: options.isPrivate ?? (() => false),
    now: () => clock.nowMs,
    log: createLogger("debug", { write: (line) => void log.push(JSON.parse(line)) }),
    limits: options.limits ?? {},
  });
  const test: TestDatabase = { database, store, clock, log, fetch: fetchFrom(remote) };
  return test;
}

/** What lib/source/upstream.ts makes of the fake's answers. */
export function fetchFrom(sumdb: Sumdb): SumdbFetch {
  return async (path, { limitBytes, signal }) => {
    signal.throwIfAborted();
    const response = sumdb.answer(`/${path}`);
    const bytes = await response.bytes();
    if (response.status === 404) throw new NotFoundError(new TextDecoder().decode(bytes));
    if (response.status !== 200) throw new UpstreamError(`status ${response.status}`);
    if (bytes.length > limitBytes) throw new UpstreamError(`larger than ${limitBytes} bytes`);
    return bytes;
  };
}

/** What was verified, as soon as its record is stored. */
export async function hashesOf(found: Promise<RecordedHashes | null> | undefined) {
  const hashes = await found ?? null;
  if (hashes === null) return null;
  await hashes.written;
  return { zipH1: hashes.zipH1, goModH1: hashes.goModH1 };
}

/** Nobody can be reached. */
export const OFFLINE: SumdbFetch = (path) =>
  Promise.reject(new UpstreamError(`Cannot reach the database for ${path}: it is off`));

/** Appends records that nobody asks for, until there are so many. */
export function growTo(sumdb: Sumdb, size: number): void {
  while (sumdb.size < size) sumdb.append(recordOf(`example.com/unrelated/m${sumdb.size}`));
}

/** A record with hashes that are all its own. */
export function recordOf(path: string, version = "v1.0.0"): ModuleHashes {
  const h1 = (text: string) => {
    const bytes = new Uint8Array(32);
    new TextEncoder().encodeInto(text.slice(-32), bytes);
    return h1Of(bytes);
  };
  return { path, version, h1: h1(`${path}@${version}`), goModH1: h1(`${path}@${version}.mod`) };
}

export function moduleOf({ path, version }: { path: string; version: string }): ModuleVersion {
  return moduleVersion(path, version);
}
